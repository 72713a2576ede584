"""Points layers and our CSV: how the app writes it, and how it lands on the image again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

import napari_stem_gan
from napari_stem_gan.app.compat import current_viewer
from napari_stem_gan.app.curation import PLACE
from napari_stem_gan.app.layers import Source
from napari_stem_gan.app.points import BORDER_WIDTH, CANVAS_SIZE_LIMITS, DEFAULT_SIZE_PX, style
from napari_stem_gan.app.results import ResultLayers

if TYPE_CHECKING:
    from napari_stem_gan.detect.table import PointTable

Columns = Mapping[str, NDArray[Any]]
PLACES = "layers"


def place_of(layer: Layer) -> dict[str, Any]:
    """Where a layer lies, JSON-able, for the last two axes."""
    return {
        "scale": [float(value) for value in layer.scale[-2:]],
        "translate": [float(value) for value in layer.translate[-2:]],
        "units": [str(value) for value in layer.units[-2:]],
        "axis_labels": list(layer.axis_labels[-2:]),
        "ndim": int(layer.ndim),
    }


def write_tables(path: str, results: ResultLayers, provenance: Mapping[str, Any], threshold: float) -> int:
    """Write the points that are shown on all sources to one CSV with a JSON beside it.

    Parameters
    ----------
    path
        The CSV file.
    results
        Our layers.
    provenance
        What the points were made from (see `workflow.provenance`).
    threshold
        Lowest confidence shown now.

    Returns
    -------
    int
        Number of rows written.
    """
    pairs = results.of_kind("defects")
    places = {source.name: place_of(source) for source, _ in pairs}
    return write_columns(path, results.tables(rejected=True), places, {**provenance, "threshold": threshold})


def write_columns(
    path: str, tables: Sequence[Columns], places: Mapping[str, Any], provenance: Mapping[str, Any]
) -> int:
    """Write columns of several layers as one table of ours.

    Parameters
    ----------
    path
        The CSV file.
    tables
        Columns of `detect.table.COLUMNS`, one mapping per layer.
    places
        For each image name, where its layer lies (see `place_of`).
    provenance
        More for the JSON.

    Returns
    -------
    int
        Number of rows written.
    """
    from napari_stem_gan.detect.table import PointTable
    from napari_stem_gan.io import to_jsonable

    table = PointTable.concat(PointTable(columns) for columns in tables)
    record = {"version": napari_stem_gan.__version__, PLACES: dict(places), **provenance}
    table.to_csv(Path(path), provenance=to_jsonable(record))
    return len(table)


def layer_tuples(path: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Read one of our tables as points layers, one per image, each exactly on its image.

    Where an image lies is taken, in this order, from the layer of that name in the viewer, from the
    JSON beside the CSV, and from the ratio of nm to pixels in the CSV itself.

    Parameters
    ----------
    path
        The CSV file.

    Returns
    -------
    list of tuple
        napari layer data tuples.
    """
    from napari_stem_gan.workflow import read_points

    table = read_points(path)
    places = _places_beside(path)
    names = list(dict.fromkeys(str(name) for name in table["image"]))
    if not names:
        return [(np.zeros((0, 2)), {"name": Path(path).stem}, "points")]
    tuples = []
    for name in names:
        part = table.where(table["image"] == name)
        tuples.append(_points_tuple(part.columns, name, _place(name, part.columns, places)))
    return tuples


def points_on(path: str, sources: Sequence[Source]) -> tuple[list[tuple[Source, Columns]], int]:
    """Read the points of some images from one of our tables.

    Parameters
    ----------
    path
        The CSV file.
    sources
        The images that are open.

    Returns
    -------
    tuple
        Columns for each source with points, and how many points lie outside their image or its frames.

    Raises
    ------
    ValueError
        If the table cannot be read or has no point on any of the images.
    """
    from napari_stem_gan.workflow import read_points

    table = read_points(path)
    parts = [(source, table.where(table["image"] == source.name)) for source in sources]
    kept = [(source, part.where(_inside(source, part))) for source, part in parts]
    lost = sum(len(part) for _, part in parts) - sum(len(part) for _, part in kept)
    if not any(len(part) for _, part in kept):
        names = ", ".join(sorted({str(name) for name in table["image"]})) or "none"
        got = f"{lost} outside of it" if lost else names
        raise ValueError(f"'{path}' must hold points of an image that is open, got {got}; open that image")
    return [(source, part.columns) for source, part in kept if len(part)], lost


def _inside(source: Source, table: PointTable) -> NDArray[np.bool_]:
    inside = (table.positions_px >= -0.5) & (table.positions_px <= np.array(source.shape) - 0.5)
    return np.asarray(inside.all(1) & (table["frame"] >= 0) & (table["frame"] < source.frames))


def _points_tuple(columns: Columns, name: str, place: Mapping[str, Any]) -> tuple[Any, dict[str, Any], str]:
    ndim = 3 if place.get("ndim", 2) > 2 or np.any(columns["frame"] > 0) else 2
    data = np.stack([np.asarray(columns[axis], float) for axis in ("frame", "y_px", "x_px")[-ndim:]], axis=1)
    lead = {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": "frame"}
    where = {key: ((lead[key],) if ndim == 3 else ()) + tuple(place[key]) for key in lead}
    features = {key: column for key, column in columns.items() if key not in PLACE}
    size = {"size": DEFAULT_SIZE_PX, "canvas_size_limits": CANVAS_SIZE_LIMITS}
    border = {"border_width": BORDER_WIDTH, "border_width_is_relative": True}
    look = style(columns["defect"], columns.get("decision"))
    return data, {"name": f"{name} points", "features": features, **where, **size, **border, **look}, "points"


def _places_beside(path: str) -> Mapping[str, Any]:
    from napari_stem_gan.io import read_json

    try:
        places = read_json(Path(path).with_suffix(".json")).get(PLACES, {})
    except (OSError, ValueError, AttributeError):  # no JSON, or another program's: the CSV alone is enough
        return {}
    return places if isinstance(places, dict) else {}


def _place(name: str, columns: Columns, places: Mapping[str, Any]) -> Mapping[str, Any]:
    viewer = current_viewer()
    layers = [] if viewer is None else [one for one in viewer.layers if isinstance(one, Image) and one.name == name]
    if layers:
        return place_of(layers[-1])
    ratio = _nm_per_pixel(columns)
    unit = "pixel" if ratio is None else "nm"
    plain = {"scale": [ratio or 1.0] * 2, "translate": [0.0, 0.0], "units": [unit] * 2, "axis_labels": ["y", "x"]}
    recorded = places.get(name)
    return recorded if isinstance(recorded, dict) and set(plain) <= set(recorded) else plain


def _nm_per_pixel(columns: Columns) -> float | None:
    pixels = np.concatenate([columns["y_px"], columns["x_px"]])
    nm = np.concatenate([columns["y_nm"], columns["x_nm"]])
    good = np.isfinite(nm) & (np.abs(pixels) > 0)
    ratio = float((nm[good] * pixels[good]).sum() / (pixels[good] ** 2).sum()) if good.any() else 0.0
    return ratio if ratio > 0 else None
