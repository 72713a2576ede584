"""Adapt: fine-tune the pretrained networks on today's images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.panel import WARNING_SIGN, StepPanel
from napari_stem_gan.translate.config import AdaptConfig

IN_SENTENCE = ("held_out_f1", "held_out_loss")  # of every finder; the sentence on the one that is kept tells them


class AdaptPanel(StepPanel):
    """Form of `AdaptConfig`, what came out, and a button that saves the session's model.

    `model_saved` carries the path.
    """

    step = "adapt"
    sentence = "Teaches the CycleGAN and the vacancy finder what today's images look like. Stop keeps what it has."
    basic = ("minutes",)
    model_saved = Signal(str)

    @classmethod
    def default(cls) -> AdaptConfig:
        """The config that Defaults puts back."""
        return AdaptConfig()

    def __init__(self, parent: QWidget | None = None) -> None:
        self._model: Any = None
        super().__init__(parent)

    def show_outcome(self, outcome: Outcome) -> str:
        """Say what was kept and why, and warn of a finder that is not to be relied on."""
        if outcome.model is None:
            return ""
        self._model = outcome.model
        self.save.setEnabled(True)
        report = outcome.report.get("adapt", outcome.report)
        self.show_result("<br>".join(report_lines(report)))
        if warning := str(report.get("warning", "")):
            show_warning(warning)
            return f"{WARNING_SIGN} this session's model is poor: {warning.partition(':')[0]}"
        return "this session's model is ready"

    def save_model(self, path: str) -> None:
        """Save the session's model; a failure is a notification."""
        path = path if path.endswith(".safetensors") else f"{path}.safetensors"
        try:
            self._model.save(path)
        except (OSError, ValueError) as error:
            show_error(str(error))
            return
        show_info(f"Model saved to {path}")
        self.model_saved.emit(path)

    def _build(self) -> None:
        super()._build()
        self.save = self.add_button("Save model…", "Save the adapted networks to one file, for tomorrow or a colleague")
        self.save.setEnabled(False)

    def _connect(self) -> None:
        super()._connect()
        self.save.clicked.connect(self._on_save)

    def _on_save(self) -> None:
        from napari_stem_gan.models import user_folder

        folder = user_folder()
        start = str(folder / "session.safetensors") if folder.exists() else "session.safetensors"
        path, _ = QFileDialog.getSaveFileName(self, "Save the session's model", start, "Models (*.safetensors)")
        if path:
            self.save_model(path)


def report_lines(report: Mapping[str, Any], limit: int = 8) -> list[str]:
    """Plain entries of a report and of its parts as ``name: value``, numbers with three digits."""
    parts = {name: value for name, value in report.items() if isinstance(value, Mapping) and name not in IN_SENTENCE}
    inner = [(f"{part} {name}", value) for part, values in parts.items() for name, value in values.items()]
    lines = []
    for name, value in [*report.items(), *inner]:
        if isinstance(value, float):
            value = f"{value:.3g}"
        if isinstance(value, str | int | bool) and value != "":
            lines.append(f"<b>{name.replace('_', ' ')}</b>: {value}")
    return lines[:limit]
