"""A form from a config dataclass: one field per field, nothing lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_stem_gan.app.editors import editor_signal, make_editor, read_editor, strip_none, write_editor
from napari_stem_gan.app.fields import (
    field_label,
    field_sentences,
    field_types,
    is_aberration,
    is_config,
    short_number,
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
        None shows all. A field that is itself a config is a folded group, in the one place or the other;
        so are the fields that its class lists under a title in ``SECTIONS``.
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
        self.sections: dict[str, Fold] = {}
        self._build(basic, set(hidden))
        self.set_hints({})
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

    def set_hints(self, values: Mapping[str, float]) -> None:
        """Say in grey what stands for each number that is left empty; without a value, the words of its config."""
        empty = getattr(self._type, "EMPTY", "")
        for name, editor in self.fields.items():
            if isinstance(editor, NumberBox):
                editor.set_hint(short_number(values[name]) if name in values else empty)

    def filled(self, names: Iterable[str] | None = None) -> int:
        """How many numbers were filled in, of those that the config leaves empty; None asks for all fields."""
        if not hasattr(self._type, "EMPTY"):
            return 0
        editors = [self.fields[name] for name in (self.fields if names is None else names)]
        return sum(isinstance(editor, NumberBox) and editor.value() is not None for editor in editors)

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
            group.set_title(_title(field_label(name), self.fields[name].filled(), wrong))
        for title, names in getattr(self._type, "SECTIONS", {}).items():
            self.sections[title].set_title(_title(title, self.filled(names), not set(guilty).isdisjoint(names)))
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
        sections: Mapping[str, Collection[str]] = getattr(self._type, "SECTIONS", {})
        apart = {*lens, *(name for section in sections.values() for name in section)}
        layout.addLayout(self._rows([name for name in shown if name not in apart]))
        self.aberrations = self._fold("Aberrations", lens, layout)
        for title, section in sections.items():
            self.sections[title] = self._fold(title, [name for name in section if name in shown], layout)
        self.advanced = self._fold("Advanced", [name for name in names if name not in shown], layout)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.RichText)
        layout.addWidget(self.message)

    def _fold(self, title: str, names: list[str], layout: QVBoxLayout) -> Fold:
        """Some fields under a header of their own; no header where there are none."""
        fold = Fold(title)
        fold.set_content(self._rows(names))
        layout.addWidget(fold)
        fold.setVisible(bool(names))  # after it has a parent: without one it would flash up as a window
        return fold

    def _rows(self, names: list[str]) -> QFormLayout:
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        kinds, sentences = field_types(self._type), field_sentences(self._type)
        for name in names:
            if is_config(strip_none(kinds[name])[0]):
                self.fields[name] = form = ConfigForm(getattr(self._config, name))
                rows.addRow(self._group(name, form, sentences.get(name, "")))
                continue
            self.fields[name] = editor = make_editor(kinds[name], self._choices.get(name))
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


def _nested_error(editor: QWidget) -> str:
    """Why the group of a nested config is not right, or an empty string."""
    return editor.error() if isinstance(editor, ConfigForm) else ""


def _title(label: str, filled: int, wrong: bool) -> str:
    """Header of a group: what is in it, how much of that was set by hand, and whether it blocks the config."""
    return f"{label}{f' · {filled} by hand' if filled else ''}{WRONG if wrong else ''}"
