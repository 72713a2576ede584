"""The image that a step works on: its bad pixels filled in, its brightness in a unit whose powers stay numbers."""

from __future__ import annotations

from dataclasses import dataclass

from napari_stem_gan.bad_pixels import mended
from napari_stem_gan.image import STEMImage


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a step works on.

    Parameters
    ----------
    image
        The image to work on, shape ``(Y, X)``; the same object where nothing was to be done.
    unit
        Times this, its brightness is the user's: a power of two, 1 unless the image is very faint or bright.
    """

    image: STEMImage
    unit: float


def prepare(image: STEMImage) -> Prepared:
    """Make a user's image ready to work on; every step that looks at brightness does it once, at its door.

    Parameters
    ----------
    image
        As the user gave it, perhaps with hot pixels or in ampere; it is not changed.
    """
    mend = mended(image)
    return Prepared(image=mend.in_brightness_unit(), unit=mend.brightness_unit)
