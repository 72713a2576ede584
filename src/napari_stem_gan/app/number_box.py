"""A number field that gives back exactly what was put in."""

from __future__ import annotations

import math
from decimal import Decimal

from qtpy.QtCore import Signal
from qtpy.QtGui import QValidator, QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox, QSizePolicy, QWidget

Number = int | float


class NumberBox(QAbstractSpinBox):
    """Spin box for one int or float, shown with all its digits.

    Qt's own boxes round to a fixed number of decimals, so that 2e-4 comes back as 0.0.

    Parameters
    ----------
    kind
        ``int`` or ``float``.
    optional
        Whether an empty field means None.
    parent
        Qt parent.
    """

    changed = Signal()

    def __init__(self, kind: type = float, *, optional: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = kind
        self._optional = optional
        self._value: Number | None = None if optional else kind(0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.lineEdit().textChanged.connect(self._on_text)
        self._show()

    def value(self) -> Number | None:
        """The number, or None where the field is empty and may be."""
        return self._value

    def set_value(self, value: Number | None) -> None:
        """Show `value`; None empties the field."""
        self._value = value
        self._show()
        self.changed.emit()

    def set_hint(self, text: str) -> None:
        """Show `text` in grey while the field is empty."""
        self.lineEdit().setPlaceholderText(text)

    def stepBy(self, steps: int) -> None:  # noqa: N802
        """Change the leading digit (floats) or the last (ints)."""
        hint = self._parse(self.lineEdit().placeholderText())  # what stands for an empty field, where it is a number
        value = (hint or 0) if self._value is None else self._value
        step = _step(value) if self._kind is float else 1
        exact = Decimal(repr(value)) + steps * Decimal(repr(step))
        self.set_value(self._kind(exact))

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:  # noqa: N802
        """Both arrows work."""
        return QAbstractSpinBox.StepEnabledFlag.StepUpEnabled | QAbstractSpinBox.StepEnabledFlag.StepDownEnabled

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what reads as a number; let the user finish typing."""
        good = self._parse(text) is not None or (self._optional and not text.strip())
        state = QValidator.State.Acceptable if good else QValidator.State.Intermediate
        return state, text, position

    def fixup(self, text: str) -> str:
        """Put the last good number back when the text is none."""
        return "" if self._value is None else repr(self._value)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Leave the wheel to the scroll area unless the field is being edited."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def _parse(self, text: str) -> Number | None:
        try:
            number = self._kind(text.strip().replace(",", ".") if self._kind is float else text.strip())
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def _on_text(self, text: str) -> None:
        number = self._parse(text)
        if number is not None or (self._optional and not text.strip()):
            self._value = number
            self.changed.emit()

    def _show(self) -> None:
        line = self.lineEdit()
        line.blockSignals(True)
        line.setText("" if self._value is None else repr(self._value))
        line.blockSignals(False)


def _step(value: Number) -> float:
    """A tenth of the value's power of ten: 0.0002 steps by 0.00001, 0.999 by 0.01, 25 by 1."""
    if value == 0:
        return 0.1
    return float(f"1e{math.floor(math.log10(abs(value))) - 1}")
