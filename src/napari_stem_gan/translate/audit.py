"""Label audit: are the planted defects still there after translation, and were any invented?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from napari_stem_gan.image import FloatImage, LabelledImage

MAX_ERASED = 0.02
MAX_INVENTED_SHARE = 0.1  # invented columns per planted single defect
KEPT_SHARE = 0.5  # of the contrast that must survive
SEEN_SIGMA = 2.0  # contrast, in spreads of intact columns, of a defect that could be seen before
INVENTED_SIGMA = 3.0  # contrast of an intact column that looks like a defect
RISE_SHARE = 0.6  # of the typical planted contrast that an invented defect must reach
WIDTH_SHARE = 0.22  # Gaussian width over the nearest-neighbour distance
MATCH_SHARE = 0.25  # of the nearest-neighbour distance: two columns are the same
MIN_COLUMNS = 40

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What translation did to the labels.

    Parameters
    ----------
    planted
        Defects that could be seen in the simulations.
    erased
        Those of them that lost more than half of their contrast.
    invented
        Whole columns that look like a defect after translation and did not before.
    invented_per_nm2
        The same per area; NaN without a pixel size.
    erased_fraction
        ``erased / planted`` (0 without planted defects).
    passed
        Whether the translation may be used.
    reason
        One sentence.
    """

    planted: int
    erased: int
    invented: int
    invented_per_nm2: float
    erased_fraction: float
    passed: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for a report."""
        return asdict(self)


def audit(simulated: Sequence[LabelledImage], translated: Sequence[FloatImage]) -> Audit:
    """Count planted defects before and after translation.

    Each column is compared with the columns one lattice translation away, so with the same
    sublattice, before and after; the spread of intact columns says what counts as a defect.

    Parameters
    ----------
    simulated
        Simulated images with true positions and all columns.
    translated
        Their translations ``(Y, X)``, in the same order.
    """
    return Auditor(simulated).audit(translated)


class Auditor:
    """Audits several translations of the same simulations; the simulations are measured once.

    Parameters
    ----------
    simulated
        Simulated images with true positions and all columns.
    """

    def __init__(self, simulated: Sequence[LabelledImage]) -> None:
        self.befores = [_Before(item) for item in simulated]
        sizes = [item.image.pixel_size_nm or float("nan") for item in simulated]
        self.area_nm2 = sum(item.image.data.size * size**2 for item, size in zip(simulated, sizes, strict=True))

    def audit(self, translated: Sequence[FloatImage]) -> Audit:
        """Return the audit of translations ``(Y, X)``, in the order of the simulations."""
        pairs = zip(self.befores, translated, strict=True)
        planted, erased, invented = (int(n) for n in np.sum([before.compare(after) for before, after in pairs], axis=0))
        fraction = erased / planted if planted else 0.0
        share = invented / planted if planted else 0.0
        passed = fraction <= MAX_ERASED and share <= MAX_INVENTED_SHARE
        reason = f"{erased} of {planted} visible planted defects erased, {invented} invented"
        return Audit(
            planted=planted,
            erased=erased,
            invented=invented,
            invented_per_nm2=invented / self.area_nm2 if self.area_nm2 > 0 else float("nan"),
            erased_fraction=fraction,
            passed=passed,
            reason=f"{reason}: {'labels are kept' if passed else 'labels are not kept'}",
        )


class _Before:
    """One simulation: its sites, neighbours and contrasts."""

    def __init__(self, labelled: LabelledImage) -> None:
        self.sites, self.is_defect = _sites(labelled)
        translations, self.spacing = lattice_translations(labelled.columns_px)
        self.empty = len(self.sites) < MIN_COLUMNS or not len(translations)
        if self.empty:
            return
        self.neighbours = _neighbours(self.sites, translations, self.spacing)
        self.usable = (self.neighbours >= 0).sum(axis=1) >= 3
        self.blurred = self._blur(labelled.image.data)
        z, self.contrast = _contrasts(self.blurred, self.sites, self.neighbours, self.is_defect)
        self.seen = self.is_defect & self.usable & (np.abs(z) > SEEN_SIGMA)
        self.empty = not self.seen.any()

    def _blur(self, image: FloatImage) -> FloatImage:
        return np.asarray(gaussian_filter(image.astype(np.float32), WIDTH_SHARE * self.spacing))

    def compare(self, after: FloatImage) -> tuple[int, int, int]:
        """Return the number of visible planted defects, of those erased, and of those invented."""
        if self.empty:
            return 0, 0, 0
        blurred = self._blur(after)
        z, contrast = _contrasts(blurred, self.sites, self.neighbours, self.is_defect)
        expected = self.contrast * _gain(self.blurred, blurred, self.spacing)
        erased = self.seen & (contrast * np.sign(expected) < KEPT_SHARE * np.abs(expected))
        typical = np.median(np.abs(expected[self.seen]))
        intact = ~self.is_defect & self.usable & (np.abs(expected) < KEPT_SHARE * typical)
        invented = intact & (np.abs(z) > INVENTED_SIGMA) & (np.abs(contrast - expected) > RISE_SHARE * typical)
        return int(self.seen.sum()), int(erased.sum()), int(invented.sum())


def _sites(labelled: LabelledImage) -> tuple[Points, NDArray[np.bool_]]:
    """All columns and defects, each once, and which of them are defects."""
    columns, defects = labelled.columns_px.reshape(-1, 2), labelled.positions_px.reshape(-1, 2)
    if not len(columns) or not len(defects):
        return np.concatenate([columns, defects]), np.arange(len(columns) + len(defects)) >= len(columns)
    spacing = _spacing(columns)
    distance, _ = cKDTree(defects).query(columns)
    others = columns[distance > MATCH_SHARE * spacing]
    return np.concatenate([others, defects]), np.arange(len(others) + len(defects)) >= len(others)


def _spacing(columns: Points) -> float:
    """Nearest-neighbour distance in pixels."""
    return float(np.median(cKDTree(columns).query(columns, k=2)[0][:, 1]))


def lattice_translations(columns: Points) -> tuple[Points, float]:
    """Find the shortest vectors that carry every column onto a column.

    Parameters
    ----------
    columns
        Column positions ``(N, 2)`` in pixels, all sublattices together.

    Returns
    -------
        Translations ``(T, 2)``, both signs, and the nearest-neighbour distance in pixels.
    """
    if len(columns) < MIN_COLUMNS:
        return np.zeros((0, 2)), 1.0
    spacing, tree = _spacing(columns), cKDTree(columns)
    centre = columns.mean(axis=0)
    probes = columns[np.argsort(np.linalg.norm(columns - centre, axis=1))[: len(columns) // 2][:300]]
    start = probes[np.argmin(np.linalg.norm(probes - centre, axis=1))]
    around = columns[tree.query_ball_point(start, 4.5 * spacing)] - start
    vectors = around[np.linalg.norm(around, axis=1) > 0.5 * spacing]
    low, high = columns.min(axis=0), columns.max(axis=0)
    shares = []
    for vector in vectors:
        moved = probes + vector
        inside = moved[np.all((moved >= low) & (moved <= high), axis=1)]
        shares.append((tree.query(inside)[0] < MATCH_SHARE * spacing).mean() if len(inside) else 0.0)
    found = vectors[np.array(shares) > 0.75]
    if not len(found):
        return np.zeros((0, 2)), spacing
    lengths = np.linalg.norm(found, axis=1)
    return found[lengths < 1.3 * lengths.min()], spacing


def _neighbours(sites: Points, translations: Points, spacing: float) -> NDArray[np.int_]:
    """Index of the site at each translation, shape ``(N, T)``; -1 where there is none."""
    tree = cKDTree(sites)
    distance, index = tree.query(sites[:, None] + translations[None])  # (N, T)
    return np.where(distance < MATCH_SHARE * spacing, index, -1)


def _contrasts(
    blurred: FloatImage, sites: Points, neighbours: NDArray[np.int_], is_defect: NDArray[np.bool_]
) -> tuple[Points, Points]:
    """Contrast of each site against its intact same-sublattice neighbours, in spreads and in grey values."""
    values = map_coordinates(blurred, sites.T, order=1, mode="nearest")
    around = np.where((neighbours >= 0) & ~is_defect[neighbours], values[neighbours], np.nan)  # (N, T)
    few = np.isfinite(around).sum(axis=1) < 2
    around[few] = np.where(neighbours[few] >= 0, values[neighbours[few]], np.nan)
    empty = ~np.isfinite(around).any(axis=1)
    around[empty] = values[empty, None]
    contrast = values - np.nanmedian(around, axis=1)
    intact = contrast[~is_defect & ~empty]
    spread = 1.4826 * np.median(np.abs(intact - np.median(intact))) if len(intact) else 1.0
    return contrast / max(float(spread), 1e-12), contrast


def _gain(before: FloatImage, after: FloatImage, spacing: float) -> float:
    """How much larger the lattice is after translation, in grey values (noise and clouds do not count)."""
    fine_before, fine_after = (image - gaussian_filter(image, spacing) for image in (before, after))
    slope = float((fine_before * fine_after).mean() / max(float(np.square(fine_before).mean()), 1e-12))
    return max(slope, 1e-9)
