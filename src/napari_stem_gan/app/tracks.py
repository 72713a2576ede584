"""Tracks of defects over the frames of a stack as a napari Tracks layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Tracks
from numpy.typing import NDArray

from napari_stem_gan.app.layers import geometry
from napari_stem_gan.app.results import ResultLayers, place

KIND = "tracks"
LOOK = {"tail_width": 3, "tail_length": 1000, "colormap": "viridis", "hide_completed_tracks": False}
HIDDEN = "nothing counts"  # mark of a layer that we hid, so that one the user hid stays hidden
EVENTS = ("created", "filled", "moved", "changed")
VERTICES = ("track_id", "frame", "y_px", "x_px")


def vertices(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Vertices ``(N, 4)`` as (track, frame, y, x) ordered by track and frame; points without a track left out."""
    table = np.stack([np.asarray(columns[name], float) for name in VERTICES], axis=1)
    table = table[np.isfinite(table[:, 0])]
    return table[np.lexsort((table[:, 1], table[:, 0]))]


def show_tracks(results: ResultLayers, source: Any, columns: Mapping[str, NDArray[Any]]) -> Tracks | None:
    """Show tracks on a stack; None where there are none, and those of an earlier run are taken away.

    Parameters
    ----------
    results
        Our layers in the viewer.
    source
        The image layer.
    columns
        Columns of the table of all its frames, perhaps with ``track_id``.
    """
    layer = results.find(source, KIND)
    data = vertices(columns) if "track_id" in columns and source.ndim == 3 else np.zeros((0, 4))
    if not len(data):
        if layer is not None:
            results.viewer.layers.remove(layer)
        return None
    if layer is None:
        layer = Tracks(data, name=f"{source.name} {KIND}", **geometry(source, 3), **LOOK)
        return results.add(source, KIND, layer)
    layer.data = data
    place(layer, geometry(source, 3))
    return layer


def follow_tracks(results: ResultLayers) -> str:
    """Show only tracks with a point that counts now, after the slider moved or points were decided on.

    Returns
    -------
    str
        How many tracks there are, and what happened on them; empty where there is none.
    """
    told: list[NDArray[Any]] = []
    frames = 0
    for one, _ in results.curated.each():
        columns, rows = one.points.columns, one.points.rows(results.curated.threshold)
        if "track_id" not in columns or one.source.ndim != 3:
            continue
        frames += one.source.data.shape[0]
        rows = rows[np.isfinite(np.asarray(columns["track_id"], float)[rows])]
        told.append(np.stack([columns["track_id"][rows].astype(int).astype(str), columns["event"][rows]]))
        layer = results.find(one.source, KIND)
        if layer is not None:
            _keep(layer, vertices(columns), columns["track_id"][rows])
    return "" if not any(len(ids) for ids, _ in told) else _sentence(told, frames)


def _keep(layer: Tracks, data: NDArray[np.float64], ids: NDArray[Any]) -> None:
    """Show some tracks; napari has no empty layer of tracks, so it is hidden while there is none."""
    data = data[np.isin(data[:, 0], ids)]
    if not len(data):
        layer.metadata[HIDDEN] = layer.metadata.get(HIDDEN, False) or layer.visible
        layer.visible = False
        return
    if not np.array_equal(layer.data, data):
        layer.data = data
    if layer.metadata.pop(HIDDEN, False):
        layer.visible = True


def _sentence(told: list[NDArray[Any]], frames: int) -> str:
    """E.g. ``24 tracks over 5 frames: 1 created, 1 filled``."""
    count = sum(len(set(ids)) for ids, _ in told)
    events = Counter(name for _, cells in told for cell in cells for name in str(cell).split("+"))
    happened = ", ".join(f"{events[name]} {name}" for name in EVENTS if events[name])
    return f"{count} track{'s' if count != 1 else ''} over {frames} frames: {happened or 'nothing changed'}"
