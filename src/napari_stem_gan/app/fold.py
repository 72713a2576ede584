"""A header that opens and closes what is under it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Fold(QWidget):
    """Header button with content that is shown when it is open.

    Parameters
    ----------
    title
        Text of the header.
    parent
        Qt parent.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build(title)
        self.header.toggled.connect(self._on_toggled)

    def set_content(self, content: QLayout | QWidget) -> None:
        """Put a layout or a widget under the header."""
        if isinstance(content, QWidget):
            self._inner.addWidget(content)
        else:
            self._inner.addLayout(content)

    def set_title(self, title: str) -> None:
        """Change the text of the header; where it is wider than the panel it is cut."""
        self.header.setText(title)

    def is_open(self) -> bool:
        """Whether the content is shown."""
        return self.header.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self.header.setChecked(is_open)

    def _build(self, title: str) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setCheckable(True)
        self.header.setArrowType(Qt.ArrowType.RightArrow)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # or it would widen the panel
        self.header.setAutoRaise(True)
        self._body = QWidget()
        self._inner = QVBoxLayout(self._body)
        self._inner.setContentsMargins(8, 0, 0, 4)
        self._body.setVisible(False)
        layout.addWidget(self.header)
        layout.addWidget(self._body)

    def _on_toggled(self, is_open: bool) -> None:
        self.header.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._body.setVisible(is_open)
        self.toggled.emit(is_open)
