"""Plots of the statistics: densities with their intervals, pair correlation with its band, density map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QRectF
from qtpy.QtWidgets import QComboBox, QTabWidget, QVBoxLayout, QWidget

from napari_stem_gan.app.symbols import ORANGE, SKY

HEIGHT_PX = 240
BAND = (86, 180, 233, 70)
GREY = "#999999"
DOT_PX, CAP = 8, 0.15
LINE_PX = 14
PER_LINE = 5  # names that fit under an axis of a narrow panel
ASIDE = 0.18  # how far beside its count a sum of confidences stands


class StatisticsPlots(QTabWidget):
    """Three tabs; each shows one thing of the last statistics."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: Any = None
        self._build()
        self._connect()

    def show_statistics(self, found: Any) -> None:
        """Draw a `detect.session_statistics.Statistics`."""
        self._found = found
        for choice, names in (
            (self.areas, list(dict.fromkeys(_name((d.image, d.frame)) for d in found.densities))),
            (self.kinds, [p.defect for p in found.pairs]),
            (self.images, [_name((m.image, m.frame)) for m in found.maps]),
        ):
            _fill(choice, names)
        self._draw_densities()
        self._draw_pairs()
        self._draw_map()

    def _build(self) -> None:
        self.setFixedHeight(HEIGHT_PX + 70)
        self.areas, self.kinds, self.images = QComboBox(), QComboBox(), QComboBox()
        self.density, self.pairs, self.map = (pg.PlotWidget() for _ in range(3))
        for plot in (self.density, self.pairs, self.map):
            plot.setMinimumWidth(100)
            for side in ("left", "bottom"):
                plot.getAxis(side).enableAutoSIPrefix(False)
        self.density.setLabel("left", "defects per nm²")
        self.pairs.setLabel("left", "pair correlation g(r)")
        self.pairs.setLabel("bottom", "distance r, nm")
        self.map.setLabel("left", "y, nm")
        self.map.setLabel("bottom", "x, nm")
        self.map.setAspectLocked(True)
        self.map.invertY(True)
        self.bar = pg.ColorBarItem(colorMap=pg.colormap.get("viridis"), interactive=False, label="per nm²", width=12)
        self.map.getPlotItem().layout.addItem(self.bar, 2, 5)
        self._add_page("Density", self.areas, self.density)
        self._add_page("Pairs", self.kinds, self.pairs)
        self._add_page("Map", self.images, self.map)
        self.setTabToolTip(0, "Dots: counted above the threshold, with exact Poisson intervals; "
                              "triangles: sum of all confidences; line: the whole crystal")  # fmt: skip
        self.setTabToolTip(1, "Above the band: closer together than by chance; below it: they keep apart. "
                              "A random arrangement stays in the band as a whole")  # fmt: skip
        self.setTabToolTip(2, "All defects that count, smoothed; corrected for borders and holes of the crystal")

    def _add_page(self, title: str, choice: QComboBox, plot: pg.PlotWidget) -> None:
        page = QWidget()
        rows = QVBoxLayout(page)
        rows.setContentsMargins(0, 4, 0, 0)
        choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        choice.setMinimumContentsLength(8)
        rows.addWidget(choice)
        rows.addWidget(plot)
        self.addTab(page, title)

    def _connect(self) -> None:
        self.areas.currentIndexChanged.connect(self._draw_densities)
        self.kinds.currentIndexChanged.connect(self._draw_pairs)
        self.images.currentIndexChanged.connect(self._draw_map)

    def _draw_densities(self) -> None:
        """Kinds on the whole of the chosen image, and all defects by region."""
        self.density.clear()
        rows = [d for d in self._found.densities if _name((d.image, d.frame)) == self.areas.currentText()]
        whole = [d for d in rows if d.region == rows[0].region]
        parts = [d for d in rows if d.region != rows[0].region and d.defect == whole[-1].defect]
        if not rows:
            return
        level = pg.InfiniteLine(whole[-1].per_nm2, angle=0, pen=pg.mkPen(GREY, width=1))
        self.density.addItem(level)
        _dots(self.density, whole + parts)
        names = [d.defect for d in whole] + [d.region for d in parts]
        axis, lines = self.density.getAxis("bottom"), staggered(names)
        axis.setTicks([list(enumerate(lines))])
        axis.setHeight(LINE_PX * (2 + max(one.count("\n") for one in lines)))
        self.density.setXRange(-0.6, len(names) - 0.4)
        self.density.setYRange(0, max(d.high_per_nm2 for d in whole + parts))

    def _draw_pairs(self) -> None:
        """One pair correlation with its band."""
        self.pairs.clear()
        found = next((p for p in self._found.pairs if p.defect == self.kinds.currentText()), None)
        if found is None:
            self.pairs.setTitle("Too few points of any kind to compare their pairs with chance", size="9pt")
            return
        ends = [pg.PlotCurveItem(found.distance_nm, y) for y in (found.low, found.high)]
        self.pairs.addItem(pg.FillBetweenItem(*ends, brush=pg.mkBrush(BAND)))
        self.pairs.addItem(pg.InfiniteLine(1.0, angle=0, pen=pg.mkPen(GREY, width=1)))
        self.pairs.plot(
            found.distance_nm, found.g, pen=pg.mkPen(SKY, width=2), symbol="o", symbolSize=5, symbolBrush=SKY,
            symbolPen=None,
        )  # fmt: skip
        self.pairs.setTitle(f"{found.points} points: {found.verdict} (p = {found.p_value:.2g})", size="9pt")
        self.pairs.setXRange(0, float(found.distance_nm[-1]))
        self.pairs.setYRange(0, max(float(found.g.max()), float(np.quantile(found.high, 0.9)), 1.5))

    def _draw_map(self) -> None:
        """Density over one image; all images share the colours."""
        self.map.clear()
        found = next((m for m in self._found.maps if _name((m.image, m.frame)) == self.images.currentText()), None)
        if found is None:
            return
        image = pg.ImageItem(np.asarray(found.per_nm2, np.float32), axisOrder="row-major")
        image.setRect(QRectF(0, 0, found.size_nm[1], found.size_nm[0]))
        self.map.addItem(image)
        self.bar.setImageItem(image)
        self.bar.setLevels((0.0, self._found.highest_per_nm2))
        y, x = found.points_nm.T
        self.map.addItem(pg.ScatterPlotItem(x=x, y=y, size=3, pen=None, brush="w"))
        self.map.autoRange(padding=0.02)
        self.map.setTitle(f"smoothed by {found.smoothing_nm:.2g} nm", size="9pt")


def _dots(plot: pg.PlotWidget, rows: Sequence[Any]) -> None:
    """Counted densities with intervals, and sums of confidences beside them."""
    x = np.arange(len(rows), dtype=float)
    value, low, high, expected = (
        np.array([getattr(d, name) for d in rows])
        for name in ("per_nm2", "low_per_nm2", "high_per_nm2", "expected_per_nm2")
    )
    pen = pg.mkPen(SKY, width=2)
    plot.addItem(pg.ErrorBarItem(x=x, y=value, top=high - value, bottom=value - low, beam=CAP, pen=pen))
    plot.addItem(pg.ScatterPlotItem(x=x, y=value, size=DOT_PX, pen=None, brush=SKY))
    plot.addItem(pg.ScatterPlotItem(x=x + ASIDE, y=expected, size=DOT_PX, symbol="t", pen=None, brush=ORANGE))


def staggered(names: Sequence[str], most: int = PER_LINE) -> list[str]:
    """Names of an axis, on several lines where more than `most` stand beside each other."""
    lines = -(-len(names) // most)
    return ["\n" * (k % lines) + name for k, name in enumerate(names)]


def _name(place: tuple[str, int]) -> str:
    image, frame = place
    return f"{image} [{frame}]" if frame else image


def _fill(choice: QComboBox, names: Sequence[str]) -> None:
    """Offer names; the one that was chosen stays."""
    keep = choice.currentText()
    choice.blockSignals(True)
    choice.clear()
    choice.addItems(list(names))
    choice.setCurrentIndex(max(0, choice.findText(keep)))
    choice.setVisible(len(names) > 1)
    choice.blockSignals(False)
