"""TIFF files, and where the programs of the field leave the pixel size in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_stem_gan.image import ImageError
from napari_stem_gan.io.signal import A_PER_UNIT, NO_UNITS, Signal, Size, is_length

LARGEST_RESOLUTION_TAG_A = 1e5  # 10 µm: larger values are print settings (dots per inch)


def read_tiff(path: Path) -> Iterator[Signal]:
    """Read the first series of a TIFF file with its pixel size."""
    with tifffile.TiffFile(path) as file:
        if not len(file.pages):
            raise ValueError("it has no page")
        scale, unit = _tiff_scale(file)
        first = file.series[0]
        alike = [series for series in file.series if (series.shape, series.dtype) == (first.shape, first.dtype)]
        frames = [_colour_last(series.asarray(), series.axes, path.name) for series in alike]
        yield Signal(frames[0] if len(frames) == 1 else np.stack(frames), scale, unit)


def _colour_last(data: NDArray[Any], axes: str, name: str) -> NDArray[Any]:
    """Move the samples axis of planar colour to the end; planes that are no colours stay where they are.

    tifffile marks any three or four planes as colours unless it is told otherwise, so floats are taken for frames.
    """
    if "S" not in axes[:-1] or data.ndim != 3:
        return data
    if all(np.array_equal(data[0], plane) for plane in data[1:3]):
        return np.moveaxis(data, axes.index("S"), -1)
    if data.dtype.kind == "f":
        return data
    raise ImageError(
        f"'{name}' holds {len(data)} planes that are marked as colours of one picture; convert a colour picture to "
        "grey first, or save a stack as grey frames (tifffile: photometric='minisblack')"
    )


def _tiff_scale(file: tifffile.TiffFile) -> tuple[Size | None, str]:
    """Pixel size and unit that the writing program left; the first in a length, else the first at all."""
    page: Any = file.pages[0]
    sources = (_imagej_scale, _ome_scale, _json_scale, _instrument_scale, _resolution_scale)
    found = [scale for source in sources if (scale := source(file, page)) is not None]
    usable = [(scale, unit) for scale, unit in found if all(np.isfinite(size) and size > 0 for size in scale)]
    best = next((pair for pair in usable if is_length(pair[1])), usable[0] if usable else None)
    return (None, "") if best is None else best


def _resolution(page: Any) -> Size | None:
    """Pixel size along y and x in the tag's own unit."""
    sizes = []
    for tag in ("YResolution", "XResolution"):
        value = page.tags.valueof(tag)
        if not value or not value[0]:
            return None
        sizes.append(value[1] / value[0])
    return sizes[0], sizes[1]


def _imagej_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    metadata = file.imagej_metadata
    size = _resolution(page)
    unit = str((metadata or {}).get("unit", ""))
    if size is None or unit.lower() in (*NO_UNITS, "inch"):
        return None
    return size, unit


def _ome_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", file.ome_metadata or "")
    values = dict(re.findall(r'(PhysicalSize[XY](?:Unit)?)="([^"]*)"', pixels.group() if pixels else ""))
    if "PhysicalSizeX" not in values:
        return None
    x = float(values["PhysicalSizeX"])
    y = float(values.get("PhysicalSizeY", x))
    return (y, x), values.get("PhysicalSizeXUnit", "µm")  # the default of OME


def _json_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    """Metadata that tifffile wrote as JSON."""
    try:
        values = json.loads(page.description)
        x = float(values["PhysicalSizeX"])
        y = float(values.get("PhysicalSizeY", x))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (y, x), str(values.get("PhysicalSizeXUnit", values.get("unit", "")))


def _instrument_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    """Thermo Fisher (FEI), Zeiss and Gatan tags."""
    fei = file.fei_metadata or {}
    scan = fei.get("Scan") or fei.get("EScan") or {}
    if "PixelWidth" in scan:
        return (float(scan.get("PixelHeight", scan["PixelWidth"])), float(scan["PixelWidth"])), "m"
    zeiss = (file.sem_metadata or {}).get("ap_image_pixel_size") or (file.sem_metadata or {}).get("ap_pixel_size")
    if zeiss is not None and len(zeiss) >= 3:
        return (float(zeiss[1]), float(zeiss[1])), str(zeiss[2])
    unit, y, x = (page.tags.valueof(code) for code in (65003, 65009, 65010))  # Gatan
    if isinstance(unit, str) and isinstance(x, float) and isinstance(y, float):
        return (y, x), unit.strip("\0 ")
    return None


def _resolution_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    size = _resolution(page)
    unit = {2: ("cm", 2.54), 3: ("cm", 1.0)}.get(int(page.tags.valueof("ResolutionUnit") or 0))
    if size is None or unit is None:
        return None
    y, x = (side * unit[1] for side in size)
    return ((y, x), "cm") if x * A_PER_UNIT["cm"] < LARGEST_RESOLUTION_TAG_A else None
