"""Tracks of defects over the frames of a stack as a napari Tracks layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Tracks
from numpy.typing import NDArray

from napari_stem_gan.app.layers import geometry
from napari_stem_gan.app.results import ResultLayers, place

KIND = "tracks"
LOOK = {"tail_width": 3, "tail_length": 1000, "colormap": "viridis", "hide_completed_tracks": False}
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
