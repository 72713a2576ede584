"""Tables of points that come back from a file, for the plugin and the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_stem_gan.detect.table import PointTable, TableError, read_csv
from napari_stem_gan.workflow.point_statistics import Framed


def read_points(path: str | Path) -> PointTable:
    """Read one of our tables, every point of which has a place.

    Raises
    ------
    TableError
        If the file is missing, is no such table or has a point without a place.
    """
    table = read_csv(path)
    lost = np.flatnonzero(~np.isfinite(table.positions_px).all(1))
    if len(lost):
        name, row = Path(path).name, lost[0] + 2  # the first row is the header
        raise TableError(f"'{name}' must give y_px and x_px of every point, got none in row {row}; mend or delete it")
    return table


def on_images(table: PointTable, images: Iterable[Framed]) -> tuple[PointTable, int]:
    """Points that lie on one of some images, and how many that name one of them lie outside it or have no such frame.

    Parameters
    ----------
    table
        Points of these images, and perhaps of others.
    images
        Images of one session, frame by frame.
    """
    inside, named = np.zeros(len(table), bool), np.zeros(len(table), bool)
    positions = table.positions_px
    for image in images:
        own = table["image"] == image.name
        there = ((positions >= -0.5) & (positions <= np.array(image.shape) - 0.5)).all(1)  # centres are at integers
        named |= own
        inside |= own & there & (table["frame"] == image.frame)
    return table.where(inside), int((named & ~inside).sum())
