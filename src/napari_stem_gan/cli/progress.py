"""One progress line on stderr, and Ctrl-C that ends a step cleanly."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from napari_stem_gan.workflow import Progress

Result = TypeVar("Result")
PLAIN_EVERY_S = 5.0


class ProgressLine:
    """Rewrites one line on a terminal; elsewhere writes a line now and then.

    Parameters
    ----------
    stream
        Where to write; stderr if None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._rewrites = self._stream.isatty()
        self._stage, self._written_s, self._width = "", 0.0, 0

    def show(self, progress: Progress) -> None:
        """Show how far a step is."""
        text = progress_text(progress)
        now = time.monotonic()
        if self._rewrites:
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif progress.stage != self._stage or now - self._written_s >= PLAIN_EVERY_S:
            self._stream.write(text + "\n")
            self._written_s = now
        self._stage = progress.stage
        self._stream.flush()

    def end(self) -> None:
        """Go to a fresh line."""
        if self._width:
            self._stream.write("\n")
            self._width = 0


def progress_text(progress: Progress) -> str:
    """Return e.g. ``adapt     42 %  cycle 0.113  image 1 of 2  about 40 s left``."""
    losses = " ".join(f"{name} {value:.3g}" for name, value in list(progress.losses.items())[:3])
    left = "" if progress.eta_s is None else f"about {progress.eta_s:.0f} s left"
    parts = (f"{progress.stage:<8} {100 * progress.fraction:3.0f} %", progress.message, losses, left)
    return "  ".join(part for part in parts if part)


class Job:
    """One command at work: the stop event that Ctrl-C sets, and the progress line."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.line = ProgressLine()
        self._before: Any = None

    def __enter__(self) -> Job:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """First Ctrl-C: let the step end and keep what it has. Second: end at once."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.stop.set()
        self.say("stopping at the next step; Ctrl-C again ends at once")

    def say(self, text: str) -> None:
        """Write a line to stderr."""
        self.line.end()
        sys.stderr.write(f"{text}\n")

    def finish(self, steps: Generator[Progress, None, Result]) -> Result:
        """Run a step of the workflow to its end, showing its progress, and return its result."""
        while True:
            try:
                self.line.show(next(steps))
            except StopIteration as ending:
                result: Result = ending.value
                return result
