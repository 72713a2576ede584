"""What the training loop needs and gives: settings, the model's four methods, progress, errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor


class Stopped(Exception):
    """A step ended early because its stop event was set."""


class TrainingError(Exception):
    """Training cannot go on; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """When training ends, reports and saves."""

    steps: int | None
    """Optimiser steps in all, earlier runs of the same checkpoint included; empty: until the time is used up."""
    minutes: float | None = None
    """Time budget of this run in minutes; empty: none."""
    report_every: int = 10
    """Steps between two readings of the losses."""
    preview_every: int = 0
    """Steps between two preview images; 0: no previews."""
    checkpoint: Path | None = None
    """File that training resumes from and saves to; empty: nothing is saved."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""
    epoch_steps: int = 100
    """Steps between two calls of the model's `end_epoch`, where it is scored."""

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise ValueError("steps or minutes must be given, got neither; set one of them")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}; raise it")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}; try 5")
        if min(self.report_every, self.checkpoint_every, self.epoch_steps) < 1 or self.preview_every < 0:
            raise ValueError("report_every, checkpoint_every and epoch_steps must be at least 1; raise them")


@dataclass(frozen=True)
class TrainStep:
    """What training has to say after some steps; losses are means since the last report."""

    step: int
    total: int | None
    fraction: float
    losses: dict[str, float]
    steps_per_s: float
    eta_s: float | None
    preview: NDArray[Any] | None
    note: str = ""


class Trainable(Protocol):
    """What `train` needs from a model."""

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """Update the weights once; return losses as tensors that stay on the device."""
        ...

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Do what an epoch's end needs; may return a ``score`` (higher is better) by which the best state is kept."""
        ...

    def preview(self) -> NDArray[Any] | None:
        """Return an image of the model at work, or None."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly: networks, optimisers, averages, random state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        ...
