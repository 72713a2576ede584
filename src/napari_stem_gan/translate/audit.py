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
    counts = np.zeros(3, dtype=int)
    area_nm2 = 0.0
    for before, after in zip(simulated, translated, strict=True):
        counts += _audit_one(before, after)
        size_nm = before.image.pixel_size_nm
        area_nm2 += before.image.data.size * size_nm**2 if size_nm else float("nan")
    planted, erased, invented = (int(n) for n in counts)
    fraction = erased / planted if planted else 0.0
    share = invented / planted if planted else 0.0
    passed = fraction <= MAX_ERASED and share <= MAX_INVENTED_SHARE
    reason = f"{erased} of {planted} visible planted defects erased, {invented} invented"
    return Audit(
        planted=planted,
        erased=erased,
        invented=invented,
        invented_per_nm2=invented / area_nm2 if area_nm2 > 0 else float("nan"),
        erased_fraction=fraction,
        passed=passed,
        reason=f"{reason}: {'labels are kept' if passed else 'labels are not kept'}",
    )


def _audit_one(labelled: LabelledImage, after: FloatImage) -> NDArray[np.int_]:
    """Return (planted and visible, erased, invented) of one image."""
    sites, is_defect = _sites(labelled)
    translations, spacing = lattice_translations(labelled.columns_px)
    if len(sites) < MIN_COLUMNS or not len(translations):
        return np.zeros(3, dtype=int)
    neighbours = _neighbours(sites, translations, spacing)
    usable = (neighbours >= 0).sum(axis=1) >= 3
    blurred = [gaussian_filter(x.astype(np.float32), WIDTH_SHARE * spacing) for x in (labelled.image.data, after)]
    before_z, before_contrast = _contrasts(blurred[0], sites, neighbours, is_defect)
    after_z, after_contrast = _contrasts(blurred[1], sites, neighbours, is_defect)
    scale = _gain(blurred[0], blurred[1], spacing)
    seen = is_defect & usable & (np.abs(before_z) > SEEN_SIGMA)
    if not seen.any():
        return np.zeros(3, dtype=int)
    kept = after_contrast / (before_contrast * scale) >= KEPT_SHARE
    erased = seen & ~kept
    typical = np.median(np.abs(before_contrast[seen]))
    intact = ~is_defect & usable & (np.abs(before_contrast) < KEPT_SHARE * typical)
    rise = np.abs(after_contrast - before_contrast * scale)
    invented = intact & (np.abs(after_z) > INVENTED_SIGMA) & (rise > RISE_SHARE * typical * scale)
    return np.array([seen.sum(), erased.sum(), invented.sum()])


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
