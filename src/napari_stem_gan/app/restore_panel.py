"""Restore: a cleaner picture beside the raw one."""

from __future__ import annotations

from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.panel import StepPanel
from napari_stem_gan.restore.config import RestoreConfig


class RestorePanel(StepPanel):
    """Form of `RestoreConfig`."""

    step = "restore"
    sentence = "Shows each image without noise and scan distortion. Measure on the raw image, not on this one."
    basic = ("mode",)

    @classmethod
    def default(cls) -> RestoreConfig:
        """The config that Defaults puts back."""
        return RestoreConfig()

    def show_outcome(self, outcome: Outcome) -> str:
        """Say how many columns the network may have invented or erased."""
        if outcome.restored is None:
            return ""
        invented = sum(len(one.invented_px) for one in outcome.restored)
        erased = sum(len(one.erased_px) for one in outcome.restored)
        count = len(outcome.restored)
        self.show_result(f"Columns that are not in the raw image: {invented}; columns that were lost: {erased}.")
        return f"{count} image{'s' if count != 1 else ''} restored"
