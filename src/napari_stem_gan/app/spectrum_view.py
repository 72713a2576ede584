"""The image's power spectrum with the spots of the lattice that was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from napari_stem_gan.app.symbols import ORANGE, SKY
from napari_stem_gan.crystal.spectrum import central_crop, power_spectrum

LARGEST_SIDE_PX = 1024
SIZE_PX = (600, 660)
MOST_LABELLED = 2  # |h| + |k| up to which a spot carries its indices
SPOT_PX = 17
BELOW_PX = 12  # pyqtgraph clips the label of a lower axis
SHADE = (0, 0, 0, 120)
ABOVE, BELOW = 1.45, -0.45  # anchors of labels, in their heights
LOOKS = (("o", SKY), ("s", ORANGE))  # the lattice, other grains
LEVELS = (0.5, 0.9998)  # quantiles shown as black and white
MARGIN = 2.2  # shown at first: this many times the highest labelled frequency
HELP = "Wheel zooms, dragging moves. Circles: where the matched lattice has its reflections; squares: another grain's."

Spots = tuple[NDArray[Any], NDArray[np.float64]]


class SpectrumView(QDialog):
    """A window with the log power spectrum, spots circled and the low ones labelled (h k).

    Parameters
    ----------
    parent
        Qt parent; the window closes with it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spots: list[pg.ScatterPlotItem] = []
        self.labels: list[pg.TextItem] = []
        self._build()

    def show_image(self, title: str, image: Any, lattices: Sequence[Spots], pixel_size_nm: float | None) -> None:
        """Show the spectrum of an image.

        Parameters
        ----------
        title
            What is shown, with its pixel size.
        image
            Pixels, shape ``(Y, X)``; of a large one the middle is taken.
        lattices
            Indices ``(N, 2)`` and frequencies ``(N, 2)`` as (fy, fx) in cycles per pixel, the match first, then each
            other grain.
        pixel_size_nm
            Axes are in 1/nm with it, in cycles per pixel without.
        """
        unit = 1.0 if pixel_size_nm is None else 1.0 / pixel_size_nm
        log_power = log_spectrum(image)
        self._clear()
        self.title.setText(title)
        self.image.setImage(log_power, levels=np.quantile(log_power, LEVELS), autoLevels=False)
        self.image.setRect(frequency_rectangle(log_power.shape, unit))
        for axis, name in (("bottom", "x"), ("left", "y")):
            self.plot.setLabel(axis, f"along {name} ({'cycles per pixel' if pixel_size_nm is None else '1/nm'})")
        for index, (hk, frequency) in enumerate(lattices):
            self._add_spots(np.asarray(hk), np.asarray(frequency, float) * unit, grain=index)
        self._fit([np.abs(f[low_orders(hk)]).max(initial=0.0) for hk, f in lattices], unit)

    def _build(self) -> None:
        self.setWindowTitle("Power spectrum")
        self.resize(*SIZE_PX)
        self.title, help_text = QLabel(), QLabel(HELP)
        for label in (self.title, help_text):
            label.setWordWrap(True)
        self.title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.plot = pg.PlotWidget()
        self.plot.setAspectLocked(True)
        self.plot.invertY(True)
        self.plot.getPlotItem().layout.setContentsMargins(0, 0, 0, BELOW_PX)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.image.setColorMap(pg.colormap.get("viridis"))
        self.plot.addItem(self.image)
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.plot, 1)
        layout.addWidget(help_text)

    def _clear(self) -> None:
        for item in (*self.spots, *self.labels):
            self.plot.removeItem(item)
        self.spots, self.labels = [], []

    def _add_spots(self, hk: NDArray[Any], frequency: NDArray[np.float64], *, grain: int) -> None:
        symbol, colour = LOOKS[min(grain, len(LOOKS) - 1)]
        pen = pg.mkPen(colour, width=1.8)
        y, x = frequency.T
        spots = pg.ScatterPlotItem(x=x, y=y, symbol=symbol, size=SPOT_PX, pen=pen, brush=None)
        self.plot.addItem(spots)
        self.spots.append(spots)
        low = low_orders(hk, MOST_LABELLED if grain == 0 else 1)
        for (h, k), (y, x) in zip(hk[low], frequency[low], strict=True):
            text = pg.TextItem(f"{h} {k}", color=colour, anchor=(0.5, ABOVE if grain == 0 else BELOW), fill=SHADE)
            text.setPos(x, y)
            self.plot.addItem(text)
            self.labels.append(text)

    def _fit(self, highest: Sequence[float], unit: float) -> None:
        reach = min(0.5, MARGIN * max(highest, default=0.0) or 0.5) * unit
        self.plot.setRange(xRange=(-reach, reach), yRange=(-reach, reach), padding=0.0)


def low_orders(hk: NDArray[Any], most: int = MOST_LABELLED) -> NDArray[np.bool_]:
    """Which spots carry their indices: |h| + |k| up to `most`, one of each pair (h k), (−h −k)."""
    h, k = np.asarray(hk).T
    return (np.abs(h) + np.abs(k) <= most) & ((h > 0) | ((h == 0) & (k > 0)))


def log_spectrum(image: Any) -> NDArray[np.float32]:
    """Logarithm of the power, zero frequency at ``(Y // 2, X // 2)``."""
    power = power_spectrum(np.asarray(central_crop(image, LARGEST_SIDE_PX), dtype=np.float32))
    return np.log10(power + np.float32(1e-12) * power.max() + np.finfo(np.float32).tiny)


def frequency_rectangle(shape: tuple[int, int], unit: float) -> QRectF:
    """Where an image of frequencies lies so that the middle of bin ``(Y // 2, X // 2)`` is at 0."""
    height, width = shape
    left, top = -(width // 2 + 0.5) / width, -(height // 2 + 0.5) / height
    return QRectF(left * unit, top * unit, unit, unit)
