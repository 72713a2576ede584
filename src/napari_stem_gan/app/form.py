"""A form from a config dataclass: one field per field, nothing lost on the way."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_stem_gan.app.fields import (
    field_label,
    field_sentences,
    field_types,
    is_aberration,
    is_config,
    wrong_fields,
)
from napari_stem_gan.app.fold import Fold
from napari_stem_gan.app.number_box import NumberBox

RED = "#ff5c5c"
WRONG = "  ⚠ not valid yet"


class ConfigForm(QWidget):
    """Form of a frozen config dataclass.

    Parameters
    ----------
    config
        The config to start from; its class decides the fields.
    basic
        Names of the fields that are always shown; the rest is folded under "Advanced".
        None shows all. A field that is itself a config is a folded group, in the one place or the other.
    choices
        For text fields: values to offer in an editable list.
    hidden
        Names of fields that are shown elsewhere; they keep the value of the last config.
    checks
        For a field: takes its value and says what is wrong with it, or an empty string.
    parent
        Qt parent.
    """

    changed = Signal()

    def __init__(
        self,
        config: Any,
        *,
        basic: Iterable[str] | None = None,
        choices: Mapping[str, Iterable[str]] | None = None,
        hidden: Iterable[str] = (),
        checks: Mapping[str, Callable[[Any], str]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._type = type(config)
        self._config = config
        self._choices = dict(choices or {})
        self._checks = dict(checks or {})
        self.fields: dict[str, QWidget] = {}
        self.labels: dict[str, QLabel] = {}
        self.groups: dict[str, Fold] = {}
        self._build(basic, set(hidden))
        self.set_value(config)
        self._connect()

    def value(self) -> Any:
        """The config that the form shows.

        Raises
        ------
        ValueError
            With the config's own sentence, if a field blocks it.
        """
        return self._type(**{**self._hidden_values(), **{name: read_editor(e) for name, e in self.fields.items()}})

    def set_value(self, config: Any) -> None:
        """Show `config`."""
        self._config = config
        for name, editor in self.fields.items():
            editor.blockSignals(True)  # one check at the end, not one per field
            write_editor(editor, getattr(config, name))
            editor.blockSignals(False)
        self.check()

    def error(self) -> str:
        """Why `value` would raise, or an empty string."""
        return next(self._nested_errors(), "") or self._wrong()[1]

    def check(self) -> None:
        """Mark the fields that block the config in red and say why."""
        guilty, reason = self._wrong()
        for name, label in self.labels.items():
            text = field_label(name)
            label.setText(f'<font color="{RED}"><b>{text}</b></font>' if name in guilty else text)
        for name, group in self.groups.items():
            wrong = name in guilty or bool(self.fields[name].error())
            group.set_title(f"{field_label(name)}{WRONG if wrong else ''}")
        self.message.setText(f'<font color="{RED}">{reason}</font>')
        self.message.setVisible(bool(reason))

    def _wrong(self) -> tuple[list[str], str]:
        """Fields to mark, and why: the config's own reason, else that of a further check."""
        values = self._values()
        guilty, reason = wrong_fields(self._type, values)
        found = ((name, check(values[name])) for name, check in self._checks.items())
        return (guilty, reason) if reason else next((([name], why) for name, why in found if why), ([], ""))

    def _hidden_values(self) -> dict[str, Any]:
        return {field.name: getattr(self._config, field.name) for field in fields(self._type)}

    def _values(self) -> dict[str, Any]:
        """What the fields say; a group that is not right yet counts as it last was."""
        right = {name: editor for name, editor in self.fields.items() if not _nested_error(editor)}
        return self._hidden_values() | {name: read_editor(editor) for name, editor in right.items()}

    def _nested_errors(self) -> Iterator[str]:
        found = ((name, _nested_error(self.fields[name])) for name in self.groups)
        return (f"{field_label(name)}: {reason}" for name, reason in found if reason)

    def _build(self, basic: Iterable[str] | None, hidden: set[str]) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        names = [field.name for field in fields(self._type) if field.name not in hidden]
        shown = names if basic is None else [name for name in names if name in set(basic)]
        lens = [name for name in shown if is_aberration(name)]
        layout.addLayout(self._rows([name for name in shown if name not in lens]))
        self.aberrations = self._fold("Aberrations", lens, layout)
        self.advanced = self._fold("Advanced", [name for name in names if name not in shown], layout)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.RichText)
        layout.addWidget(self.message)

    def _fold(self, title: str, names: list[str], layout: QVBoxLayout) -> Fold:
        """Some fields under a header of their own; no header where there are none."""
        fold = Fold(title)
        fold.set_content(self._rows(names))
        fold.setVisible(bool(names))
        layout.addWidget(fold)
        return fold

    def _rows(self, names: list[str]) -> QFormLayout:
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        kinds, sentences = field_types(self._type), field_sentences(self._type)
        for name in names:
            editor = make_editor(kinds[name], getattr(self._config, name), self._choices.get(name))
            self.fields[name] = editor
            if isinstance(editor, ConfigForm):
                rows.addRow(self._group(name, editor, sentences.get(name, "")))
                continue
            self.labels[name] = QLabel(field_label(name))
            for widget in (self.labels[name], editor):
                widget.setToolTip(sentences.get(name, ""))
            rows.addRow(self.labels[name], editor)
        return rows

    def _group(self, name: str, form: ConfigForm, sentence: str) -> Fold:
        """A nested config, folded under its own header."""
        self.groups[name] = Fold(field_label(name))
        self.groups[name].header.setToolTip(sentence)
        self.groups[name].set_content(form)
        return self.groups[name]

    def _connect(self) -> None:
        for editor in self.fields.values():
            editor_signal(editor).connect(self._on_changed)

    def _on_changed(self) -> None:
        self.check()
        self.changed.emit()


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


def _nested_error(editor: QWidget) -> str:
    """Why the group of a nested config is not right, or an empty string."""
    return editor.error() if isinstance(editor, ConfigForm) else ""


def make_editor(kind: Any, value: Any, choices: Iterable[str] | None = None) -> QWidget:
    """Make the widget for one field.

    Parameters
    ----------
    kind
        The field's type.
    value
        The field's value; only its type matters, and only for nested configs.
    choices
        Values to offer for text fields.

    Returns
    -------
    QWidget
        A widget that `read_editor`, `write_editor` and `editor_signal` understand.
    """
    kind, optional = strip_none(kind)
    if is_config(kind):
        return ConfigForm(value)
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
    if isinstance(editor, NumberBox | LiteralEdit | ConfigForm):
        return editor.value()
    return editor.text()


def write_editor(editor: QWidget, value: Any) -> None:
    """Show `value` in an editor."""
    if isinstance(editor, QCheckBox):
        editor.setChecked(value)
    elif isinstance(editor, QComboBox):
        if editor.isEditable():
            editor.setEditText(value)
        else:
            editor.setCurrentIndex(editor.findText(str(value)))
    elif isinstance(editor, NumberBox | LiteralEdit | ConfigForm):
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
