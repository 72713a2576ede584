"""The part of the Detect panel where points are looked at one by one: buttons, and the evidence card."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_stem_gan.app.evidence_card import EvidenceCard
from napari_stem_gan.app.scroll import scroll_to

ADD_HINT = "Click on the image where a defect is missing; press Add again when done."


class CurationRow(QWidget):
    """Buttons and card; it decides nothing.

    Signals
    -------
    step_requested
        +1 for the next undecided point, −1 for the one before.
    accept_requested, reject_requested, undo_requested, load_requested
        A button was pressed.
    add_toggled
        Whether clicks on the image are to add points.
    defect_chosen
        Name of the defect that is added from now on.
    rejected_toggled
        Whether rejected points are to be seen.
    counted
        How many points are undecided, accepted, added, rejected, in words.
    """

    step_requested = Signal(int)
    accept_requested = Signal()
    reject_requested = Signal()
    undo_requested = Signal()
    load_requested = Signal()
    add_toggled = Signal(bool)
    defect_chosen = Signal(str)
    rejected_toggled = Signal(bool)
    counted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build()
        self._connect()
        self.set_state("", selected=0, undo=False, ready=False)
        self.set_adding(False)

    def set_state(self, count: str, *, selected: int, undo: bool, ready: bool) -> None:
        """Say how much is left, and allow what can be done now."""
        self.count.setText(count)
        self.counted.emit(count)
        for button in (self.accept, self.reject):
            button.setEnabled(selected > 0)
        for button in (self.next, self.previous, self.add, self.show_rejected):
            button.setEnabled(ready)
        self.undo.setEnabled(undo)

    def set_adding(self, on: bool) -> None:
        """Show whether clicks add points; tells nobody."""
        self.add.blockSignals(True)
        self.add.setChecked(on)
        self.add.blockSignals(False)
        for widget in (self.hint, self.defect):
            widget.setVisible(on)

    def set_defects(self, names: Sequence[str]) -> None:
        """Offer names for added points; the one that is chosen stays."""
        keep = self.defect.currentText()
        self.defect.blockSignals(True)
        self.defect.clear()
        self.defect.addItems(list(names))
        self.defect.setCurrentIndex(max(0, self.defect.findText(keep)))
        self.defect.blockSignals(False)

    def bring_into_view(self) -> None:
        """Scroll until buttons and card are seen."""
        scroll_to(self)

    def _build(self) -> None:
        self.previous = _button("◀ Previous", "The undecided point before (key ,)")
        self.next = _button("Next ▶", "The next undecided point, the least sure first, image by image (key .)")
        self.accept = _button("✓ Accept", "The selected points are defects, whatever the threshold (key Y)")
        self.reject = _button("✗ Reject", "The selected points are no defects (key N, or Delete)")
        self.add = _button("+ Add", "Add points by clicking on the image")
        self.add.setCheckable(True)
        self.undo = _button("↶ Undo", "Take the last decision, added, moved or deleted point back (Ctrl+Z)")
        self.load = _button("Load decisions…", "Take over decisions, or all points, from a CSV that was saved earlier")
        self.show_rejected = QCheckBox("Show rejected")
        self.show_rejected.setToolTip("Rejected points as grey crosses; they count nowhere, but stay in the CSV")
        self.count, self.hint, self.defect = QLabel(), QLabel(ADD_HINT), QComboBox()
        self.hint.setWordWrap(True)
        self.count.setToolTip("On the image: hollow is undecided, filled accepted or added, a grey cross rejected")
        self.defect.setToolTip("What the added points are")
        self.card = EvidenceCard()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(_line(self.previous, self.next, self.undo))
        column.addLayout(_line(self.accept, self.reject, self.add))
        column.addLayout(_line(self.defect, self.hint))
        column.addWidget(self.count)
        column.addWidget(self.card)
        column.addLayout(_line(self.show_rejected, self.load))

    def _connect(self) -> None:
        self.next.clicked.connect(self._on_next)
        self.previous.clicked.connect(self._on_previous)
        self.accept.clicked.connect(self.accept_requested)
        self.reject.clicked.connect(self.reject_requested)
        self.undo.clicked.connect(self.undo_requested)
        self.load.clicked.connect(self.load_requested)
        self.add.toggled.connect(self.add_toggled)
        self.defect.currentTextChanged.connect(self.defect_chosen)
        self.show_rejected.toggled.connect(self.rejected_toggled)

    def _on_next(self) -> None:
        self.step_requested.emit(1)

    def _on_previous(self) -> None:
        self.step_requested.emit(-1)


def _line(*widgets: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    for widget in widgets:
        line.addWidget(widget)
    return line


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
