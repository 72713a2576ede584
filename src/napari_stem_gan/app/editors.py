"""The widget of each kind of field, and one way to read and write them all."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, runtime_checkable

from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSizePolicy, QWidget

from napari_stem_gan.app.number_box import NumberBox


@runtime_checkable
class HasValue(Protocol):
    """An editor of our own: number, literal, or the form of a nested config."""

    def value(self) -> Any:
        """What it shows."""

    def set_value(self, value: Any) -> None:
        """Show `value`."""


class LiteralEdit(QLineEdit):
    """Line of text for values that have no widget of their own: tuples, lists, paths."""

    def __init__(self, path: bool = False) -> None:
        super().__init__()
        self._path = path

    def value(self) -> Any:
        """The Python value of the text; text that is no literal stays text."""
        text = self.text().strip()
        if self._path:
            return Path(text) if text else None
        try:
            return ast.literal_eval(text) if text else None
        except (ValueError, SyntaxError):
            return text

    def set_value(self, value: Any) -> None:
        """Show `value`."""
        self.setText("" if value is None else str(value) if self._path else repr(value))


def make_editor(kind: Any, choices: Iterable[str] | None = None) -> QWidget:
    """Make the widget for one field that is not itself a config.

    Parameters
    ----------
    kind
        The field's type.
    choices
        Values to offer for text fields.

    Returns
    -------
    QWidget
        A widget that `read_editor`, `write_editor` and `editor_signal` understand.
    """
    kind, optional = strip_none(kind)
    if kind is bool and not optional:
        return QCheckBox()
    if kind in (int, float):
        return NumberBox(kind, optional=optional)
    if get_origin(kind) is Literal and not optional:
        return _combo(get_args(kind))
    if kind is str and not optional:
        return _combo(choices, editable=True) if choices is not None else QLineEdit()
    return LiteralEdit(path=kind is Path)


def strip_none(kind: Any) -> tuple[Any, bool]:
    """Split ``X | None`` into X and True; other types come back with False."""
    if get_origin(kind) in (UnionType, Union):
        rest = [part for part in get_args(kind) if part is not NoneType]
        if len(rest) == 1:
            return rest[0], len(rest) < len(get_args(kind))
    return kind, False


def _combo(values: Iterable[Any], *, editable: bool = False) -> QComboBox:
    combo = QComboBox()
    combo.setEditable(editable)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(12)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    for value in values:
        combo.addItem(str(value), value)
    return combo


def read_editor(editor: QWidget) -> Any:
    """The value that an editor shows."""
    if isinstance(editor, QCheckBox):
        return editor.isChecked()
    if isinstance(editor, QComboBox):
        return editor.currentText() if editor.isEditable() else editor.currentData()
    return editor.value() if isinstance(editor, HasValue) else editor.text()


def write_editor(editor: QWidget, value: Any) -> None:
    """Show `value` in an editor."""
    if isinstance(editor, QCheckBox):
        editor.setChecked(value)
    elif isinstance(editor, QComboBox):
        if editor.isEditable():
            editor.setEditText(value)
        else:
            editor.setCurrentIndex(editor.findText(str(value)))
    elif isinstance(editor, HasValue):
        editor.set_value(value)
    else:
        editor.setText(value)


def editor_signal(editor: QWidget) -> Any:
    """The signal that an editor emits when its value changes."""
    if isinstance(editor, QCheckBox):
        return editor.toggled
    if isinstance(editor, QComboBox):
        return editor.currentTextChanged
    return editor.textChanged if isinstance(editor, QLineEdit) else editor.changed
