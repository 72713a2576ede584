"""Do defects keep together or apart: the pair correlation of each kind, against complete randomness.

Random means: each defect on any site of its sublattice with equal chance, no two on one (off the lattice: anywhere on
the crystal). ``g(r)`` is the number of pairs at a distance over the number expected so. Where pairs can be, the border
and the holes of the crystal included, is counted and not assumed, which is the edge correction.

Ripley, Journal of Applied Probability 13 (1976) 255, doi:10.2307/3212829; Ohser and Stoyan, Biometrical Journal 23
(1981) 523, doi:10.1002/bimj.4710230602. The band is a global envelope (Myllymäki et al., Journal of the Royal
Statistical Society B 79 (2017) 381, doi:10.1111/rssb.12172): the whole curve of a random arrangement stays inside it
with the given chance, so that one step outside it is evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.detect.area import CrystalArea
from napari_stem_gan.detect.places import ANYWHERE, SITES, Anywhere, OnSites, Places
from napari_stem_gan.detect.statistics import counted, on_area, sublattice_of
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

FloatArray = NDArray[np.float64]
LONGEST_NM, SHARE_OF_SIDE = 5.0, 0.25
PAIRS_PER_STEP, NARROWEST_NM, FEWEST_STEPS = 5.0, 0.2, 5
LEAST_EXPECTED = 1e-9
LEAST_POINTS = 10  # fewer make too few pairs to tell anything


@dataclass(frozen=True)
class PairCorrelation:
    """Pair correlation of one kind of defect; arrays run over steps of distance, shape ``(B,)``.

    Parameters
    ----------
    defect
        The kind.
    points
        How many there are.
    places
        What randomness means: on lattice sites, or anywhere.
    distance_nm
        Middle of each step; steps at which no pair can lie are left out.
    pairs, expected_pairs
        Number of pairs, and expected for complete randomness.
    g, low, high
        Their ratio, and the band that the whole curve of a random arrangement stays in.
    p_value
        Chance that a random arrangement strays from randomness as far as this one.
    """

    defect: str
    points: int
    places: str
    distance_nm: FloatArray
    pairs: FloatArray
    expected_pairs: FloatArray
    g: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: float

    @property
    def verdict(self) -> str:
        """What the curve says, in words."""
        if self.low.size and (self.g > self.high).any():
            return f"closer together than by chance at {self.distance_nm[(self.g > self.high).argmax()]:.2g} nm"
        if self.low.size and (self.g < self.low).any():
            return f"fewer pairs than by chance at {self.distance_nm[(self.g < self.low).argmax()]:.2g} nm"
        return "as random as chance"


def pair_correlations(
    areas: Sequence[CrystalArea], table: PointTable, kind: str, config: StatisticsConfig, *, threshold: float
) -> Iterator[float | PairCorrelation]:
    """Pair correlation of one kind, the images pooled; yields the share done, then the result.

    Of fewer than `LEAST_POINTS` nothing comes.

    Parameters
    ----------
    areas
        The crystal of each image; of a stack only the first frame enters, for the others repeat it.
    table
        All candidates.
    kind
        A defect name; kinds lie on different sublattices, so that there is none for all together.
    config
        Distances, steps, band.
    threshold
        Points at least this sure count.
    """
    own = list({a.image: a for a in reversed(areas)}.values())[::-1]
    places = [_places(area, sublattice_of(table, kind)) for area in own]
    points = [p.own(_positions_nm(a, table, kind, threshold)) for a, p in zip(own, places, strict=True)]
    edges = _edges(own, [len(p) for p in points], config)
    shares = np.array([p.shares(edges) for p in places])
    numbers = np.array([len(p) for p in points])
    expected = (numbers * (numbers - 1) / 2) @ shares
    possible = expected > LEAST_EXPECTED
    if numbers.sum() < LEAST_POINTS or not possible.any():
        return
    rng, curves = np.random.default_rng(config.seed), [_pairs(points, edges)]
    for done in range(config.simulations):
        curves.append(_pairs([p.draw(n, rng) for p, n in zip(places, numbers, strict=True)], edges))
        yield done / config.simulations
    counts, expected = np.array(curves)[:, possible], expected[possible]
    low, high, p_value = global_envelope(counts, config.level)
    middle = (edges[1:] + edges[:-1]) / 2
    yield PairCorrelation(
        kind, int(numbers.sum()), SITES if isinstance(places[0], OnSites) else ANYWHERE, middle[possible],
        counts[0], expected, counts[0] / expected, low / expected, high / expected, p_value,
    )  # fmt: skip


def global_envelope(counts: FloatArray, level: float) -> tuple[FloatArray, FloatArray, float]:
    """Band that the whole of a curve of counts stays in with a given chance, and how usual the first curve is.

    A curve is as extreme as its largest deviation from the mean, in standard deviations; roots of counts are taken,
    whose spread hardly depends on their mean.

    Parameters
    ----------
    counts
        The observed curve and simulated ones, shape ``(1 + S, B)``, ≥ 0.
    level
        Chance to stay in the band, 0 to 1.

    Returns
    -------
    tuple
        Lower and upper end ``(B,)``, and the p-value of the first curve; it leaves the band where p ≤ 1 − `level`.

    References
    ----------
    Myllymäki et al., Journal of the Royal Statistical Society B 79 (2017) 381, doi:10.1111/rssb.12172.
    """
    roots = np.sqrt(counts)
    mean, spread = roots.mean(0), roots.std(0)
    extreme = (np.abs(roots - mean) / np.where(spread > 0, spread, 1.0)).max(1)
    ordered = np.sort(extreme)
    p = (len(extreme) - np.searchsorted(ordered, extreme * (1 - 1e-12))) / len(extreme)  # at least as extreme
    reach = extreme[p > 1 - level].max() * spread
    return np.maximum(mean - reach, 0.0) ** 2, (mean + reach) ** 2, float(p[0])


def _places(area: CrystalArea, sublattice: str) -> Places:
    sites = area.sites_of(sublattice)
    return OnSites(sites * area.pixel_size_nm) if len(sites) else Anywhere(area)


def _positions_nm(area: CrystalArea, table: PointTable, kind: str, threshold: float) -> FloatArray:
    here = on_area(table, area)
    keep = counted(here, threshold) & (here["defect"] == kind)
    return np.asarray(here.where(keep).positions_px * area.pixel_size_nm)


def _edges(areas: Sequence[CrystalArea], numbers: Sequence[int], config: StatisticsConfig) -> FloatArray:
    """Edges of the steps: up to a quarter of the smallest image, so wide that some pairs are expected in a step."""
    shortest = min(min(a.shape) * a.pixel_size_nm for a in areas)
    longest = config.largest_distance_nm or min(LONGEST_NM, SHARE_OF_SIDE * shortest)
    per_nm2 = sum(n * (n - 1) / 2 / a.area_nm2 for n, a in zip(numbers, areas, strict=True) if n)
    wide = PAIRS_PER_STEP / max(per_nm2 * np.pi * longest, 1e-12)  # at half the largest distance
    width = config.bin_nm or float(np.clip(wide, NARROWEST_NM, longest / FEWEST_STEPS))
    return np.linspace(0.0, longest, max(1, round(longest / width)) + 1)


def _pairs(images_nm: Sequence[FloatArray], edges: FloatArray) -> FloatArray:
    """Number of pairs in each step ``(B,)``, over all images; a step holds its upper edge, as `Places` have it."""
    total = np.zeros(len(edges) - 1)
    for points in images_nm:
        if len(points) < 2:
            continue
        i, j = cKDTree(points).query_pairs(edges[-1], output_type="ndarray").T
        step = np.searchsorted(edges, np.hypot(*(points[i] - points[j]).T), side="left") - 1
        total += np.bincount(step[step >= 0], minlength=len(total))[: len(total)]
    return total
