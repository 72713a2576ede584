"""An image with a symbol on every defect, a legend and a scale bar."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_stem_gan.crystal.roles import usual_role
from napari_stem_gan.image import STEMImage

SHOWN_SIDE_PX = 1024, 2048  # smaller images are enlarged, larger ones reduced to this
BAND_PX, LINE_PX, RADIUS_PX = 200, 38, 12
# The same symbols and colours (Okabe and Ito's, told apart without colour vision) as in app/symbols.py.
STYLES = {
    "V_X": ("disc", "#E69F00"),
    "V_2X": ("square", "#56B4E9"),
    "V_M": ("triangle_up", "#CC79A7"),
    "S_X": ("diamond", "#009E73"),
    "S_M": ("star", "#F0E442"),
    "A": ("clobber", "#0072B2"),
    "other": ("triangle_down", "#D55E00"),
}
CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(-1, -1), (-1, 1), (1, 1), (1, -1)],
    "diamond": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
    "triangle_up": [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
    "triangle_down": [(0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
    "star": [
        ((1.3, 0.5)[k % 2] * math.sin(math.pi * k / 5), -(1.3, 0.5)[k % 2] * math.cos(math.pi * k / 5))
        for k in range(10)
    ],
    "clobber": [
        ((1 + 0.35 * math.cos(math.pi * k / 4)) * math.sin(math.pi * k / 12),
         -(1 + 0.35 * math.cos(math.pi * k / 4)) * math.cos(math.pi * k / 12))
        for k in range(24)
    ],
}  # fmt: skip


def defect_class(defect: str) -> str:
    """Return the class of a defect name, a key of `STYLES`: ``V_2Se`` is a ``V_2X``, ``ad_W`` an ``A``."""
    kind, _, site = defect.partition("_")
    if not site:
        return "other"
    if kind == "ad":
        return "A"
    if kind == "V" and site.startswith("2"):
        return "V_2X"
    metal = usual_role(site.strip("0123456789")) == "metal"
    return ("V_" if kind == "V" else "S_") + ("M" if metal else "X")


def draw_overlay(
    image: STEMImage, positions_px: NDArray[np.float64], defects: Sequence[str], *, pixel_size_nm: float | None = None
) -> Image.Image:
    """Draw an image with a symbol on every defect, a legend and a scale bar.

    Parameters
    ----------
    image
        The image, shape ``(Y, X)``; shown enlarged or reduced to 1024 to 2048 pixels.
    positions_px
        Defects, shape ``(N, 2)`` as (y, x) in pixels of `image`.
    defects
        Their names, length N.
    pixel_size_nm
        For the scale bar; the image's own if None.

    Returns
    -------
    PIL.Image.Image
        RGB picture.
    """
    side = max(image.shape)
    scale = min(max(side, SHOWN_SIDE_PX[0]), SHOWN_SIDE_PX[1]) / side
    picture = _grey(image.data, scale)
    lines = sorted(Counter(defects).items()) or [("no defects", 0)]
    canvas = Image.new("RGB", (picture.width + BAND_PX, max(picture.height, LINE_PX * (len(lines) + 2))))
    canvas.paste(picture, (BAND_PX, 0))  # legend and scale bar stand beside the image and hide nothing
    draw = ImageDraw.Draw(canvas)
    for (y, x), defect in zip(positions_px, defects, strict=True):
        _symbol(draw, BAND_PX + (x + 0.5) * scale, (y + 0.5) * scale, defect)
    _legend(draw, lines)
    size_nm = pixel_size_nm or image.pixel_size_nm
    if size_nm:
        _scale_bar(draw, canvas.height, size_nm / scale)
    return canvas


def _grey(data: NDArray[np.float32], scale: float) -> Image.Image:
    """Stretch the contrast to the darkest and brightest few pixels, and resize."""
    low, high = np.percentile(data, (0.5, 99.7))
    stretched = np.clip((data - low) / max(float(high - low), 1e-12), 0, 1)
    picture = Image.fromarray((255 * stretched).astype(np.uint8))
    size = (max(1, round(scale * data.shape[1])), max(1, round(scale * data.shape[0])))
    return picture.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX).convert("RGB")


def _symbol(draw: ImageDraw.ImageDraw, x: float, y: float, defect: str) -> None:
    """Draw one open symbol, so that the column below stays visible."""
    shape, colour = STYLES[defect_class(defect)]
    if shape == "disc":
        draw.ellipse((x - RADIUS_PX, y - RADIUS_PX, x + RADIUS_PX, y + RADIUS_PX), outline=colour, width=2)
        return
    points = [(x + RADIUS_PX * dx, y + RADIUS_PX * dy) for dx, dy in CORNERS[shape]]
    draw.line([*points, *points[:2]], fill=colour, width=2, joint="curve")


def _legend(draw: ImageDraw.ImageDraw, lines: Sequence[tuple[str, int]]) -> None:
    """List the defects with their symbols and numbers."""
    font = ImageFont.load_default(size=20)
    for row, (name, count) in enumerate(lines):
        middle = (row + 0.5) * LINE_PX
        if count:
            _symbol(draw, 24, middle, name)
        draw.text((48, middle), f"{name}  {count}" if count else name, fill="white", font=font, anchor="lm")


def _scale_bar(draw: ImageDraw.ImageDraw, height: int, shown_nm: float) -> None:
    """Draw a bar of a round length that fits the band, at its lower end."""
    longest = shown_nm * (BAND_PX - 40)
    power = 10.0 ** np.floor(np.log10(longest))
    length_nm = power * max(step for step in (1, 2, 5) if step * power <= longest)
    x1, y1 = 20 + length_nm / shown_nm, height - 20
    draw.rectangle((20, y1 - 4, x1, y1 + 2), fill="white")
    font = ImageFont.load_default(size=20)
    draw.text(((20 + x1) / 2, y1 - 10), f"{length_nm:g} nm", fill="white", font=font, anchor="mb")
