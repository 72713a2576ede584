"""Points layers: a table shown as points, filtered by confidence, and read back with the user's edits.

All candidates stay in the result; the layer shows those above the threshold. Points that the user
deletes stay deleted, points that the user adds or moves stay where they are, whatever the slider does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points
from numpy.typing import NDArray

from napari_stem_gan.app.layers import geometry
from napari_stem_gan.app.pixel_size import is_length, pixel_size, unit_in_nm
from napari_stem_gan.app.symbols import look_of

Columns = Mapping[str, NDArray[Any]]

CANDIDATE = "candidate"  # row in the full table; −1 for a point added by hand
BY_HAND = -1
PLACE = ("image", "frame", "y_px", "x_px", "y_nm", "x_nm")  # in the layer's data, name and scale; the rest are features
TEXT = ("defect", "sublattice")
SIZE_PER_SPACING = 0.55
DEFAULT_SIZE_PX = 8.0
CANVAS_SIZE_LIMITS = (9, 60)
BORDER_WIDTH = 0.13
MOVED_PX = 1e-3


class CandidatePoints:
    """All candidates of one source layer, and the points layer that shows some of them.

    Parameters
    ----------
    columns
        Columns of the full table (see `detect.table.COLUMNS`), each of length N.
    ndim
        2 for an image, 3 for a stack.
    image_name
        Name of the source, for points added by hand.
    """

    def __init__(self, columns: Columns, ndim: int, image_name: str) -> None:
        self.columns = {name: np.asarray(column) for name, column in columns.items()}
        self.ndim = ndim
        self.image_name = image_name
        self._rejected: set[int] = set()
        self._shown: set[int] = set()
        self._moved: dict[int, NDArray[np.float64]] = {}
        self._added = _Added(np.zeros((0, ndim)))

    def coordinates(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Points of some rows, shape ``(N, 2)`` as (y, x) or ``(N, 3)`` as (frame, y, x), in pixels."""
        names = ("frame", "y_px", "x_px")[-self.ndim :]
        return np.stack([np.asarray(self.columns[name], dtype=float)[rows] for name in names], axis=1)

    def remember_edits(self, layer: Points) -> None:
        """Take over what the user deleted, moved or added since the layer was last filled."""
        data = np.asarray(layer.data, dtype=float)
        ids = np.asarray(layer.features[CANDIDATE], dtype=int) if CANDIDATE in layer.features else np.zeros(0, int)
        seen: set[int] = set()
        by_hand = []
        for index, row in enumerate(ids):
            if row in seen or row not in self._shown:
                by_hand.append(index)
                continue
            seen.add(int(row))
            if np.abs(data[index] - self.coordinates(np.array([row]))[0]).max() > MOVED_PX:
                self._moved[int(row)] = data[index]
        self._rejected |= self._shown - seen
        self._added = _Added.from_layer(layer, by_hand)

    def rows(self, threshold: float) -> NDArray[np.intp]:
        """Rows of the full table that are at least `threshold` sure and were not deleted by hand."""
        sure = np.flatnonzero(np.asarray(self.columns["confidence"], dtype=float) >= threshold)
        return sure[~np.isin(sure, list(self._rejected))] if self._rejected else sure

    def contents(self, threshold: float) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
        """Data and features of the points layer at a threshold.

        Parameters
        ----------
        threshold
            Lowest confidence shown, 0 to 1.

        Returns
        -------
        tuple
            Coordinates ``(N, 2)`` or ``(N, 3)`` and one array of length N per feature.
        """
        rows = self.rows(threshold)
        self._shown = {int(row) for row in rows}
        data = self.coordinates(rows)
        for place, row in enumerate(rows):
            data[place] = self._moved.get(int(row), data[place])
        features = {name: column[rows] for name, column in self.columns.items() if name not in PLACE}
        return self._added.join(data, features | {CANDIDATE: rows})


@dataclass(frozen=True)
class _Added:
    """Points that the user added by hand: data ``(N, ndim)``, defect and sublattice of each."""

    data: NDArray[np.float64]
    defect: tuple[str, ...] = ()
    sublattice: tuple[str, ...] = ()

    @classmethod
    def from_layer(cls, layer: Points, indices: list[int]) -> _Added:
        names = [tuple(str(layer.features[name].iloc[i]) for i in indices) for name in TEXT]
        return cls(np.asarray(layer.data, dtype=float)[indices], *names)

    def join(self, data: NDArray[np.float64], features: dict[str, NDArray[Any]]) -> tuple[Any, dict[str, Any]]:
        """Candidates and these points, one after the other."""
        count = len(self.data)
        mine: dict[str, Any] = {"defect": self.defect, "sublattice": self.sublattice, "confidence": [1.0] * count}
        mine[CANDIDATE] = [BY_HAND] * count
        columns = {}
        for name, column in features.items():
            values = [*column.tolist(), *mine.get(name, [np.nan] * count)]
            columns[name] = np.array(values, dtype=object if name in TEXT else column.dtype)
        return np.concatenate([data, self.data]), columns


def style(defects: NDArray[Any]) -> dict[str, Any]:
    """Symbols and border colours of points, shape ``(N,)`` each."""
    looks = [look_of(str(name)) for name in defects]
    return {"symbol": [look.symbol for look in looks], "border_color": [look.colour for look in looks]}


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
            look = style(np.asarray(features["defect"]))
            layer.symbol = look["symbol"]
            layer.border_color = look["border_color"]
    set_defaults(layer, features)


def set_defaults(layer: Points, features: Mapping[str, Any]) -> None:
    """Make the next point added by hand the commonest defect, with full confidence."""
    names, counts = np.unique(np.asarray(features["defect"], dtype=str), return_counts=True)
    common = str(names[counts.argmax()]) if len(names) else ""
    where = np.flatnonzero(np.asarray(features["defect"], dtype=str) == common)
    sublattice = str(np.asarray(features["sublattice"])[where[0]]) if len(where) else ""
    known = {"defect": common, "sublattice": sublattice, "confidence": 1.0, CANDIDATE: BY_HAND}
    layer.feature_defaults = {name: known.get(name, np.nan) for name in features}
    look = look_of(common)
    layer.current_symbol, layer.current_border_color = look.symbol, look.colour


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
    frame_of = source if source is not None else layer
    data = np.asarray(layer.data, dtype=float)
    y, x = (data[:, axis] for axis in (-2, -1))
    factors = nm_per_pixel(frame_of)
    features = layer.features
    count = len(data)
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
    numbers = {name: features[name] for name in extra if np.issubdtype(features[name].dtype, np.number)}
    return {name: np.asarray(values) for name, values in (columns | numbers).items()}


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
