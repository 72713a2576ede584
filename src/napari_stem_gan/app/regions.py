"""Regions that the user drew: Shapes layers as polygons on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Layer, Shapes
from numpy.typing import NDArray

from napari_stem_gan.app.pixel_size import is_length, unit_in_nm

Polygon = tuple[str, NDArray[np.float64]]
AREAS = ("rectangle", "ellipse", "polygon")
ELLIPSE_CORNERS = 72
NAME = "name"  # feature that may name a region


def shapes_layers(viewer: Any) -> list[Shapes]:
    """Shapes layers that hold an area, top of the layer list last."""
    return [one for one in viewer.layers if isinstance(one, Shapes) and any(t in AREAS for t in one.shape_type)]


def polygons_on(shapes: Shapes, source: Layer) -> list[Polygon]:
    """Areas of a Shapes layer as named polygons on an image.

    Parameters
    ----------
    shapes
        Rectangles, ellipses and polygons; lines and paths hold no area and are left out.
    source
        Image layer.

    Returns
    -------
    list
        Name and corners ``(K, 2)`` as (y, x) in pixels of the image.
    """
    names = _names(shapes)
    found = []
    for name, kind, corners in zip(names, shapes.shape_type, shapes.data, strict=True):
        if kind in AREAS:
            outline = _ellipse(corners) if kind == "ellipse" else np.asarray(corners, float)
            found.append((name, on_image(outline, shapes, source)))
    return found


def on_image(corners: NDArray[np.float64], layer: Layer, source: Layer) -> NDArray[np.float64]:
    """Points ``(K, ndim)`` of a layer as (y, x) in pixels of an image; lengths may be in different units."""
    factor = [_ratio(one, other) for one, other in zip(layer.units[-2:], source.units[-2:], strict=True)]
    world = [np.multiply(layer.data_to_world(corner)[-2:], factor) for corner in corners]
    return np.array([np.asarray(source.world_to_data(place))[-2:] for place in world], float).reshape(-1, 2)


def _ratio(unit: Any, other: Any) -> float:
    """How many of another unit one is; as in napari's view, no unit counts where one of them is no length."""
    return unit_in_nm(unit) / unit_in_nm(other) if is_length(unit) and is_length(other) else 1.0


def _names(shapes: Shapes) -> Sequence[str]:
    numbers = [f"{shapes.name} {k + 1}" for k in range(len(shapes.data))]
    if NAME not in shapes.features:
        return numbers
    return [str(own) or number for own, number in zip(shapes.features[NAME], numbers, strict=True)]


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline of an ellipse from the four corners of its box, in their order."""
    box = np.asarray(corners, float)
    middle, one, other = box.mean(0), (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)
    grow = np.sqrt(2 * np.pi / ELLIPSE_CORNERS / np.sin(2 * np.pi / ELLIPSE_CORNERS))  # the polygon's area is its own
    return middle + grow * (np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * other)
