"""All statistics of a session: densities, homogeneity, pair correlations, maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from napari_stem_gan.detect.area import CrystalArea, Region
from napari_stem_gan.detect.density_map import DensityMap, density_map
from napari_stem_gan.detect.pair_correlation import PairCorrelation, pair_correlations
from napari_stem_gan.detect.statistics import ALL_DEFECTS, ALL_IMAGES, WHOLE, Density, densities, homogeneity, kinds_of
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

MOST_MAPS = 24  # images or frames of which a map is made


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What the points of a session say together.

    Parameters
    ----------
    densities
        Rows as of `detect.statistics.densities`.
    homogeneity
        For each kind, chance that regions of equal density differ as much as these.
    pairs
        Pair correlation of each kind with enough points.
    maps
        Density of all defects over each image.
    threshold, config
        What they were made with.
    """

    densities: tuple[Density, ...]
    homogeneity: Mapping[str, float]
    pairs: tuple[PairCorrelation, ...]
    maps: tuple[DensityMap, ...]
    threshold: float
    config: StatisticsConfig = field(default_factory=StatisticsConfig)

    @property
    def summary(self) -> tuple[Density, ...]:
        """One row for each kind: of all images together, or of the only one."""
        first = ALL_IMAGES if any(d.image == ALL_IMAGES for d in self.densities) else None
        return tuple(d for d in self.densities if d.region == WHOLE and (first is None or d.image == first))

    @property
    def highest_per_nm2(self) -> float:
        """Highest density of all maps, so that they share their colours; 1 where there is none."""
        highest = [float(np.nanmax(m.per_nm2)) for m in self.maps if np.isfinite(m.per_nm2).any()]
        return max(highest, default=0.0) or 1.0

    def to_dict(self) -> dict[str, Any]:
        """All but the maps, for JSON."""
        return {
            "threshold": self.threshold,
            "config": asdict(self.config),
            "densities": [asdict(d) for d in self.densities],
            "homogeneity_p": dict(self.homogeneity),
            "pair_correlation": [asdict(p) for p in self.pairs],
        }


def session_statistics(
    areas: Sequence[CrystalArea],
    table: PointTable,
    config: StatisticsConfig,
    *,
    threshold: float,
    regions: Sequence[Sequence[Region]] = (),
) -> Iterator[tuple[float, str] | Statistics]:
    """Make all statistics; yields (share done, message), and the result last.

    Parameters
    ----------
    areas
        The crystal of each image.
    table
        All candidates.
    config
        Levels, distances, smoothing.
    threshold
        Points at least this sure count.
    regions
        Parts of each image, parallel to `areas`; they need not cover it.
    """
    yield 0.0, "counting defects"
    kinds = kinds_of(table, threshold)
    rows = densities(areas, table, config, threshold=threshold, regions=regions)
    even = {k: homogeneity(areas, table, k, config, threshold=threshold, regions=regions or [[]] * len(areas))
            for k in [*kinds, ALL_DEFECTS]}  # fmt: skip
    pairs: list[PairCorrelation] = []
    for index, kind in enumerate(kinds):
        for step in pair_correlations(areas, table, kind, config, threshold=threshold):
            if isinstance(step, PairCorrelation):
                pairs.append(step)
            else:
                yield 0.95 * (index + step) / len(kinds), f"comparing pairs of {kind} with random ones"
    yield 0.95, "mapping the density"
    maps = tuple(density_map(a, table, config, threshold=threshold) for a in areas[:MOST_MAPS])
    yield Statistics(
        densities=tuple(rows), homogeneity=even, pairs=tuple(pairs), maps=maps, threshold=threshold, config=config
    )
