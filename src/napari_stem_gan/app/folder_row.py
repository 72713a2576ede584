"""Where "Run all" writes its files: nowhere, until the user says so."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QToolButton, QWidget

from napari_stem_gan.app import settings

NOWHERE = "no files, only layers"


class FolderRow(QWidget):
    """Chooser of a folder, or none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._build()
        self.choose.clicked.connect(self._on_choose)
        self.forget.clicked.connect(self._on_forget)

    def value(self) -> Path | None:
        """The folder, or None for no files."""
        return self._folder

    def set_value(self, folder: Path | None) -> None:
        """Show a folder, or that no files are written."""
        self._folder = folder
        self.label.setText(NOWHERE if folder is None else folder.name)
        self.label.setToolTip(str(folder or "Run all writes points.csv, restored images and a report here"))
        self.forget.setVisible(folder is not None)

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.label, self.choose, self.forget = QLabel(), QToolButton(), QToolButton()
        self.choose.setText("Folder…")
        self.forget.setText("×")
        self.forget.setToolTip("Write no files")
        row.addWidget(QLabel("Run all writes"))
        row.addWidget(self.label, 1)
        row.addWidget(self.choose)
        row.addWidget(self.forget)
        self.set_value(None)

    def _on_choose(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Save the results of Run all to", settings.kept("folder", ""))
        if path:
            settings.keep("folder", str(Path(path).parent))
            self.set_value(Path(path))

    def _on_forget(self) -> None:
        self.set_value(None)
