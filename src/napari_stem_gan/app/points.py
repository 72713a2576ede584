"""Points layers: how rows of our table are drawn, and how a layer becomes rows again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points
from numpy.typing import NDArray

from napari_stem_gan.app.curation import ADDED, BY_HAND, CANDIDATE, KEPT, REJECTED, Columns
from napari_stem_gan.app.layers import geometry
from napari_stem_gan.app.pixel_size import is_length, pixel_size, unit_in_nm
from napari_stem_gan.app.symbols import GREY, REJECTED_SYMBOL, look_of
from napari_stem_gan.detect.table import TEXT

SIZE_PER_SPACING = 0.55
DEFAULT_SIZE_PX = 8.0
CANVAS_SIZE_LIMITS = (9, 60)
BORDER_WIDTH = 0.13
FILL_OPACITY = 0.45  # of points that the user accepted or added; undecided ones are hollow


def style(defects: Any, decisions: Any = None) -> dict[str, Any]:
    """How points look: symbols ``(N,)`` and border and face colours ``(N, 4)``.

    Parameters
    ----------
    defects
        Name of each defect, which gives symbol and colour.
    decisions
        The user's word on each; kept points are filled, rejected ones are grey crosses. None: nobody has decided.
    """
    looks = [look_of(str(name)) for name in defects]
    said = [""] * len(looks) if decisions is None else [str(one) for one in decisions]
    rejected = np.array([one == REJECTED for one in said], bool)
    border = np.array([look.rgba for look in looks], float).reshape(-1, 4)
    border[rejected] = GREY
    face = border.copy()
    face[:, 3] = [FILL_OPACITY * (one in KEPT) for one in said]
    face[rejected] = GREY
    symbols = [REJECTED_SYMBOL if no else look.symbol for look, no in zip(looks, rejected, strict=True)]
    return {"symbol": symbols, "border_color": border, "face_color": face}


@contextmanager
def awake(layer: Layer) -> Iterator[None]:
    """Make a hidden layer take new data: napari slices it only when it is seen, and then trips over the old slice."""
    hidden = not layer.visible
    if hidden:
        layer.visible = True
    yield
    if hidden:
        layer.visible = False


def fill(layer: Points, data: NDArray[np.float64], features: Mapping[str, Any]) -> None:
    """Replace the contents of a points layer without touching anything else of it.

    Parameters
    ----------
    layer
        One of our own layers.
    data
        Coordinates ``(N, 2)`` or ``(N, 3)`` in pixels.
    features
        One array of length N per feature.
    """
    layer.selected_data = set()
    with awake(layer):
        layer.data = data
        layer.features = features
        if len(data):
            for name, value in style(features["defect"], features.get("decision")).items():
                setattr(layer, name, value)
    set_defaults(layer, features)


def set_defaults(layer: Points, features: Mapping[str, Any]) -> None:
    """Make the next point drawn by hand the commonest defect, with full confidence."""
    names, counts = np.unique(np.asarray(features["defect"], dtype=str), return_counts=True)
    common = str(names[counts.argmax()]) if len(names) else ""
    where = np.flatnonzero(np.asarray(features["defect"], dtype=str) == common)
    sublattice = str(np.asarray(features["sublattice"])[where[0]]) if len(where) else ""
    set_next(layer, common, sublattice, features)


def set_next(layer: Points, defect: str, sublattice: str, features: Any) -> None:
    """Say what the next point drawn by hand is; `features` names the layer's columns."""
    known = {"defect": defect, "sublattice": sublattice, "confidence": 1.0, CANDIDATE: BY_HAND, "decision": ADDED}
    blank = {name: "" if name in TEXT else np.nan for name in features}
    layer.feature_defaults = {name: known.get(name, blank[name]) for name in blank}
    look = style([defect], [ADDED])
    layer.current_symbol = look["symbol"][0]
    layer.current_border_color, layer.current_face_color = look["border_color"][0], look["face_color"][0]


def table_columns(layer: Points, source: Image | None = None) -> dict[str, NDArray[Any]]:
    """Columns of our table from a points layer, as it is shown now.

    Parameters
    ----------
    layer
        Points with data in pixels; features that are missing become empty.
    source
        The image; its scale and units give nm. Without it the layer's own are taken.

    Returns
    -------
    dict
        The columns of `detect.table.COLUMNS` and further numbers, each an array of length N.
    """
    return columns_of(np.asarray(layer.data, dtype=float), layer.features, source if source is not None else layer)


def columns_of(data: NDArray[np.float64], features: Any, frame_of: Image | Points) -> dict[str, NDArray[Any]]:
    """Columns of our table from points ``(N, 2 or 3)`` and their features, in the frame of a layer."""
    y, x = (data[:, axis] for axis in (-2, -1))
    factors, count = nm_per_pixel(frame_of), len(data)
    columns: dict[str, Any] = {
        "image": [frame_of.name] * count,
        "frame": np.round(data[:, -3]).astype(int) if data.shape[1] > 2 else np.zeros(count, int),
        "y_px": y,
        "x_px": x,
        "y_nm": y * factors[0],
        "x_nm": x * factors[1],
        "defect": [str(value) for value in features.get("defect", [""] * count)],
        "sublattice": [str(value) for value in features.get("sublattice", [""] * count)],
        "confidence": features.get("confidence", np.ones(count)),
    }
    extra = [name for name in features if name not in columns and name != CANDIDATE]
    columns |= {name: [str(value) for value in features[name]] for name in extra if name in TEXT}
    numbers = {name: np.asarray(features[name]) for name in extra if name not in TEXT}
    columns |= {name: values for name, values in numbers.items() if np.issubdtype(values.dtype, np.number)}
    return {name: np.asarray(values) for name, values in columns.items()}


def with_nm(columns: Columns, candidates: Columns) -> Columns:
    """Fill in nm that the layer does not know with the pixel size of the candidates, which Match found."""
    if not np.isnan(columns["y_nm"]).any():
        return columns
    pixels = np.concatenate([candidates["y_px"], candidates["x_px"]])
    nm = np.concatenate([candidates["y_nm"], candidates["x_nm"]])
    good = np.isfinite(nm) & (pixels > 0)
    size = float(np.median(nm[good] / pixels[good])) if good.any() else np.nan
    return {**columns, "y_nm": columns["y_px"] * size, "x_nm": columns["x_px"] * size}


def nm_per_pixel(layer: Image | Points) -> tuple[float, float]:
    """Pixel height and width of a layer in nm; NaN where nobody knows."""
    units = layer.units[-2:]
    if all(is_length(unit) for unit in units):
        y, x = (abs(float(value)) * unit_in_nm(unit) for value, unit in zip(layer.scale[-2:], units, strict=True))
        return y, x
    size = pixel_size(layer)[0]
    return (np.nan, np.nan) if size is None else (size, size)


def point_size(spacing_px: float | None) -> float:
    """Size of points in pixels, from the lattice spacing in pixels."""
    return DEFAULT_SIZE_PX if not spacing_px else SIZE_PER_SPACING * float(spacing_px)


def points_kwargs(source: Image, ndim: int, size_px: float) -> dict[str, Any]:
    """Keyword arguments of a points layer on its source."""
    return geometry(source, ndim) | {
        "size": size_px,
        "face_color": "transparent",
        "border_width": BORDER_WIDTH,
        "border_width_is_relative": True,
        "canvas_size_limits": CANVAS_SIZE_LIMITS,
    }
