"""How many defects there are: densities with exact intervals, on the whole crystal and by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.detect.area import CrystalArea, Region
from napari_stem_gan.detect.intervals import binomial_interval, poisson_interval
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

ALL_DEFECTS, ALL_IMAGES, WHOLE = "all defects", "all images", "whole crystal"
DECISION, REJECTED, KEPT = "decision", "rejected", ("accepted", "added")


@dataclass(frozen=True, kw_only=True)
class Density:
    """How many defects of one kind lie on one area.

    Parameters
    ----------
    image, frame, region, defect
        What was counted, and where.
    area_nm2
        Area of the crystal there.
    count
        Points above the threshold; over several frames of a stack their mean, for they show the same crystal.
    per_nm2, low_per_nm2, high_per_nm2
        Density and its exact (Garwood) interval.
    expected_count, expected_spread
        Sum of the confidences of all candidates, and how far the number of those that are real strays from it.
    sites
        Columns of its sublattice on the area; NaN for what lies on no site.
    percent_of_sites, low_percent, high_percent
        Share of them that have this defect, and its exact (Clopper and Pearson's) interval.
    """

    image: str
    frame: int
    region: str
    defect: str
    area_nm2: float
    count: float
    per_nm2: float
    low_per_nm2: float
    high_per_nm2: float
    expected_count: float
    expected_spread: float
    sites: float
    percent_of_sites: float
    low_percent: float
    high_percent: float

    @property
    def expected_per_nm2(self) -> float:
        """Density by the sum of confidences."""
        return self.expected_count / self.area_nm2


def counted(table: PointTable, threshold: float) -> NDArray[np.bool_]:
    """Points that count: sure enough or accepted by the user, and not rejected; shape ``(N,)``."""
    sure = np.asarray(table["confidence"], float) >= threshold
    if DECISION not in table.columns:
        return sure
    decision = table[DECISION].astype(str)
    return (sure | np.isin(decision, KEPT)) & (decision != REJECTED)


def probabilities(table: PointTable) -> NDArray[np.float64]:
    """Chance that each point is real: its confidence, or what the user decided; shape ``(N,)``."""
    confidence = np.clip(np.nan_to_num(np.asarray(table["confidence"], float)), 0, 1)
    if DECISION not in table.columns:
        return confidence
    decision = table[DECISION].astype(str)
    return np.where(np.isin(decision, KEPT), 1.0, np.where(decision == REJECTED, 0.0, confidence))


def kinds_of(table: PointTable, threshold: float) -> list[str]:
    """Names of all defects that count, in order."""
    return sorted({str(name) for name in table["defect"][counted(table, threshold)]})


def on_area(table: PointTable, area: CrystalArea) -> PointTable:
    """Points that lie on an area."""
    here = table.where((table["image"] == area.image) & (table["frame"] == area.frame))
    return here.where(area.contains(here.positions_px))


def densities(
    areas: Sequence[CrystalArea],
    table: PointTable,
    config: StatisticsConfig,
    *,
    threshold: float,
    regions: Sequence[Sequence[Region]] = (),
) -> list[Density]:
    """Density of every kind of defect on every image, all together, and by region.

    Parameters
    ----------
    areas
        The crystal of each image; frames of one stack share their name.
    table
        All candidates of all images.
    config
        Level of the intervals.
    threshold
        Points at least this sure are counted.
    regions
        Parts of each image, parallel to `areas`.

    Returns
    -------
    list of Density
        All images together first, then each image, whole and by region. A kind that was found anywhere is told
        everywhere, if only by an upper limit.
    """
    kinds = [*kinds_of(table, threshold), ALL_DEFECTS]
    rows = []
    if len(areas) > 1:
        rows += [_together(areas, table, kind, config, threshold) for kind in kinds]
    parts = regions or [[]] * len(areas)
    for area, own in zip(areas, parts, strict=True):
        here = on_area(table, area)
        for name, part in [(WHOLE, area), *((r.name, area.within(r.mask(area.inside.shape))) for r in own)]:
            if part.area_nm2 > 0:
                rows += [_density(part, name, here, kind, table, config, threshold) for kind in kinds]
    return rows


@dataclass(frozen=True)
class _Count:
    """Points of one kind on one area, before they become a density."""

    area_nm2: float
    count: float
    expected: float
    variance: float
    sites: float


def _counts(area: CrystalArea, table: PointTable, kind: str, every: PointTable, threshold: float) -> _Count:
    """Count points of `kind`; `every` tells which sublattice it is on."""
    here = on_area(table, area)
    own = here if kind == ALL_DEFECTS else here.where(here["defect"] == kind)
    chance = probabilities(own)
    count = int(counted(own, threshold).sum())
    sites = float(len(area.sites_of(sublattice_of(every, kind)))) or np.nan
    return _Count(area.area_nm2, count, float(chance.sum()), float((chance * (1 - chance)).sum()), sites)


def sublattice_of(table: PointTable, kind: str) -> str:
    """Sublattice that most points of a kind are on; '' for all kinds together."""
    names, numbers = np.unique(table["sublattice"][table["defect"] == kind].astype(str), return_counts=True)
    return str(names[numbers.argmax()]) if len(names) else ""


def _density(
    area: CrystalArea, region: str, here: PointTable, kind: str, every: PointTable, config: StatisticsConfig,
    threshold: float,
) -> Density:  # fmt: skip
    return _row(area.image, area.frame, region, kind, _counts(area, here, kind, every, threshold), config.level)


def _together(
    areas: Sequence[CrystalArea], table: PointTable, kind: str, config: StatisticsConfig, threshold: float
) -> Density:
    """All images as one; frames of a stack enter with their mean, since they show the same defects again and again."""
    total = np.zeros(5)
    for _, frames in groupby(sorted(areas, key=lambda a: a.image), key=lambda a: a.image):
        counts = [_counts(a, table, kind, table, threshold) for a in frames]
        total += np.mean([(c.area_nm2, c.count, c.expected, c.variance, c.sites) for c in counts], axis=0)
    return _row(ALL_IMAGES, 0, WHOLE, kind, _Count(*total), config.level)


def _row(image: str, frame: int, region: str, defect: str, found: _Count, level: float) -> Density:
    low, high = poisson_interval(found.count, level)
    sites = np.nan if found.sites < found.count else found.sites
    low_share, high_share = binomial_interval(found.count, sites, level)
    return Density(
        image=image, frame=frame, region=region, defect=defect, area_nm2=found.area_nm2, count=found.count,
        per_nm2=found.count / found.area_nm2, low_per_nm2=float(low) / found.area_nm2,
        high_per_nm2=float(high) / found.area_nm2, expected_count=found.expected,
        expected_spread=float(np.sqrt(found.variance)), sites=sites, percent_of_sites=100 * found.count / sites,
        low_percent=100 * float(low_share), high_percent=100 * float(high_share),
    )  # fmt: skip


def homogeneity(
    areas: Sequence[CrystalArea],
    table: PointTable,
    kind: str,
    config: StatisticsConfig,
    *,
    threshold: float,
    regions: Sequence[Sequence[Region]],
) -> float:
    """Chance that regions of equal density differ as much as these do; NaN with fewer than two regions or points.

    Given their total, counts of a homogeneous Poisson process are multinomial with the areas as weights; Pearson's
    statistic is compared with that of random draws. Of a stack only the first frame counts.
    """
    found = []
    for area, own in _first_frames(areas, regions):
        here = on_area(table, area)
        parts = (area.within(r.mask(area.inside.shape)) for r in own)
        found += [_counts(part, here, kind, table, threshold) for part in parts if part.area_nm2 > 0]
    counts = np.array([f.count for f in found])
    if len(counts) < 2 or counts.sum() < 2:
        return float("nan")
    share = np.array([f.area_nm2 for f in found])
    expected = counts.sum() * share / share.sum()
    rng = np.random.default_rng(config.seed)
    random = rng.multinomial(int(counts.sum()), share / share.sum(), size=10 * config.simulations)
    distance = ((random - expected) ** 2 / expected).sum(1)
    own = ((counts - expected) ** 2 / expected).sum()
    return float((1 + (distance >= own * (1 - 1e-9)).sum()) / (1 + len(distance)))


def _first_frames(
    areas: Sequence[CrystalArea], regions: Sequence[Sequence[Region]]
) -> list[tuple[CrystalArea, Sequence[Region]]]:
    seen: dict[str, tuple[CrystalArea, Sequence[Region]]] = {}
    for area, own in zip(areas, regions, strict=True):
        seen.setdefault(area.image, (area, own))
    return list(seen.values())
