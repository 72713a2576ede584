"""Microscope formats through RosettaSciIO, and plain HDF5; both packages are optional and imported when needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_stem_gan.image import ImageError
from napari_stem_gan.io.signal import Signal

VENDOR_READERS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".ser": "tia",
    ".emi": "tia",
    ".mrc": "mrc",
    ".hspy": "hspy",
    ".prz": "pantarhei",
    ".nxs": "nexus",
    ".tvips": "tvips",
}


def read_vendor(path: Path) -> Iterator[Signal]:
    """Read the images of a microscope file through RosettaSciIO."""
    return _read_with(VENDOR_READERS[path.suffix.lower()], path)


def _read_with(reader: str, path: Path) -> Iterator[Signal]:
    try:
        module = importlib.import_module(f"rsciio.{reader}")
    except ImportError:
        raise ImageError(
            f"'{path.name}' needs RosettaSciIO; install it with: pip install 'napari-stem-gan[em]', or export as TIFF"
        ) from None
    for found in module.file_reader(str(path), lazy=False):
        signal = _signal(found)
        if signal is not None:
            yield signal


def _signal(found: dict[str, Any]) -> Signal | None:
    """Image or stack of images, or None for spectra and the like."""
    axes = [axis for axis in found["axes"] if "size" in axis]
    shown = [axis for axis in axes if not axis.get("navigate", False)]
    if len(axes) == len(shown) == 3:
        shown = shown[1:]  # a stack that does not say so
    if len(shown) != 2 or len(axes) != np.ndim(found["data"]):
        return None
    scale = (float(shown[0].get("scale", 1)), float(shown[1].get("scale", 1)))
    general = dict(found.get("metadata", {}).get("General", {}))
    return Signal(found["data"], scale, _text(shown[1].get("units")), str(general.get("title", "")), general)


def _text(unit: object) -> str:
    return "" if unit is None else str(unit)


def read_hdf5(path: Path) -> Iterator[Signal]:
    """Read the largest image of a plain HDF5 file; HyperSpy's own layout goes through RosettaSciIO."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise ImageError(f"'{path.name}' needs h5py; install it with: pip install 'napari-stem-gan[em]'") from None
    with h5py.File(path, "r") as file:
        is_hyperspy = "Experiments" in file
        found: list[Any] = []
        file.visititems(lambda _, item: found.append(item) if _is_image(item) else None)
        if found and not is_hyperspy:
            yield Signal(max(found, key=lambda item: item.size)[()])
    if is_hyperspy:
        yield from _read_with("hspy", path)


def _is_image(item: Any) -> bool:
    shape = getattr(item, "shape", ())
    return len(shape) in (2, 3) and min(shape[-2:]) >= 8 and item.dtype.kind in "uif"
