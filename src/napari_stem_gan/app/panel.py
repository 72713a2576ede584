"""What the five step panels share: a folded section with a form, a result line and a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stem_gan.app import settings
from napari_stem_gan.app.form import ConfigForm
from napari_stem_gan.app.jobs import Outcome

WARNING_SIGN = "⚠"


class StepPanel(QWidget):
    """One step of the workbench.

    Class attributes name the step, say what it does in a sentence, list the fields that are always
    shown, and those that belong to today's images and are not kept between sessions.
    """

    step = ""
    sentence = ""
    basic: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    of_today: tuple[str, ...] = ()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = self.default()
        self._build()
        self._connect()
        self.set_value(settings.kept_config(self.step, self._default))

    @classmethod
    def default(cls) -> Any:
        """The config that Defaults puts back."""
        raise TypeError(f"{cls.__name__} is no step; give it a config")

    @property
    def title(self) -> str:
        """Name of the step as the user reads it."""
        return self.step.capitalize()

    def value(self) -> Any:
        """The step's config; raises ValueError with a sentence if a field blocks it."""
        return self.form.value()

    def set_value(self, config: Any) -> None:
        """Show a config."""
        self.form.set_value(config)

    def error(self) -> str:
        """Why Start is blocked, or an empty string."""
        return self.form.error()

    def show_outcome(self, outcome: Outcome) -> str:
        """Show a result; returns one short remark for the section's header, or an empty string.

        A remark that begins with `WARNING_SIGN` is no success.
        """
        return ""

    def forget(self) -> None:
        """Take back what is shown of a result."""
        self.show_result("")

    def keep(self) -> None:
        """Keep the settings for the next session, without what belongs to today's images."""
        if not self.error():
            values = settings.to_jsonable(self.value())
            settings.keep(self.step, {name: value for name, value in values.items() if name not in self.of_today})

    def reset(self) -> None:
        """Back to the defaults."""
        self.set_value(self._default)
        self.changed.emit()

    def choices(self) -> Mapping[str, Iterable[str]]:
        """Values to offer in text fields."""
        return {}

    def checks(self) -> Mapping[str, Callable[[Any], str]]:
        """For fields: what is wrong with a value, beyond what the config itself knows."""
        return {}

    def _build(self) -> None:
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.about = QLabel(self.sentence)
        self.about.setWordWrap(True)
        options = {"choices": self.choices(), "checks": self.checks(), "hidden": self.hidden}
        self.form = ConfigForm(self._default, basic=self.basic, **options)
        self.result = QLabel()
        self.result.setWordWrap(True)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.result.hide()
        self.buttons = QHBoxLayout()
        self.defaults = self.add_button("Defaults", "Put the settings of this step back to their defaults")
        for widget in (self.about, self.form, self.result):
            self.rows.addWidget(widget)
        self.rows.addLayout(self.buttons)

    def _connect(self) -> None:
        self.form.changed.connect(self.changed)
        self.defaults.clicked.connect(self.reset)

    def add_button(self, text: str, tip: str) -> QPushButton:
        """Add a button to the row at the end of the panel."""
        button = QPushButton(text)
        button.setToolTip(tip)
        self.buttons.addWidget(button)
        return button

    def show_result(self, text: str) -> None:
        """Show a result under the form."""
        self.result.setText(text)
        self.result.setVisible(bool(text))
