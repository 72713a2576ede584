"""Whether a table that was named on the command line belongs to the images that were."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_stem_gan.detect.table import KEPT, REJECTED, PointTable, TableError


def check_images(table: PointTable, path: str | Path, names: Iterable[str]) -> None:
    """Raise TableError if there are points on images that were not named."""
    strange = sorted({str(name) for name in table["image"]} - set(names))
    if strange:
        raise TableError(f"{path} must be of these images, got points on '{strange[0]}'; name its image too")


def check_decisions(table: PointTable, path: str | Path, names: Iterable[str]) -> None:
    """Raise TableError if nobody decided on a point of the images."""
    said = table.columns.get("decision", np.full(len(table), ""))
    here = np.isin(table["image"], list(names))
    if (np.isin(said, (*KEPT, REJECTED)) & here).any():
        return
    got = ", ".join(sorted({f"points on '{name}'" for name in table["image"][~here]})) or "none"
    raise TableError(
        f"{path} must hold accepted, added or rejected points of these images, got {got}; review points in napari first"
    )
