"""Simulate: labelled images like today's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_stem_gan.app.fields import field_label, short_number
from napari_stem_gan.app.fit_text import by_hand_text, fits_text, middle_values
from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.panel import StepPanel
from napari_stem_gan.simulate.aberrations import EXAMPLE, optics_with, read_aberrations
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig

NO_CRYSTAL = "Which limits the simulation has is said here once the crystal is known: run Match or choose a material."


class SimulatePanel(StepPanel):
    """Form of `SimulateConfig`, the values fitted to today's images, and a button that saves what was drawn.

    Empty fields of the instrument show in grey what was fitted and stands for them.
    `save_requested` carries the folder.
    """

    step = "simulate"
    sentence = "Simulates labelled images of the matched crystal, with planted defects, like today's images."
    basic = ("count", "size_px", "defect_scale", "specimen", "defects", "optics", "aberrations", "instrument")
    of_today = ("aberrations", "instrument")
    save_requested = Signal(Path)

    @classmethod
    def default(cls) -> SimulateConfig:
        """The config that Defaults puts back."""
        return SimulateConfig()

    def checks(self) -> Mapping[str, Callable[[Any], str]]:
        """A file of aberrations must be one that can be read."""
        return {"aberrations": aberrations_error}

    def by_hand(self) -> str:
        """What of the instrument is typed in and not measured, in words; empty where nothing is."""
        if self.error():
            return ""
        config = self.value()
        typed = [f"{field_label(name)} {short_number(value)}" for name, value in config.instrument.by_hand().items()]
        return ", ".join([*typed, *([f"aberrations {config.aberrations}"] if config.aberrations else [])])

    def understand(self, material: str) -> None:
        """Say what the incoherent model can and cannot claim for a crystal; empty while it is not known."""
        layers = self._layers()
        if (material, layers) != self._claimed:
            self._claimed = material, layers
            self.limits.setText(claims(material, layers) if material else NO_CRYSTAL)

    def show_outcome(self, outcome: Outcome) -> str:
        """Say how much was simulated, and with which fitted values; those of Match show in the empty fields too."""
        if outcome.fits or outcome.step == "match":
            self.form.fields["instrument"].set_hints(middle_values(outcome.fits or ()))
        if outcome.simulated is None:
            return ""
        count = len(outcome.simulated)
        defects = sum(len(labelled.positions_px) for labelled in outcome.simulated)
        text = f"{count} image{'s' if count != 1 else ''} with {defects} planted defects"
        by_hand = outcome.simulated[0].parameters.get("by_hand", {}) if count else {}
        parts = (text, by_hand_text(by_hand), fits_text(outcome.fits or ()))
        self.show_result("<br>".join(part for part in parts if part))
        self.save.setEnabled(count > 0)
        return text

    def forget(self) -> None:
        """Take back what is shown of simulated images; there is none to save any more."""
        super().forget()
        self.save.setEnabled(False)

    def _build(self) -> None:
        self._claimed: tuple[str, int] | None = None
        super()._build()
        self.form.fields["aberrations"].setPlaceholderText(f"{EXAMPLE}, or a JSON file")
        self.limits = QLabel(NO_CRYSTAL)
        self.limits.setWordWrap(True)
        self.rows.insertWidget(self.rows.indexOf(self.form) + 1, self.limits)
        tip = "Write images (TIFF), true defects (CSV), every drawn value (JSON) and the defective structures"
        self.save = self.add_button("Save simulated…", tip)
        self.save.setEnabled(False)

    def _connect(self) -> None:
        super()._connect()
        self.save.clicked.connect(self._on_save)

    def _layers(self) -> int:
        """Layers that the user asks for; 0 where that is left to the material."""
        return int(self.form.fields["specimen"].fields["layers"].value())

    def _on_save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the simulated images")
        if folder:
            self.save_requested.emit(Path(folder))


def aberrations_error(text: str) -> str:
    """What is wrong with a line of aberrations or the file it names, or an empty string."""
    try:
        optics_with(OpticsConfig(), read_aberrations(text))
    except ValueError as error:
        return str(error)
    return ""


def claims(material: str, layers: int) -> str:
    """The limits of the incoherent model for a crystal, in two or three sentences."""
    from napari_stem_gan.crystal.claims import model_claims
    from napari_stem_gan.crystal.materials import get_material

    return model_claims(get_material(material), layers or None)
