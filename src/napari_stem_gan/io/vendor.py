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
    ".mrcz": "mrcz",
    ".hspy": "hspy",
    ".prz": "pantarhei",
    ".nxs": "nexus",
    ".tvips": "tvips",
}


def read_vendor(path: Path) -> Iterator[Signal]:
    """Microscope formats through RosettaSciIO, an optional package."""
    try:
        module = importlib.import_module(f"rsciio.{VENDOR_READERS[path.suffix.lower()]}")
    except ImportError:
        raise ImageError(
            f"'{path.name}' needs RosettaSciIO; install it with: pip install 'napari-stem-gan[em]', or export as TIFF"
        ) from None
    for signal in module.file_reader(str(path), lazy=False):
        axes = [axis for axis in signal["axes"] if "size" in axis]
        shown = [axis for axis in axes if not axis.get("navigate", False)]
        if len(shown) != 2 or len(axes) != np.ndim(signal["data"]):
            continue
        units = [_text(axis.get("units")) for axis in shown]
        scale = (float(shown[0].get("scale", 1)), float(shown[1].get("scale", 1)))
        general = dict(signal.get("metadata", {}).get("General", {}))
        yield Signal(signal["data"], scale, units[1], str(general.get("title", "")), general)


def _text(unit: object) -> str:
    return "" if unit is None else str(unit)


def read_hdf5(path: Path) -> Iterator[Signal]:
    """The largest image in a plain HDF5 file; HyperSpy's own layout through RosettaSciIO."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise ImageError(f"'{path.name}' needs h5py; install it with: pip install 'napari-stem-gan[em]'") from None
    with h5py.File(path, "r") as file:
        if "Experiments" in file:
            raise ImageError(f"'{path.name}' is a HyperSpy file; rename it to '{path.stem}.hspy'")
        found: list[Any] = []
        file.visititems(lambda _, item: found.append(item) if _is_image(item) else None)
        if found:
            yield Signal(max(found, key=lambda item: item.size)[()])


def _is_image(item: Any) -> bool:
    shape = getattr(item, "shape", ())
    return len(shape) in (2, 3) and min(shape[-2:]) >= 8 and item.dtype.kind in "uif"
