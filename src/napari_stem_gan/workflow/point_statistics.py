"""Statistics of points as a step: the crystal of every image, its regions, and everything that is counted on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.io import prepare_folder
from napari_stem_gan.workflow.progress import Progress, Steps, check

if TYPE_CHECKING:
    from napari_stem_gan.detect.area import CrystalArea, Region
    from napari_stem_gan.detect.session_statistics import Statistics

Divide = Callable[["CrystalArea"], "Sequence[Region]"]


class Framed(Protocol):
    """What counting needs to know of an image; a `STEMImage` is one."""

    @property
    def name(self) -> str:
        """As in the table of points."""

    @property
    def frame(self) -> int:
        """Index in its stack."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size, where known."""


def crystal_areas(images: Sequence[Framed], matches: Sequence[LatticeMatch]) -> list[CrystalArea]:
    """Where on each image defects were looked for; images whose pixel size nobody knows are left out."""
    from napari_stem_gan.detect.area import crystal_area

    pairs = [(i, m) for i, m in zip(images, matches, strict=True) if m.pixel_size_A or i.pixel_size_nm]
    return [crystal_area(i.name, i.frame, i.shape, m, i.pixel_size_nm) for i, m in pairs]


def by_polygons(polygons: Mapping[str, Sequence[tuple[str, NDArray[Any]]]]) -> Divide:
    """Regions that a user drew: for each image by name, the name and corners ``(K, 2)`` (y, x, in pixels) of each."""

    def divide(area: CrystalArea) -> Sequence[Region]:
        from napari_stem_gan.detect.area import polygon_region

        return [polygon_region(area, name, corners) for name, corners in polygons.get(area.image, ())]

    return divide


def statistics(
    areas: Sequence[CrystalArea],
    table: PointTable,
    config: StatisticsConfig,
    *,
    threshold: float,
    divide: Divide | None = None,
    stop: threading.Event | None = None,
) -> Steps[Statistics]:
    """Densities, pair correlations and maps of the points on some images.

    Parameters
    ----------
    areas
        As from `crystal_areas`.
    table
        Candidates of all these images, those below the threshold too where they are known.
    config
        Levels, regions, distances, smoothing.
    threshold
        Points at least this sure are counted; the others enter by their confidence only.
    divide
        Gives the regions of each area; None: a grid as in `config`.
    stop
        Looked at between two random arrangements.

    Raises
    ------
    ValueError
        If there is no area, or the threshold is no probability.
    """
    from napari_stem_gan.detect.area import grid_regions
    from napari_stem_gan.detect.session_statistics import Statistics, session_statistics

    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie between 0 and 1, got {threshold}; try 0.5")
    if not areas:
        raise ValueError("the pixel size of at least one image must be known for densities; match the images first")
    regions = [grid_regions(a, config.regions) if divide is None else divide(a) for a in areas]
    for step in session_statistics(areas, table, config, threshold=threshold, regions=regions):
        if isinstance(step, Statistics):
            yield Progress(stage="statistics", fraction=1.0, message=f"{len(areas)} images counted")
            return step
        check(stop)
        yield Progress(stage="statistics", fraction=step[0], message=step[1])
    raise AssertionError("session_statistics ends with its result")


def write_statistics(found: Statistics, folder: str | Path) -> list[Path]:
    """Write tables (CSV), plots (PNG) and all numbers with their settings (``statistics.json``) into a folder.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    from napari_stem_gan.report.statistics import write_statistics_files

    return write_statistics_files(found, prepare_folder(Path(folder)))
