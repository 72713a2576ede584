"""Progress of a step, and how to run a step to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a step.

    Parameters
    ----------
    stage
        ``match``, ``simulate``, ``adapt``, ``detect`` or ``restore``.
    fraction
        Share of the stage that is done, 0 to 1.
    message
        What is being done, for a person.
    losses
        Current losses, while something is trained.
    preview
        An image to show, or None.
    eta_s
        Seconds left, where known.
    """

    stage: str
    fraction: float
    message: str
    losses: Mapping[str, float] = field(default_factory=dict)
    preview: NDArray[Any] | None = None
    eta_s: float | None = None


Steps = Generator[Progress, None, T]


def consume(steps: Generator[Progress, None, T], on_progress: Callable[[Progress], None] | None = None) -> T:
    """Run a step to its end, pass its progress on, and return its result."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if on_progress is not None:
            on_progress(progress)


def check(stop: threading.Event | None) -> None:
    """Raise `training.Stopped` if `stop` is set."""
    if stop is not None and stop.is_set():
        from napari_stem_gan.training import Stopped

        raise Stopped("stopped by the user")
