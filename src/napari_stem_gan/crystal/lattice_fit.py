"""How well a reciprocal lattice explains a spectrum, and which of several lattices are the same.

A lattice is worth the sum, over all its reflections below one common frequency, of how surprising the power there is,
less what background would give: a harmonic or a subcell leaves reflections out, a supercell pays for those that are not
there, so neither wins over the crystal's own lattice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import Spectrum

HIGHEST_INDEX = 8
SHELLS = 4
MOST_SURPRISE = 12.0  # of one reflection; beyond it only the logarithm counts, so that none decides alone
SURE = 14.0  # surprise that background reaches less than once in a whole spectrum
PRESENT = 5.0
NYQUIST = 0.47
LARGEST_DISTORTION = 0.12
STRAIN_COST = 150.0  # in surprise, for a strain of 1: drift of a per cent is common, of ten rare
SAME_BINS = 1.2
STREAK_BINS, STREAK = 0.5, 0.4  # half the width of a streak of wander; its reach over the first shell


@dataclass(frozen=True)
class LatticeFit:
    """A reciprocal lattice found in a spectrum.

    Parameters
    ----------
    vectors_px
        Real lattice, rows a1 and a2 as (y, x) in pixels.
    surprise
        Sum over reflections of −ln(chance), capped each, less what background alone would give.
    present, explained
        Share of the crystal's low reflections that are there; share of the peaks' strength that lies on the lattice.
    """

    vectors_px: NDArray[np.float64]
    surprise: float
    present: float
    explained: float

    @property
    def reciprocal(self) -> NDArray[np.float64]:
        """Rows b1 and b2 as (fy, fx) in cycles per pixel."""
        return np.asarray(np.linalg.inv(self.vectors_px).T, np.float64)

    @property
    def goodness(self) -> float:
        """0 (nothing) to 1 (every low reflection is there and no peak is left over)."""
        return self.present * self.explained


@lru_cache(maxsize=64)
def reflections(material: Material, shells: int = SHELLS + 1) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Low-order indices (h, k), one of each ± pair, shape ``(N, 2)``, and their shell, shape ``(N,)``."""
    reciprocal = np.linalg.inv(material.cell).T
    hk = half_plane(HIGHEST_INDEX)
    length = np.hypot(*(hk @ reciprocal).T)
    lengths = np.unique(length.round(4))[:shells]
    keep = length <= lengths[-1] + 1e-3
    shell = np.searchsorted(lengths, length[keep].round(4) - 1e-9)
    return hk[keep], np.minimum(shell, shells - 1)


def judge(found: Spectrum, material: Material, vectors_px: NDArray[np.float64]) -> LatticeFit:
    """Say how well a lattice that is already known explains a spectrum."""
    size = float(np.sqrt(abs(np.linalg.det(material.cell) / np.linalg.det(vectors_px))))
    return judged(found, material, np.asarray(np.linalg.inv(vectors_px).T), frequency_limit(found, material, size))


def chance(reach_bins: int) -> float:
    """Surprise that the highest of a window of background has on average."""
    return float(1.0 + np.log(1.0 + (2 * reach_bins + 1) ** 2 / 4))


def capped(surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surprise up to a limit, its logarithm beyond."""
    beyond = np.log(np.maximum(surprise, MOST_SURPRISE) / MOST_SURPRISE)
    return np.asarray(np.minimum(surprise, MOST_SURPRISE) + 3.0 * beyond)


def plausible(reciprocal: NDArray[np.float64], material: Material, pixel_sizes_A: tuple[float, float]) -> bool:
    """Whether a reciprocal lattice can be the crystal's: of that size, not mirrored and not too distorted."""
    area = abs(float(np.linalg.det(reciprocal)))
    if area < 1e-9:
        return False
    size = np.sqrt(area * abs(np.linalg.det(material.cell)))
    return bool(0.995 * pixel_sizes_A[0] <= size <= 1.005 * pixel_sizes_A[1]) and _strain(
        reciprocal, material
    ) < LARGEST_DISTORTION


def _strain(reciprocal: NDArray[np.float64], material: Material) -> float:
    """Largest principal strain of a reciprocal lattice against the crystal's, apart from its size; 1 if mirrored."""
    deformation = material.cell.T @ reciprocal
    if np.linalg.det(deformation) < 0:
        return 1.0
    values = np.linalg.svd(deformation, compute_uv=False)
    return float(np.abs(values / np.sqrt(values.prod()) - 1).max())


def judged(found: Spectrum, material: Material, reciprocal: NDArray[np.float64], limit: float) -> LatticeFit:
    """Judge a reciprocal lattice on its reflections below `limit`, in cycles per pixel."""
    hk = half_plane(HIGHEST_INDEX)
    frequency = hk @ reciprocal
    near = np.hypot(*frequency.T) < limit
    value = found.surprise(found.highest(frequency[near], 1))
    surprise = float((capped(value) - chance(1)).sum()) - STRAIN_COST * _strain(reciprocal, material)
    vectors = np.asarray(np.linalg.inv(reciprocal).T, np.float64)
    return LatticeFit(vectors, surprise, _present(found, material, reciprocal), _explained(found, reciprocal))


def frequency_limit(found: Spectrum, material: Material, pixel_size_A: float) -> float:
    """Highest frequency with a sure peak, beyond which no lattice gains or loses; without any, the second shell."""
    sure = found.peaks[found.surprise(found.strength) > SURE]
    if len(sure) >= 4:
        return float(min(1.05 * np.hypot(*sure.T).max(), NYQUIST))
    first = float(np.hypot(*np.linalg.inv(material.cell)).max())
    return min(1.9 * first * pixel_size_A, NYQUIST)


def distinct(
    reciprocals: Iterable[NDArray[np.float64]], bin_width: NDArray[np.float64], most: int
) -> list[NDArray[np.float64]]:
    """The first of each group of equivalent reciprocal lattices, at most `most`."""
    kept: list[NDArray[np.float64]] = []
    known = np.zeros((0, 2, 2))
    for one in reciprocals:
        if len(kept) == most:
            break
        if not equivalent(one, known, bin_width).any():
            kept.append(one)
            known = np.stack(kept)
    return kept


def equivalent(
    one: NDArray[np.float64], others: NDArray[np.float64], bin_width: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of reciprocal lattices ``(N, 2, 2)`` have the points of `one` near the origin, within about a bin."""
    (a, b), (c, d) = np.moveaxis(others, 0, -1)
    inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)  # (2, 2, N)
    change = np.einsum("ij,jkn->nik", one, inverse)
    whole = np.rint(change)
    unimodular = np.abs(np.abs(whole[:, 0, 0] * whole[:, 1, 1] - whole[:, 0, 1] * whole[:, 1, 0]) - 1) < 0.5
    near = (np.abs((change - whole) @ others) < SAME_BINS * bin_width).all((1, 2))
    return np.asarray(unimodular & near)


def _present(found: Spectrum, material: Material, reciprocal: NDArray[np.float64]) -> float:
    """Share of low reflections that stand out, the first shell counting most."""
    hk, shell = reflections(material)
    frequency = hk @ reciprocal
    seen = found.surprise(found.highest(frequency, 1)) > PRESENT
    seen &= (np.abs(frequency) < NYQUIST).all(1)
    share = np.array([seen[shell == s].mean() for s in (0, 1)])
    return float(share[0] * (0.6 + 0.4 * share[1]))


def _explained(found: Spectrum, reciprocal: NDArray[np.float64]) -> float:
    """Share of the sure peaks' clipped log strength that lies on a reflection."""
    radius = np.hypot(*found.peaks.T)
    first = float(np.sort(np.hypot(*(half_plane(2) @ reciprocal).T))[0])
    low = (radius > 0.45 * first) & (radius < 2.2 * first) & (found.surprise(found.strength) > SURE)
    if not low.any():
        return 1.0
    peaks, strength = found.peaks[low], np.log(np.clip(found.strength[low], 1.0, 1e4))
    strong = found.strength[low] > 0.02 * found.strength[low].max()
    index = np.rint(peaks @ np.linalg.inv(reciprocal))
    away = np.abs(peaks - index @ reciprocal) / found.bin
    streak = (away[:, 1] < STREAK_BINS) & (away[:, 0] * found.bin[0] < STREAK * first)  # rows shift, columns do not
    on = ((np.hypot(*away.T) < 3.0) | streak) & (index != 0).any(1)
    return float((strength * on * strong).sum() / (strength * strong).sum())


@lru_cache(maxsize=8)
def half_plane(highest: int) -> NDArray[np.float64]:
    """Indices (h, k) up to `highest`, one of each ± pair, without the origin."""
    span = range(-highest, highest + 1)
    return np.array([(h, k) for h in span for k in span if (h, k) > (0, 0)], float)
