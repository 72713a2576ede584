"""Readers: microscope images with pixel size and unit, and our CSV. Neither claims what it cannot read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LayerTuples = list[tuple[Any, dict[str, Any], str]]
Reader = Callable[[Any], LayerTuples]
LEFT_TO_OTHERS = (".png", ".jpg", ".jpeg", ".bmp", ".npy", ".h5", ".hdf5")  # no pixel size, or anything at all
CONTRAST_PERCENTILES = (0.2, 99.8)
CONTRAST_STRIDE = 3


def get_image_reader(path: str | Sequence[str]) -> Reader | None:
    """The reader of microscope images, if it can read `path`.

    Parameters
    ----------
    path
        A file or several.

    Returns
    -------
    callable or None
        Takes the path, returns layer tuples; None for files of other kinds, colour TIFFs among them.
    """
    paths = as_list(path)
    return read_image_layers if paths and all(_is_image(one) for one in paths) else None


def get_table_reader(path: str | Sequence[str]) -> Reader | None:
    """The reader of our CSV, if the file begins with our columns.

    Parameters
    ----------
    path
        A file or several.

    Returns
    -------
    callable or None
        Takes the path, returns points layers; None for every other file.
    """
    from napari_stem_gan.detect.table import is_points_csv

    paths = as_list(path)
    return read_table_layers if paths and all(is_points_csv(one) for one in paths) else None


def read_image_layers(path: str | Sequence[str]) -> LayerTuples:
    """Read images; frames of one stack become one layer ``(T, Y, X)``.

    Parameters
    ----------
    path
        A file or several.

    Returns
    -------
    list of tuple
        Image layers with scale and units in nm, where the file tells the pixel size.

    Raises
    ------
    ImageError
        One sentence, if a file cannot be read.
    """
    from napari_stem_gan.io import read_images

    return [layer for one in as_list(path) for layer in image_layers(read_images(one))]


def read_table_layers(path: str | Sequence[str]) -> LayerTuples:
    """Read our CSV as points layers that land on their images."""
    from napari_stem_gan.app.csv_file import layer_tuples

    return [layer for one in as_list(path) for layer in layer_tuples(one)]


def image_layers(images: Sequence[Any], *, translate_nm: tuple[float, float] = (0.0, 0.0)) -> LayerTuples:
    """Turn images into layer tuples, one per name; several frames of a name become a stack.

    Parameters
    ----------
    images
        What `io.read_images` returns.
    translate_nm
        Where the layers begin, (y, x) in nm.

    Returns
    -------
    list of tuple
        napari layer data tuples.
    """
    import numpy as np

    groups: dict[tuple[str, tuple[int, int], float | None], list[Any]] = {}
    for image in images:
        groups.setdefault((image.name, image.shape, image.pixel_size_nm), []).append(image)
    tuples: LayerTuples = []
    for (name, _, size), frames in groups.items():
        data = frames[0].data if len(frames) == 1 else np.stack([frame.data for frame in frames])
        where = layer_place(data.ndim, size, translate_nm)
        metadata = {**frames[0].metadata, "source": frames[0].source}
        display = {"colormap": "gray", "contrast_limits": contrast_limits(data)}
        tuples.append((data, {"name": name, "metadata": metadata, **display, **where}, "image"))
    return tuples


def contrast_limits(data: Any) -> tuple[float, float]:
    """Limits that a few hot pixels or a bright spot of dirt do not spoil."""
    import numpy as np

    sample = data[..., ::CONTRAST_STRIDE, ::CONTRAST_STRIDE]
    low, high = (float(value) for value in np.percentile(sample, CONTRAST_PERCENTILES))
    return (low, high) if low < high else (float(data.min()), float(data.max()))


def layer_place(ndim: int, size_nm: float | None, translate_nm: tuple[float, float]) -> dict[str, Any]:
    """Scale, translate, units and axis labels of an image ``(Y, X)`` or stack ``(T, Y, X)``."""
    lead = ndim - 2
    labels = ("frame",) * lead + ("y", "x")
    if size_nm is None:
        return {"axis_labels": labels}
    return {
        "scale": (1.0,) * lead + (size_nm, size_nm),
        "translate": (0.0,) * lead + translate_nm,
        "units": ("pixel",) * lead + ("nm", "nm"),
        "axis_labels": labels,
    }


def as_list(path: str | Sequence[str]) -> list[str]:
    """One path or several as a list."""
    return [path] if isinstance(path, str | Path) else list(path) if isinstance(path, list | tuple) else []


def _is_image(path: str) -> bool:
    from napari_stem_gan.io import readable_suffixes

    try:
        suffix = Path(path).suffix.lower()
        if suffix not in readable_suffixes() or suffix in LEFT_TO_OTHERS or not Path(path).is_file():
            return False
        return suffix not in (".tif", ".tiff") or _is_grey_tiff(path)
    except (TypeError, ValueError, OSError):
        return False


def _is_grey_tiff(path: str) -> bool:
    """Whether a TIFF's first series is a grey image or a stack of them; others are left to napari."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            colour = series.axes[-1] == "S" or ("S" in series.axes and series.dtype.kind != "f")
            return len(series.shape) in (2, 3) and not colour
    except Exception:  # a damaged file is for whoever wants to complain about it
        return False
