"""The choice of the network that finds the defects: the session's, the shipped one, saved ones, a file."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QWidget

SESSION, SHIPPED, FILE = "this session's adapted model", "as shipped", "Choose a file…"


class ModelBox(QComboBox):
    """Models by name; the session's adapted one comes first once there is one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session_model: Any = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(16)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("The network that finds the defects")
        self.addItem(SHIPPED, None)
        self.addItem(FILE, FILE)
        self.activated.connect(self._on_activated)

    def value(self) -> Any:
        """What to detect with: the session's model, a name or a path, or None for the shipped finder."""
        choice = self.currentData()
        return self._session_model if choice == SESSION else choice

    def set_session_model(self, model: Any) -> None:
        """Offer the model that was adapted to today's images, and choose it."""
        self._session_model = model
        self._list(SESSION)

    def refresh(self) -> None:
        """List the models anew and keep the choice."""
        self._list(self.currentData())

    def _list(self, choice: str | None) -> None:
        from napari_stem_gan.models import list_models, weights_folder

        files = [file for file in list_models() if file.kind in ("finder", "session")]
        files = [file for file in files if file.path.parent != weights_folder()]
        self.blockSignals(True)
        self.clear()
        self.addItem(SHIPPED, None)
        if self._session_model is not None:
            self.insertItem(0, SESSION, SESSION)
        for file in files:
            self.addItem(file.name, str(file.path))
        if choice is not None and self.findData(choice) < 0:
            self.addItem(str(choice), choice)
        self.addItem(FILE, FILE)
        self.setCurrentIndex(max(0, self.findData(choice)))
        self.blockSignals(False)

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) != FILE:
            return
        path, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", "Models (*.safetensors)")
        self.setCurrentIndex(0)
        self._list(path or self.currentData())
