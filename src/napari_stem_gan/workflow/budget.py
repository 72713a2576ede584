"""A budget of minutes that several trainings share, and how far it is used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_stem_gan.workflow.progress import Progress

if TYPE_CHECKING:
    from napari_stem_gan.training import TrainStep


class TimeBudget:
    """The time that adaptation may take; it begins when it is made.

    Parameters
    ----------
    minutes
        Until its end.
    """

    def __init__(self, minutes: float) -> None:
        self.started, self.total_s = time.perf_counter(), 60 * minutes

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def left(self, share: float) -> float:
        """Seconds left until `share` of the budget is used."""
        return share * self.total_s - self.seconds()

    def report(self, message: str, step: TrainStep | None = None) -> Progress:
        """Progress of the whole adaptation."""
        fraction = min(self.seconds() / self.total_s, 1.0)
        losses = {} if step is None else step.losses
        preview = None if step is None else step.preview
        eta = max(self.total_s - self.seconds(), 0.0)
        return Progress(stage="adapt", fraction=fraction, message=message, losses=losses, preview=preview, eta_s=eta)
