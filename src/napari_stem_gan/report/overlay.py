"""An image with a symbol on every defect, a legend and a scale bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_stem_gan.image import STEMImage

METALS = ("W", "Mo", "Sr", "Ba", "Ti")
SHOWN_SIDE_PX = 1024  # overlays are enlarged or reduced to about this
# Colours of Okabe and Ito, told apart by colour-blind readers; each class has its own symbol as well.
STYLES = {
    "vacancy": ("disc", (230, 159, 0)),
    "double vacancy": ("square", (240, 228, 66)),
    "metal vacancy": ("triangle", (86, 180, 233)),
    "substitution": ("diamond", (0, 158, 115)),
    "metal substitution": ("cross", (204, 121, 167)),
}
# Corners in units of the radius; closed shapes go one corner further, for a clean joint.
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "square": [[(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1), (-1, 1)]],
    "diamond": [[(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0), (0, -1.2), (1.2, 0)]],
    "triangle": [[(0, -1.2), (1.1, 0.8), (-1.1, 0.8), (0, -1.2), (1.1, 0.8)]],
    "cross": [[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]],
}


def defect_kind(defect: str) -> str:
    """Return the class in words of a defect name such as ``V_2Se``."""
    what, _, site = defect.partition("_")
    if what == "V" and site.startswith("2"):
        return "double vacancy"
    on_metal = site in METALS
    if what == "V":
        return "metal vacancy" if on_metal else "vacancy"
    return "metal substitution" if on_metal else "substitution"


def draw_overlay(
    image: STEMImage, positions_px: NDArray[np.float64], defects: Sequence[str], *, pixel_size_nm: float | None = None
) -> Image.Image:
    """Draw an image with a symbol on every defect, a legend and a scale bar.

    Parameters
    ----------
    image
        The image, shape ``(Y, X)``; shown enlarged or reduced to about 1024 pixels.
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
    scale = SHOWN_SIDE_PX / max(image.shape)
    picture = _grey(image.data, scale)
    draw = ImageDraw.Draw(picture)
    radius = max(6.0, 0.012 * max(picture.size))
    for (y, x), defect in zip(positions_px, defects, strict=True):
        _symbol(draw, (x + 0.5) * scale, (y + 0.5) * scale, radius, defect)
    _legend(draw, defects, radius)
    size_nm = pixel_size_nm or image.pixel_size_nm
    if size_nm:
        _scale_bar(draw, picture.size, size_nm / scale)
    return picture


def _grey(data: NDArray[np.float32], scale: float) -> Image.Image:
    """Stretch the contrast to the darkest and brightest few pixels, and resize."""
    low, high = np.percentile(data, (0.5, 99.7))
    stretched = np.clip((data - low) / max(float(high - low), 1e-12), 0, 1)
    picture = Image.fromarray((255 * stretched).astype(np.uint8))
    size = (max(1, round(scale * data.shape[1])), max(1, round(scale * data.shape[0])))
    return picture.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX).convert("RGB")


def _symbol(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, defect: str) -> None:
    """Draw one open symbol, so that the column below stays visible."""
    shape, colour = STYLES[defect_kind(defect)]
    width = max(2, round(radius / 5))
    if shape == "disc":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
        return
    for stroke in STROKES[shape]:
        draw.line([(x + radius * dx, y + radius * dy) for dx, dy in stroke], fill=colour, width=width, joint="curve")


def _legend(draw: ImageDraw.ImageDraw, defects: Sequence[str], radius: float) -> None:
    """List the classes with their counts in the upper left corner."""
    counts = sorted(Counter(defects).items()) or [("no defects", 0)]
    font, line = ImageFont.load_default(size=20), 2.6 * radius + 6
    draw.rectangle((0, 0, 175, line * len(counts) + 8), fill=(0, 0, 0))
    for row, (name, count) in enumerate(counts):
        middle = (row + 0.5) * line + 4
        if count:
            _symbol(draw, 24, middle, radius, name)
        draw.text((48, middle), f"{name}  {count}" if count else name, fill=(255, 255, 255), font=font, anchor="lm")


def _scale_bar(draw: ImageDraw.ImageDraw, size: tuple[int, int], shown_nm: float) -> None:
    """Draw a bar of a round length, about a fifth of the width, in the lower right corner."""
    aimed = shown_nm * size[0] / 5
    power = 10.0 ** np.floor(np.log10(aimed))
    length_nm = power * max(step for step in (1, 2, 5) if step * power <= aimed)
    x1, y1 = size[0] - 24, size[1] - 24
    x0 = x1 - length_nm / shown_nm
    draw.rectangle((x0 - 12, y1 - 42, size[0], size[1]), fill=(0, 0, 0))
    draw.rectangle((x0, y1 - 4, x1, y1 + 2), fill=(255, 255, 255))
    middle, font = (x0 + x1) / 2, ImageFont.load_default(size=20)
    draw.text((middle, y1 - 10), f"{length_nm:g} nm", fill=(255, 255, 255), font=font, anchor="mb")
