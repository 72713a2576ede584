"""The evidence for one point as a card: crops, a line through the column, and the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_stem_gan.app.curation import ADDED
from napari_stem_gan.app.symbols import ORANGE, SKY, look_of

CROPS = ("raw", "restored", "usual", "residual")
TITLES = {"raw": "raw", "restored": "restored", "usual": "like places", "residual": "difference, σ"}
TIPS = (
    "Raw: the image itself. Like places: the median of the same place in the cells around. Difference: raw minus like "
    "places in standard deviations, blue darker, red brighter. The line is the one drawn below."
)
SIGMAS = 6.0  # black and white of the difference
CROPS_HEIGHT_PX, LINE_HEIGHT_PX = 112, 118
QUANTILES = (0.01, 0.99)
RING_PX = 18
BELOW_PX = 12  # pyqtgraph clips the label of a lower axis
POSITION_ERROR, PM_PER_NM = "position_error_nm", 1000
EVENTS = {
    "created": "created here", "filled": "filled in the next frame", "moved": "moved here", "changed": "was another",
}  # fmt: skip
HEADROOM = 0.45  # above the curves, for the legend
GREY, BAND = (150, 150, 150), (150, 150, 150, 70)
EMPTY = "Press Next, or select one point of the defects layer, to see what speaks for it."


class EvidenceCard(QWidget):
    """Crops, profile and numbers of one point; it decides nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build()
        self.clear()

    def clear(self, why: str = EMPTY) -> None:
        """Show nothing but a sentence."""
        self.numbers.setText(why)
        self.crops.hide()
        self.line.hide()

    def show_evidence(self, evidence: Any, position_px: Any, defect: str, nm_per_px: float | None, text: str) -> None:
        """Show the evidence for a point.

        Parameters
        ----------
        evidence
            What `workflow.point_evidence` gave.
        position_px
            The point, (y, x) in pixels of the image.
        defect
            Its name, for the ring's colour.
        nm_per_px
            Pixel size; without it the line is in pixels.
        text
            Numbers and words, rich text.
        """
        self.numbers.setText(text)
        self._show_crops(evidence, np.asarray(position_px, float) - evidence.corner_px, look_of(defect).colour)
        self._show_line(evidence.profile, nm_per_px)
        self.crops.show()
        self.line.show()

    def _show_crops(self, evidence: Any, place: Any, colour: str) -> None:
        self.crops.clear()
        levels = tuple(float(q) for q in np.nanquantile(evidence.raw, QUANTILES))
        ends = evidence.profile.ends_px - evidence.corner_px
        shown = [(name, getattr(evidence, name)) for name in CROPS if getattr(evidence, name) is not None]
        for column, (name, crop) in enumerate(shown):
            self.crops.addLabel(TITLES[name], row=0, col=column, size="7pt")
            view = self.crops.addViewBox(row=1, col=column, lockAspect=True, invertY=True, enableMouse=False)
            view.setDefaultPadding(0)
            item = pg.ImageItem(crop, axisOrder="row-major", levels=_levels(name, crop, levels))
            if name == "residual":
                item.setColorMap(pg.colormap.get("CET-D1A"))
            view.addItem(item)
            self._mark(view, place + 0.5, ends + 0.5, colour, with_line=column == 0)

    def _mark(self, view: Any, place: Any, ends: Any, colour: str, *, with_line: bool) -> None:
        if with_line:
            view.addItem(pg.PlotCurveItem(x=ends[:, 1], y=ends[:, 0], pen=pg.mkPen(ORANGE, width=1, style=Qt.DashLine)))
        ring = pg.ScatterPlotItem(
            x=[place[1]], y=[place[0]], symbol="o", size=RING_PX, brush=None, pen=pg.mkPen(colour, width=1.5)
        )
        view.addItem(ring)

    def _show_line(self, profile: Any, nm_per_px: float | None) -> None:
        self.line.clear()
        x = profile.distance_px * (nm_per_px or 1.0)
        self.line.setLabel("bottom", "along the line (px)" if nm_per_px is None else "along the line (nm)")
        if np.isfinite(profile.usual).all():
            low = pg.PlotDataItem(x, profile.usual - profile.spread, pen=None)
            high = pg.PlotDataItem(x, profile.usual + profile.spread, pen=None)
            for item in (low, high, pg.FillBetweenItem(low, high, brush=BAND)):
                self.line.addItem(item)
            self.line.plot(x, profile.usual, pen=pg.mkPen(GREY, width=1.5), name="like places ± σ")
        self.line.plot(x, profile.values, pen=pg.mkPen(SKY, width=2), name="here", connect="finite")
        self.line.addItem(pg.InfiniteLine(0.0, pen=pg.mkPen(ORANGE, width=1, style=Qt.DotLine)))
        self.line.setXRange(x[0], x[-1], padding=0.0)
        every = np.concatenate([profile.values, profile.usual])
        low, high = (float(q) for q in np.nanquantile(every, (0, 1)))
        self.line.setYRange(low, high + HEADROOM * (high - low), padding=0.02)

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.numbers = QLabel()
        self.numbers.setWordWrap(True)
        self.numbers.setTextFormat(Qt.TextFormat.RichText)
        self.numbers.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.crops = pg.GraphicsLayoutWidget()
        self.crops.setFixedHeight(CROPS_HEIGHT_PX)
        self.crops.setToolTip(TIPS)
        self.crops.ci.setContentsMargins(0, 0, 0, 0)
        self.crops.ci.setSpacing(2)
        self.line = pg.PlotWidget()
        self.line.setFixedHeight(LINE_HEIGHT_PX)
        self.line.setToolTip("Brightness along the dashed line, through the column and its nearest neighbour")
        self.line.setMouseEnabled(x=False, y=False)
        self.line.hideAxis("left")
        self.line.getAxis("bottom").enableAutoSIPrefix(False)
        self.line.getPlotItem().layout.setContentsMargins(0, 0, 0, BELOW_PX)
        self.line.addLegend(offset=(-1, 1), labelTextSize="7pt", colCount=2)
        for widget in (self.numbers, self.crops, self.line):
            column.addWidget(widget)


def _levels(name: str, crop: Any, raw: tuple[float, float]) -> tuple[float, float]:
    """Black and white: the difference's are fixed, restored has its own, the others share the raw crop's."""
    if name == "residual":
        return -SIGMAS, SIGMAS
    return tuple(float(q) for q in np.nanquantile(crop, QUANTILES)) if name == "restored" else raw


def words(row: Mapping[str, Any], z_here: float, like_places: int) -> str:
    """The numbers of a point in words.

    Parameters
    ----------
    row
        Cells of the table by column; what is missing or NaN is left out.
    z_here
        How many standard deviations darker than at like places nearby, measured on the crop.
    like_places
        How many like places.
    """
    site = f" on {row['sublattice']}" if row.get("sublattice") else ""
    network, ratio, error = _number(row, "network_score"), _number(row, "intensity_ratio"), _value(row, POSITION_ERROR)
    against = [f"{ratio} × its neighbours" if ratio else "", _brighter(-_value(row, "z_score"))]
    sure = f"confidence {_with_error(row, 'confidence', 'confidence_spread')}"
    here = f"crop: {_brighter(-z_here)} than {like_places} like places"
    lines = [
        f"<b>{row['defect']}</b>{site} · {row.get('decision') or 'undecided'}",
        f"{sure} · network {network}" if network else "" if row.get("decision") == ADDED else sure,
        ", ".join(part for part in against if part),
        here if like_places else "no lattice, so no like places",
        "" if np.isnan(error) else f"position ± {PM_PER_NM * error:.1f} pm",
        _track(row),
    ]
    return "<br>".join(line for line in lines if line)


def _track(row: Mapping[str, Any]) -> str:
    """Which defect of a stack it is, and what happened to it here."""
    number, events = _value(row, "track_id"), str(row.get("event") or "").split("+")
    return "" if np.isnan(number) else ", ".join([f"track {number:.0f}", *(EVENTS[e] for e in events if e in EVENTS)])


def _value(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name, np.nan)
    return float(value) if isinstance(value, int | float | np.number) else np.nan


def _number(row: Mapping[str, Any], name: str) -> str:
    value = _value(row, name)
    return "" if np.isnan(value) else f"{value:.2f}"


def _with_error(row: Mapping[str, Any], name: str, error: str) -> str:
    both = _number(row, name), _number(row, error)
    return " ± ".join(part for part in both if part)


def _brighter(z: float) -> str:
    return "" if np.isnan(z) else f"{abs(z):.1f} σ {'brighter' if z >= 0 else 'darker'}"
