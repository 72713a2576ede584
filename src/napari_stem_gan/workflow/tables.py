"""Tables of points that come back from a file, for the plugin and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_stem_gan.detect.table import PointTable, TableError, read_csv


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
