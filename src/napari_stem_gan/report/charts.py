"""Charts as pictures: axes, lines, bands, points with error bars and maps, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pair = tuple[float, float]
INK, MUTED, GRID, PAPER, SHADE = "#222222", "#666666", "#dddddd", "#ffffff", "#cfe3f2"
FINE = 2  # everything is drawn this much larger and then reduced, for smooth lines
FONT_PX, TICK_PX = 15, 5
LEFT_PX, RIGHT_PX, TOP_PX, BELOW_PX = 74, 14, 52, 52
COLOURS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)  # viridis


@dataclass
class Axes:
    """One chart, drawn on a canvas of its own.

    Parameters
    ----------
    size_px
        Width and height.
    x, y
        Lowest and highest value of each axis.
    title, x_label, y_label
        Words on it.
    x_names
        Names of the places 0, 1, 2 … on the x axis; empty: numbers.
    """

    size_px: tuple[int, int]
    x: Pair
    y: Pair
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    x_names: Sequence[str] = ()
    picture: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        self.picture = Image.new("RGB", (FINE * self.size_px[0], FINE * self.size_px[1]), PAPER)
        self._draw = ImageDraw.Draw(self.picture)
        self._font = ImageFont.load_default(size=FINE * FONT_PX)
        self._frame()

    def finished(self) -> Image.Image:
        """The chart in its own size."""
        return self.picture.resize(self.size_px, Image.Resampling.LANCZOS)

    def line(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, *, width_px: float = 2) -> None:
        """A line through points; it is cut at the frame."""
        points = [self.place(*p) for p in zip(x, np.clip(y, *self.y), strict=True)]
        self._draw.line(points, fill=colour, width=round(FINE * width_px), joint="curve")

    def band(self, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """What lies between two lines, shaded."""
        upper = [self.place(*p) for p in zip(x, np.clip(high, *self.y), strict=True)]
        lower = [self.place(*p) for p in zip(x, np.clip(low, *self.y), strict=True)]
        self._draw.polygon([*upper, *lower[::-1]], fill=SHADE)

    def points(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, *, radius_px: float = 4) -> None:
        """Discs; those outside the frame are left out."""
        radius = FINE * radius_px
        for at in zip(x, y, strict=True):
            if min(self.y) <= at[1] <= max(self.y):
                left, top = self.place(*at)
                self._draw.ellipse((left - radius, top - radius, left + radius, top + radius), fill=colour)

    def error_bars(
        self, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], colour: str
    ) -> None:
        """Vertical bars with caps."""
        cap = FINE * TICK_PX
        for at, ends in zip(x, np.clip(np.stack([low, high], 1), *self.y), strict=True):
            (left, bottom), (_, top) = self.place(at, ends[0]), self.place(at, ends[1])
            self._draw.line([(left, bottom), (left, top)], fill=colour, width=round(1.5 * FINE))
            for end in (bottom, top):
                self._draw.line([(left - cap, end), (left + cap, end)], fill=colour, width=round(1.5 * FINE))

    def image(self, values: NDArray[np.float64], highest: float) -> None:
        """A map in the whole frame, first row on top; NaN stays paper."""
        box = self._box()
        rgb = mapped(values, highest)
        size = (round(box[2] - box[0]), round(box[3] - box[1]))
        self.picture.paste(Image.fromarray(rgb).resize(size, Image.Resampling.NEAREST), (round(box[0]), round(box[1])))
        self._draw.rectangle(box, outline=INK, width=FINE)

    def note(self, text: str) -> None:
        """A remark under the title."""
        left, top, right, _ = self._box()
        self._draw.text(((left + right) / 2, top - 6 * FINE), text, fill=MUTED, font=self._font, anchor="ms")

    def place(self, x: float, y: float) -> Pair:
        """Where a value lies on the large canvas, (left, top)."""
        left, top, right, bottom = self._box()
        across, up = ((v - a) / (b - a) for v, (a, b) in ((x, self.x), (y, self.y)))
        return left + across * (right - left), bottom - up * (bottom - top)

    def _box(self) -> tuple[float, float, float, float]:
        width, height = self.size_px
        return FINE * LEFT_PX, FINE * TOP_PX, FINE * (width - RIGHT_PX), FINE * (height - BELOW_PX)

    def _frame(self) -> None:
        left, top, right, bottom = self._box()
        for value in ticks(*self.y):
            at = self.place(self.x[0], value)[1]
            self._draw.line([(left, at), (right, at)], fill=GRID, width=FINE)
            self._draw.text((left - 8 * FINE, at), f"{value:g}", fill=INK, font=self._font, anchor="rm")
        names = [(float(k), name) for k, name in enumerate(self.x_names)] or [(v, f"{v:g}") for v in ticks(*self.x)]
        for value, name in names:
            at = self.place(value, self.y[0])[0]
            self._draw.line([(at, bottom), (at, bottom + TICK_PX * FINE)], fill=INK, width=FINE)
            self._draw.text((at, bottom + 8 * FINE), name, fill=INK, font=self._font, anchor="mt")
        self._draw.rectangle((left, top, right, bottom), outline=INK, width=FINE)
        self._draw.text(((left + right) / 2, 8 * FINE), self.title, fill=INK, font=self._font, anchor="mt")
        self._draw.text(
            ((left + right) / 2, bottom + 30 * FINE), self.x_label, fill=INK, font=self._font, anchor="mt"
        )
        self._upright(self.y_label, (top + bottom) / 2)

    def _upright(self, text: str, middle: float) -> None:
        """Write along the y axis."""
        if not text:
            return
        box = self._font.getbbox(text)
        words = Image.new("RGB", (int(box[2]) + FINE, int(box[3]) + 2 * FINE), PAPER)
        ImageDraw.Draw(words).text((0, 0), text, fill=INK, font=self._font)
        turned = words.rotate(90, expand=True)
        self.picture.paste(turned, (4 * FINE, round(middle - turned.height / 2)))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from `low` to `high`, `most` at most."""
    low, high = min(low, high), max(low, high)
    span = max(high - low, 1e-12)
    power = 10.0 ** np.floor(np.log10(span / most))
    step = power * next(s for s in (1, 2, 5, 10, 20) if span / (s * power) <= most)
    whole = range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)
    return [round(float(k * step), 10) for k in whole]


def mapped(values: NDArray[np.float64], highest: float) -> NDArray[np.uint8]:
    """Colours ``(rows, cols, 3)`` of values from 0 to `highest` (viridis); NaN is paper."""
    place = np.clip(np.nan_to_num(values) / max(highest, 1e-12), 0, 1) * (len(COLOURS) - 1)
    rgb = np.stack([np.interp(place, np.arange(len(COLOURS)), channel) for channel in COLOURS.T], -1)
    return np.where(np.isnan(values)[..., None], 255, rgb).astype(np.uint8)


def beside(charts: Sequence[Image.Image], columns: int) -> Image.Image:
    """Charts of one size as one picture, row by row."""
    width, height = charts[0].size
    rows = -(-len(charts) // columns)
    sheet = Image.new("RGB", (width * min(columns, len(charts)), height * rows), PAPER)
    for index, chart in enumerate(charts):
        sheet.paste(chart, (index % columns * width, index // columns * height))
    return sheet
