"""Progress: a bar with message and time left, a live loss curve, a live preview."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_stem_gan.app.worker import Ending

REDRAW_MS = 200
STEPS = 1000
CURVE_HEIGHT_PX = 110
MAX_CURVES = 6
CURVE_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")


class ProgressPanel(QWidget):
    """Shows how far a job is; redraws on a timer, so that a fast job cannot flood it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: dict[str, tuple[list[float], list[float]]] = {}
        self._lines: dict[str, pg.PlotDataItem] = {}
        self._latest: Any = None
        self._preview: Any = None
        self._stage, self._stage_start, self._start = "", 0.0, 0.0
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self.redraw)

    def begin(self, title: str) -> None:
        """Empty the panel for a new job."""
        self._curves.clear()
        self._lines.clear()
        self.plot.clear()
        self._latest = self._preview = None
        self._stage = ""
        self._start = self._stage_start = time.monotonic()
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
            times, losses = self._curves.setdefault(name, ([], []))
            times.append(seconds)
            losses.append(float(loss))
        if progress.preview is not None:
            self._preview = progress.preview

    def end(self, ending: Ending, message: str) -> None:
        """Land the bar, whatever the ending."""
        self._timer.stop()
        self.redraw()
        self.bar.setRange(0, STEPS)
        if ending is Ending.DONE:
            self.bar.setValue(STEPS)
        elif self._latest is None:
            self.bar.setValue(0)
        seconds = time.monotonic() - self._start
        self.message.setText(f"{message} ({clock(seconds)})")

    def redraw(self) -> None:
        """Draw what has come in since the last tick."""
        if self._latest is None:
            return
        self.bar.setRange(0, STEPS)
        self.bar.setValue(round(STEPS * min(max(self._latest.fraction, 0.0), 1.0)))
        self.message.setText(self._line())
        self._draw_curves()
        if self._preview is not None:
            self.preview.setImage(self._preview)
            self._preview = None

    def _line(self) -> str:
        progress = self._latest
        left = progress.eta_s
        if left is None:
            spent = time.monotonic() - self._stage_start
            left = remaining(spent, progress.fraction)
        parts = [progress.stage.capitalize(), progress.message, "" if left is None else f"{clock(left)} left"]
        return " · ".join(part for part in parts if part)

    def _draw_curves(self) -> None:
        self.graphs.setVisible(bool(self._curves) or self.preview.image is not None)
        for name, (times, losses) in list(self._curves.items())[:MAX_CURVES]:
            if name not in self._lines:
                colour = CURVE_COLOURS[len(self._lines)]
                self._lines[name] = self.plot.plot(pen=pg.mkPen(colour, width=1.5), name=name.replace("_", " "))
            self._lines[name].setData(*thinned(times, losses))

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
        self.graphs = QWidget()
        row = QHBoxLayout(self.graphs)
        row.setContentsMargins(0, 0, 0, 0)
        self.plot = pg.PlotWidget()
        self.plot.setFixedHeight(CURVE_HEIGHT_PX)
        self.plot.setLabel("bottom", "s")
        self.plot.addLegend(offset=(-1, 1), labelTextSize="7pt")
        self.canvas = pg.GraphicsLayoutWidget()
        self.canvas.setFixedSize(CURVE_HEIGHT_PX, CURVE_HEIGHT_PX)
        self.canvas.setToolTip("Live preview: a simulated patch as the network translates it now")
        view = self.canvas.addViewBox(lockAspect=True, invertY=True, enableMouse=False)
        self.preview = pg.ImageItem(axisOrder="row-major")
        view.addItem(self.preview)
        row.addWidget(self.plot)
        row.addWidget(self.canvas)
        self.graphs.hide()
        for widget in (self.graphs, self.message, self.bar):
            layout.addWidget(widget)


def remaining(spent_s: float, fraction: float) -> float | None:
    """Seconds left at the present pace, or None while nobody can know."""
    return spent_s * (1 - fraction) / fraction if fraction > 0.02 and spent_s > 1 else None


def clock(seconds: float) -> str:
    """Write 73 s as ``1:13``."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def thinned(times: Sequence[float], losses: Sequence[float], limit: int = 400) -> tuple[list[float], list[float]]:
    """At most about `limit` points of a curve, the last one always among them."""
    stride = max(1, len(times) // limit)
    return list(times[::-1][::stride][::-1]), list(losses[::-1][::stride][::-1])
