"""What every reader hands on: pixels, scale and unit; how they become calibrated grey images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.image import A_PER_NM, PIXEL_SIZE_NM, ImageError, STEMImage

A_PER_UNIT = {"pm": 0.01, "a": 1.0, "angstrom": 1.0, "nm": 10.0, "um": 1e4, "mm": 1e7, "cm": 1e8, "m": 1e10}
UNIT_NAMES = {
    "å": "a",
    "ångström": "angstrom",
    "angstroms": "angstrom",
    "picometer": "pm",
    "nanometer": "nm",
    "nanometers": "nm",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "micrometers": "um",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "metre": "m",
}
NO_UNITS = ("", "px", "pixel", "pixels", "none", "<undefined>", "undefined", "arb. unit", "dimensionless")

Size = tuple[float, float]  # pixel size along y and x


@dataclass(frozen=True)
class Signal:
    """What a reader found: pixels, scale and unit."""

    data: NDArray[Any]
    scale: Size | None = None  # along y and x
    unit: str = ""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def images(self, path: Path, name: str, pixel_size_nm: float | None = None) -> list[STEMImage]:
        """Split into frames and calibrate."""
        frames = _frames(self.data, path.name)
        size_A = self._pixel_size_A(path) if pixel_size_nm is None else pixel_size_nm * A_PER_NM
        images = []
        for number, frame in enumerate(frames):
            known: dict[str, Any] = {"name": name, "frame": number, "source": str(path), "metadata": self.metadata}
            try:
                images.append(STEMImage(data=frame, pixel_size_A=size_A, **known))
            except ImageError as error:
                place = path.name if len(frames) == 1 else f"{path.name}, frame {number}"
                raise ImageError(f"{place}: {error}") from None
        return images

    def _pixel_size_A(self, path: Path) -> float | None:
        if self.scale is None:
            return None
        try:
            factor = unit_in_A(self.unit)
        except ImageError as error:
            raise ImageError(f"{path.name}: {error}") from None
        if factor is None:
            if self.unit.strip().lower() not in NO_UNITS:
                text = f"'{path.name}' gives its pixel size in '{self.unit}', which is no length known here, so it is"
                warnings.warn(f"{text} ignored; give the pixel size in nm", stacklevel=4)
            return None
        y, x = (abs(scale) * factor for scale in self.scale)
        low, high = (limit * A_PER_NM for limit in PIXEL_SIZE_NM)
        if not (low <= y <= high and low <= x <= high):  # not a number, or one that no microscope has
            return None
        if abs(y - x) > 0.02 * max(x, y):
            raise ImageError(
                f"'{path.name}' has pixels of {y / A_PER_NM:.4g} × {x / A_PER_NM:.4g} nm; resample it to square "
                "pixels or give the pixel size in nm"
            )
        return (y + x) / 2


def is_length(unit: str) -> bool:
    """Whether `unit` is a length known here."""
    try:
        return unit_in_A(unit) is not None
    except ImageError:
        return False


def unit_in_A(unit: str) -> float | None:
    """Return the length of `unit` in Å, or None if it is no length known here.

    Raises
    ------
    ImageError
        If it is a reciprocal length or an angle: a diffraction pattern.
    """
    plain = unit.strip().lower().replace("\\u00b5", "µ").replace("_", "").replace("µ", "u").replace("μ", "u")
    if re.search(r"^1\s*/|\^?[-⁻][1¹]$|rad$", plain) and plain not in NO_UNITS:
        raise ImageError(
            f"the unit '{unit}' belongs to a diffraction pattern; load a real-space image, or give the pixel size in nm"
        )
    return A_PER_UNIT.get(UNIT_NAMES.get(plain, plain))


def _frames(data: NDArray[Any], name: str) -> list[NDArray[Any]]:
    """Grey frames ``(Y, X)`` of an image, a stack ``(T, Y, X)`` or a grey picture saved in colour."""
    data = np.asarray(data)
    if np.iscomplexobj(data) or data.dtype.kind not in "buif":
        raise ImageError(f"'{name}' must hold real numbers, got {data.dtype}; export the image itself")
    if data.size == 0:
        raise ImageError(f"'{name}' holds no image (Y, X); choose a file with an image")
    if data.ndim > 2 and data.shape[-1] in (3, 4) and min(data.shape[-3:-1]) > 4:
        data = _grey(data, name)
    while data.ndim > 2 and 1 in data.shape[:-2]:
        data = data.squeeze(data.shape.index(1))
    if data.ndim == 3:
        return list(data)
    if data.ndim != 2:
        raise ImageError(
            f"'{name}' must be an image (Y, X) or a stack (T, Y, X), got {data.ndim} dimensions {data.shape}; "
            "split it first"
        )
    return [data]


def _grey(data: NDArray[Any], name: str) -> NDArray[Any]:
    """One channel of a colour picture whose channels are equal."""
    red = data[..., 0]
    if not all(np.array_equal(red, data[..., i]) for i in (1, 2)):
        raise ImageError(f"'{name}' is a colour image; convert it to grey first")
    return red
