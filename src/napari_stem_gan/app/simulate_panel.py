"""Simulate: labelled images like today's."""

from __future__ import annotations

from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.panel import StepPanel
from napari_stem_gan.simulate.config import SimulateConfig


class SimulatePanel(StepPanel):
    """Form of `SimulateConfig`."""

    step = "simulate"
    sentence = "Simulates labelled images of the matched crystal, with planted defects, like today's images."
    basic = ("count", "size_px", "defect_scale")

    @classmethod
    def default(cls) -> SimulateConfig:
        """The config that Defaults puts back."""
        return SimulateConfig()

    def show_outcome(self, outcome: Outcome) -> str:
        """Say how much was simulated."""
        if outcome.simulated is None:
            return ""
        count = len(outcome.simulated)
        defects = sum(len(labelled.positions_px) for labelled in outcome.simulated)
        text = f"{count} image{'s' if count != 1 else ''} with {defects} planted defects"
        self.show_result(text)
        return text
