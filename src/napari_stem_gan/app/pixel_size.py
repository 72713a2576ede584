"""Pixel size of a layer: from its units and scale, its metadata, or its file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_stem_gan.image import ImageError

NM_PER_M = 1e9
SQUARE_TOLERANCE = 1e-3
PIXEL_SIZE_KEYS = {"pixel_size_nm": 1.0, "pixel_size_A": 0.1}
LARGEST_FILE_BYTES = 64_000_000  # larger ones would hold up the panel


def pixel_size(layer: Image) -> tuple[float | None, str]:
    """Pixel size of a layer in nm, and a remark for the user.

    Parameters
    ----------
    layer
        Its scale and units count; where there is no unit, its metadata, and then the scale as nm.

    Returns
    -------
    tuple
        Pixel size in nm or None, and the remark (may be empty).

    Raises
    ------
    ImageError
        If the layer's units are no lengths, as in a diffraction pattern.
    """
    scale = [abs(float(value)) for value in layer.scale[-2:]]
    units = layer.units[-2:]
    if all(is_length(unit) for unit in units):
        sizes = [value * unit_in_nm(unit) for value, unit in zip(scale, units, strict=True)]
        return _mean_size(sizes)
    if any("[length]" in unit.dimensionality for unit in units):
        raise ImageError(f"'{layer.name}' is in {units[-1]}, not in nm; give an image, not a diffraction pattern")
    named = _named_pixel_size(layer.metadata)
    if named is not None:
        return named, "pixel size from the metadata"
    written = _size_in_file(layer.source.path) if all(value == 1 for value in scale) else None
    if written is not None:
        return written, "pixel size from the file; the layer itself has none until it is calibrated"
    if any(value != 1 for value in scale):
        size, note = _mean_size(scale)
        return size, note or "the layer has no unit; its scale is taken as nm"
    return None, ""


def is_length(unit: Any) -> bool:
    """Whether a unit (pint) is a length."""
    return bool(unit.dimensionality == {"[length]": 1})


def unit_in_nm(unit: Any) -> float:
    """How many nm a length unit (pint) is."""
    return float((1 * unit).to("meter").magnitude * NM_PER_M)


def _mean_size(sizes: Sequence[float]) -> tuple[float, str]:
    mean = math.sqrt(sizes[0] * sizes[1])
    if abs(sizes[0] / sizes[1] - 1) > SQUARE_TOLERANCE:
        return mean, f"pixels are not square ({sizes[0]:.4g} × {sizes[1]:.4g} nm)"
    return mean, ""


def _named_pixel_size(metadata: Mapping[str, Any]) -> float | None:
    for key, factor in PIXEL_SIZE_KEYS.items():
        value = metadata.get(key)
        if isinstance(value, int | float) and value > 0:
            return float(value) * factor
    return None


def _size_in_file(path: str | None) -> float | None:
    """Pixel size in nm that the layer's own file tells, for readers that did not look."""
    try:
        file = None if path is None else Path(path)
        if file is None or not file.is_file() or file.stat().st_size > LARGEST_FILE_BYTES:
            return None
        return _read_size(file, file.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache
def _read_size(path: Path, _mtime_ns: int) -> float | None:
    from napari_stem_gan.io import read_images

    try:
        return read_images(path)[0].pixel_size_nm
    except ImageError:  # its own reader made a layer of it all the same
        return None
