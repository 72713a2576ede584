"""The row under a match: show the lattice, adjust it by hand, look at the spectrum."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

HINT = "Drag moves the lattice on the image, Shift+drag turns, Ctrl+drag stretches it. Snap refines it, Esc gives up."


class LatticeRow(QWidget):
    """Checkbox and buttons; it decides nothing.

    Signals
    -------
    shown
        Whether the lattice is to be seen.
    adjust_requested, snap_requested, cancel_requested, spectrum_requested
        A button was pressed.
    """

    shown = Signal(bool)
    adjust_requested = Signal()
    snap_requested = Signal()
    cancel_requested = Signal()
    spectrum_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build()
        self._connect()
        self.set_ready(False)
        self.set_adjusting(False)

    def set_ready(self, ready: bool) -> None:
        """Allow what needs a match."""
        for widget in (self.show_lattice, self.adjust, self.spectrum):
            widget.setEnabled(ready)

    def set_shown(self, shown: bool) -> None:
        """Tick the box; tells nobody."""
        self.show_lattice.blockSignals(True)
        self.show_lattice.setChecked(shown)
        self.show_lattice.blockSignals(False)

    def set_adjusting(self, on: bool) -> None:
        """Show what can be done while a lattice is moved by hand, or the usual."""
        for widget in (self.hint, self.snap, self.cancel):
            widget.setVisible(on)
        self.adjust.setVisible(not on)
        self.show_lattice.setVisible(not on)

    def _build(self) -> None:
        self.show_lattice = QCheckBox("Show lattice")
        self.show_lattice.setToolTip("The fitted lattice over the image: column sites, and a1 and a2 of one cell")
        self.adjust = _button("Adjust by hand", "Move, turn and stretch the lattice with the mouse, then snap it")
        self.snap = _button("Snap", "Refine the lattice from where it lies now; later steps use the result")
        self.cancel = _button("Cancel", "Give up and show the match again (Esc on the image)")
        self.spectrum = _button("Spectrum", "The image's power spectrum with the reflections of the lattice")
        self.hint = QLabel(HINT)
        self.hint.setWordWrap(True)
        buttons = QHBoxLayout()
        for widget in (self.show_lattice, self.adjust, self.snap, self.cancel, self.spectrum):
            buttons.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        column.addWidget(self.hint)

    def _connect(self) -> None:
        self.show_lattice.toggled.connect(self.shown)
        self.adjust.clicked.connect(self.adjust_requested)
        self.snap.clicked.connect(self.snap_requested)
        self.cancel.clicked.connect(self.cancel_requested)
        self.spectrum.clicked.connect(self.spectrum_requested)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
