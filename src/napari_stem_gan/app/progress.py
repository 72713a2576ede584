"""Progress: a bar with message and time left, a live loss curve, a live preview."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_stem_gan.app.worker import Ending

if TYPE_CHECKING:
    from napari_stem_gan.app.graphs import Graphs

REDRAW_MS = 200
STEPS = 1000
ENDINGS = {Ending.DONE: "Done", Ending.STOPPED: "Stopped", Ending.FAILED: "Failed"}


class ProgressPanel(QWidget):
    """Shows how far a job is; redraws on a timer, so that a fast job cannot flood it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.curves: dict[str, tuple[list[float], list[float]]] = {}
        self._latest: Any = None
        self._preview: Any = None
        self._stage, self._stage_start, self._start = "", 0.0, 0.0
        self._ended: tuple[Ending, str, str] | None = None
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self.redraw)

    def begin(self, title: str) -> None:
        """Empty the panel for a new job."""
        self.curves.clear()
        self._latest = self._preview = self._ended = None
        self._stage = ""
        self._start = self._stage_start = time.monotonic()
        if self.graphs is not None:
            self.graphs.clear()
            self.graphs.hide()
        self.bar.setRange(0, 0)
        self.message.setText(f"{title} …")
        self._timer.start()

    def add(self, progress: Any) -> None:
        """Take one `Progress`; it is drawn at the next tick."""
        if progress.stage != self._stage:
            self._stage, self._stage_start = progress.stage, time.monotonic()
        self._latest = progress
        seconds = time.monotonic() - self._start
        for name, loss in progress.losses.items():
            times, losses = self.curves.setdefault(name, ([], []))
            times.append(seconds)
            losses.append(float(loss))
        if progress.preview is not None:
            self._preview = progress.preview

    def end(self, ending: Ending, told: str, more: str = "") -> None:
        """Land the bar, whatever the ending.

        Parameters
        ----------
        ending
            How the job ended.
        told
            What it found, or why it failed.
        more
            Where its files are.
        """
        self._timer.stop()
        self.redraw()
        self.bar.setRange(0, STEPS)
        if ending is Ending.DONE:
            self.bar.setValue(STEPS)
        elif self._latest is None or ending is Ending.FAILED or (self.bar.value() == STEPS and not told):
            self.bar.setValue(0)  # a full bar is for what was done: the last stage alone may have been at its end
        self._ended = (ending, more, clock(time.monotonic() - self._start))
        self.retell(told)

    def retell(self, told: str) -> None:
        """Say anew what the last job found, after the user changed it; nothing while a job is running."""
        if self._ended is not None:
            ending, more, spent = self._ended
            found = " · ".join(text for text in (told, more) if text)
            self.message.setText(f"{': '.join(part for part in (ENDINGS[ending], found) if part)} ({spent})")

    def redraw(self) -> None:
        """Draw what has come in since the last tick."""
        if self._latest is None:
            return
        self.bar.setRange(0, STEPS)
        self.bar.setValue(round(STEPS * min(max(self._latest.fraction, 0.0), 1.0)))
        self.message.setText(self._line())
        if self.curves or self._preview is not None:
            self._draw()

    def _line(self) -> str:
        progress = self._latest
        left = progress.eta_s
        if left is None:
            spent = time.monotonic() - self._stage_start
            left = remaining(spent, progress.fraction)
        parts = [progress.stage.capitalize(), progress.message, "" if left is None else f"{clock(left)} left"]
        return " · ".join(part for part in parts if part)

    def _draw(self) -> None:
        if self.graphs is None:
            from napari_stem_gan.app.graphs import Graphs  # pyqtgraph would slow the opening of the panel

            self.graphs = Graphs()
            self.layout().insertWidget(0, self.graphs)
        self.graphs.show()
        self.graphs.draw(self.curves, self._preview)
        self._preview = None

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.message = QLabel("Ready")
        self.message.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, STEPS)
        self.bar.setValue(0)
        self.bar.setFormat("%p %")
        self.graphs: Graphs | None = None
        layout.addWidget(self.message)
        layout.addWidget(self.bar)


def remaining(spent_s: float, fraction: float) -> float | None:
    """Seconds left at the present pace, or None while nobody can know."""
    return spent_s * (1 - fraction) / fraction if fraction > 0.02 and spent_s > 1 else None


def clock(seconds: float) -> str:
    """Write 73 s as ``1:13``."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
