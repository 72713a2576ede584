"""Whether a table that was named on the command line belongs to the images that were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from napari_stem_gan.detect.table import KEPT, REJECTED, PointTable, TableError
from napari_stem_gan.image import STEMImage
from napari_stem_gan.workflow import on_images


def check_images(table: PointTable, path: str | Path, names: Iterable[str]) -> None:
    """Raise TableError if there are points on images that were not named."""
    strange = sorted({str(name) for name in table["image"]} - set(names))
    if strange:
        raise TableError(f"{path} must be of these images, got points on '{strange[0]}'; name its image too")


def decided_points(table: PointTable, path: str | Path, images: Sequence[STEMImage]) -> tuple[PointTable, int]:
    """Points that were decided on and lie on the images, and how many lie outside of them; TableError without any."""
    said = table.columns.get("decision", np.full(len(table), ""))
    found, lost = on_images(table.where(np.isin(said, (*KEPT, REJECTED))), images)
    if len(found):
        return found, lost
    there = {image.name for image in images}
    other = sorted({f"points on '{name}'" for name in table["image"] if name not in there})
    got = ", ".join([*other, *([f"{lost} outside their image"] if lost else [])]) or "none"
    raise TableError(
        f"{path} must hold accepted, added or rejected points of these images, got {got}; review points in napari first"
    )
