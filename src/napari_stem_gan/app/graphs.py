"""The live loss curve and the live preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtWidgets import QHBoxLayout, QWidget

HEIGHT_PX = 130
SHORTEST_S = 5
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")

Curves = Mapping[str, tuple[list[float], list[float]]]


class Graphs(QWidget):
    """Losses against time, and beside them what the network makes of one patch now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: dict[str, pg.PlotDataItem] = {}
        self._build()

    def clear(self) -> None:
        """Forget the curves and the preview of the last job."""
        self._lines.clear()
        self.plot.clear()
        self.preview.clear()
        self.canvas.hide()

    def draw(self, curves: Curves, preview: Any | None) -> None:
        """Redraw.

        Parameters
        ----------
        curves
            Name of a loss to its times in s and its values; at most six are drawn.
        preview
            Image ``(Y, X)``, or None to keep the last one.
        """
        for name, (times, losses) in list(curves.items())[: len(COLOURS)]:
            if name not in self._lines:
                pen = pg.mkPen(COLOURS[len(self._lines)], width=1.5)
                self._lines[name] = self.plot.plot(
                    pen=pen,
                    name=name.replace("_", " "),
                    symbol="o",
                    symbolSize=3,
                    symbolPen=None,
                    symbolBrush=pen.color(),
                )
            self._lines[name].setData(*thinned(times, losses))
        if preview is not None:
            self.preview.setImage(preview)
            self.canvas.show()

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.plot = pg.PlotWidget()
        self.plot.setFixedHeight(HEIGHT_PX)
        self.plot.setLabel("bottom", "seconds")
        self.plot.setLimits(xMin=0, minXRange=SHORTEST_S)
        self.plot.addLegend(offset=(-1, 1), labelTextSize="7pt")
        self.canvas = pg.GraphicsLayoutWidget()
        self.canvas.setFixedSize(HEIGHT_PX, HEIGHT_PX)
        self.canvas.setToolTip("Live preview: what the network makes of one patch now")
        view = self.canvas.addViewBox(lockAspect=True, invertY=True, enableMouse=False)
        self.preview = pg.ImageItem(axisOrder="row-major")
        view.addItem(self.preview)
        self.canvas.hide()
        row.addWidget(self.plot)
        row.addWidget(self.canvas)


def thinned(times: Sequence[float], losses: Sequence[float], limit: int = 400) -> tuple[list[float], list[float]]:
    """At most about `limit` points of a curve, the last one always among them."""
    stride = max(1, len(times) // limit)
    return list(times[::-1][::stride][::-1]), list(losses[::-1][::stride][::-1])
