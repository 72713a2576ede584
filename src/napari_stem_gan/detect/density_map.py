"""Map of the density of defects over an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.detect.area import CrystalArea
from napari_stem_gan.detect.statistics import ALL_DEFECTS, counted, on_area
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

MAP_CELLS = 256
SHARING = 10.0  # points that share in the density of a place: it is then known to about 30 %
WIDEST = 0.25  # of the image's shorter side


@dataclass(frozen=True)
class DensityMap:
    """Density of defects over one image.

    Parameters
    ----------
    image, frame, defect
        What was mapped.
    per_nm2
        Density on a grid over the image, shape ``(rows, cols)``; NaN off the crystal.
    smoothing_nm
        Standard deviation of the Gaussian.
    error_percent
        How uncertain a place of mean density is by counting alone (one standard deviation).
    size_nm
        Height and width of the image.
    points_nm
        The defects, shape ``(N, 2)`` as (y, x) from the image's upper left corner.
    """

    image: str
    frame: int
    defect: str
    per_nm2: NDArray[np.float64]
    smoothing_nm: float
    error_percent: float
    size_nm: tuple[float, float]
    points_nm: NDArray[np.float64]


def density_map(
    area: CrystalArea, table: PointTable, config: StatisticsConfig, *, threshold: float, kind: str = ALL_DEFECTS
) -> DensityMap:
    """Smooth the points of one image with a Gaussian, and divide by the crystal that it covers.

    The edge correction makes a homogeneous density flat up to borders and holes: Diggle, Applied Statistics 34 (1985)
    138, doi:10.2307/2347366, in its uniform form.

    Parameters
    ----------
    area
        The crystal.
    table
        All candidates.
    config
        Width of the Gaussian.
    threshold
        Points at least this sure count.
    kind
        A defect name, or `ALL_DEFECTS`.
    """
    here = on_area(table, area)
    keep = counted(here, threshold) & ((here["defect"] == kind) | (kind == ALL_DEFECTS))
    points_nm = (here.positions_px[keep] + 0.5) * area.pixel_size_nm
    height, width = (n * area.pixel_size_nm for n in area.shape)
    per_nm2 = len(points_nm) / area.area_nm2
    sigma = smoothing_nm(per_nm2, min(height, width), config)
    sharing = 4 * np.pi * sigma**2 * per_nm2
    error = 100 / float(np.sqrt(sharing)) if sharing > 0 else np.nan
    smooth = _smoothed(area, points_nm, sigma)
    return DensityMap(area.image, area.frame, kind, smooth, sigma, error, (height, width), points_nm)


def _smoothed(area: CrystalArea, points_nm: NDArray[np.float64], sigma_nm: float) -> NDArray[np.float64]:
    """Smoothed points over smoothed crystal, per nm², shape ``(rows, cols)``; NaN off the crystal."""
    size_nm = np.array(area.shape) * area.pixel_size_nm
    cells = [max(2, min(n, MAP_CELLS)) for n in area.shape]
    edges = [np.linspace(0, length, count + 1) for length, count in zip(size_nm, cells, strict=True)]
    side = size_nm / cells
    counts = np.histogramdd(points_nm, bins=edges)[0] / side.prod()
    covered = _share_inside(area, cells)
    top, below = (ndimage.gaussian_filter(v, sigma_nm / side, mode="constant") for v in (counts, covered))
    return np.where(covered > 0.5, top / np.maximum(below, 1e-9), np.nan)


def smoothing_nm(per_nm2: float, shorter_nm: float, config: StatisticsConfig) -> float:
    """Width of the Gaussian: `SHARING` points in its effective area 4πσ², at most a quarter of the image."""
    if config.smoothing_nm is not None:
        return config.smoothing_nm
    widest = WIDEST * shorter_nm
    return widest if per_nm2 <= 0 else min(widest, float(np.sqrt(SHARING / (4 * np.pi * per_nm2))))


def _share_inside(area: CrystalArea, cells: list[int]) -> NDArray[np.float64]:
    """Share of each cell of the map that is crystal; `MOST_CELLS` of the area's grid over those of the map."""
    at = [(np.arange(2 * c) + 0.5) / (2 * c) * n for c, n in zip(cells, area.inside.shape, strict=True)]
    fine = area.inside[np.ix_(*(a.astype(int) for a in at))].astype(float)  # four samples a cell
    return np.asarray(fine.reshape(cells[0], 2, cells[1], 2).mean((1, 3)))
