"""Fit a crystal's whole reciprocal lattice to a spectrum.

Every strong peak is tried as every low reflection. A hypothesis is worth the sum, over all its reflections below one
common frequency, of how surprising the power there is, less what background would give: a harmonic or a subcell leaves
reflections out, a supercell pays for those that are not there, so neither wins over the crystal's own lattice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import Spectrum
from napari_stem_gan.crystal.structure import rotation_matrix

HIGHEST_INDEX = 8
SHELLS = 4
PEAKS_TRIED, PAIRS_TRIED = 60, 24
REFINED, CANDIDATES = 24, 4
MOST_SURPRISE = 12.0  # of one reflection; beyond it only the logarithm counts, so that none decides alone
SURE = 14.0  # surprise that background reaches less than once in a whole spectrum
PRESENT = 5.0
LARGEST_SKEW, LARGEST_RATIO = np.deg2rad(9.0), 0.16
NYQUIST = 0.47
LARGEST_DISTORTION = 0.12
STRAIN_COST = 150.0  # in surprise, for a strain of 1: drift of a per cent is common, of ten rare


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


def search(
    found: Spectrum,
    material: Material,
    pixel_sizes_A: tuple[float, float],
    *,
    candidates: int = CANDIDATES,
    refined: int = REFINED,
) -> list[LatticeFit]:
    """Find reciprocal lattices of `material`, most surprising first.

    Parameters
    ----------
    found
        The image's spectrum.
    material
        Crystal to look for.
    pixel_sizes_A
        Smallest and largest pixel size that may be.
    candidates
        Largest number of lattices returned.
    refined
        Number of hypotheses that are refined.
    """
    if len(found.peaks) < 2:
        return []
    hk, _ = reflections(material)
    trials = _hypotheses(found, material, pixel_sizes_A)
    if not len(trials):
        return []
    worth = _rough_worth(found, hk, trials)
    best = _distinct(trials[np.argsort(worth)[::-1]], found.bin, refined)
    return _chosen(found, material, pixel_sizes_A, [refine(found, one) for one in best], candidates)


def among(
    found: Spectrum, material: Material, pixel_sizes_A: tuple[float, float], fits: list[LatticeFit]
) -> list[LatticeFit]:
    """Those of lattices found for a crystal of the same shape that could be `material`, judged as `search` does."""
    known = [np.asarray(np.linalg.inv(f.vectors_px).T, np.float64) for f in fits]
    return _chosen(found, material, pixel_sizes_A, known, CANDIDATES)


def _chosen(
    found: Spectrum,
    material: Material,
    pixel_sizes_A: tuple[float, float],
    reciprocals: list[NDArray[np.float64]],
    candidates: int,
) -> list[LatticeFit]:
    """Judge the lattices that can be the crystal's; the most surprising first, equivalent ones once."""
    limit = _frequency_limit(found, material, float(np.sqrt(pixel_sizes_A[0] * pixel_sizes_A[1])))
    fits = [_judged(found, material, r, limit) for r in reciprocals if _plausible(r, material, pixel_sizes_A)]
    fits.sort(key=lambda f: -f.surprise)
    kept: list[LatticeFit] = []
    for fit in fits:
        own = np.asarray(np.linalg.inv(fit.vectors_px).T)
        if not any(equivalent(own, np.asarray(np.linalg.inv(k.vectors_px).T), found.bin) for k in kept):
            kept.append(fit)
    return kept[:candidates]


def judge(found: Spectrum, material: Material, vectors_px: NDArray[np.float64]) -> LatticeFit:
    """Say how well a lattice that is already known explains a spectrum."""
    size = float(np.sqrt(abs(np.linalg.det(material.cell) / np.linalg.det(vectors_px))))
    return _judged(found, material, np.asarray(np.linalg.inv(vectors_px).T), _frequency_limit(found, material, size))


def _hypotheses(
    found: Spectrum, material: Material, pixel_sizes_A: tuple[float, float]
) -> NDArray[np.float64]:
    """Reciprocal lattices (cycles per pixel) that put a peak, or a pair of peaks, on low reflections: ``(H, 2, 2)``."""
    reciprocal = np.asarray(np.linalg.inv(material.cell).T, np.float64)  # rows b1, b2 in 1/Å
    hk, _ = reflections(material, SHELLS)
    g = hk @ reciprocal
    peaks = found.peaks[:PEAKS_TRIED]
    size = np.hypot(*peaks.T)[:, None] / np.hypot(*g.T)[None]  # (P, R) in Å per pixel
    turn = np.arctan2(peaks[:, 0], peaks[:, 1])[:, None] - np.arctan2(g[:, 0], g[:, 1])[None]
    low, high = pixel_sizes_A
    keep = (size > 0.97 * low) & (size < 1.03 * high)
    order = len(material.lattice_rotations)
    turns = np.rad2deg(turn[keep]) % (360 / order)
    similar = [reciprocal @ rotation_matrix(t) * s for t, s in zip(turns, size[keep], strict=True)]
    sheared = _pairs(found.peaks[:PAIRS_TRIED], reciprocal, pixel_sizes_A)
    return np.array(similar + sheared).reshape(-1, 2, 2)


def _pairs(
    peaks: NDArray[np.float64], reciprocal: NDArray[np.float64], pixel_sizes_A: tuple[float, float]
) -> list[NDArray[np.float64]]:
    """Lattices sheared by drift: two peaks near the angle and the ratio of lengths of b1 and b2."""
    both = np.concatenate([peaks, -peaks])
    first, second = (np.array(pair) for pair in np.meshgrid(np.arange(len(peaks)), np.arange(len(both)), indexing="ij"))
    p, q = peaks[first.ravel()], both[second.ravel()]
    b1, b2 = reciprocal
    angle = _angle(p, q) - _angle(b1[None], b2[None])
    sizes = np.hypot(*p.T) / np.hypot(*b1), np.hypot(*q.T) / np.hypot(*b2)
    mean = np.sqrt(sizes[0] * sizes[1])
    keep = (np.abs((angle + np.pi) % (2 * np.pi) - np.pi) < LARGEST_SKEW) & (
        np.abs(np.log(sizes[0] / sizes[1])) < LARGEST_RATIO
    )
    keep &= (mean > 0.97 * pixel_sizes_A[0]) & (mean < 1.03 * pixel_sizes_A[1])
    return list(np.stack([p[keep], q[keep]], 1))


def _angle(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle from p to q in rad, rows as (y, x), positive from +x towards +y."""
    return np.asarray(np.arctan2(p[:, 1] * q[:, 0] - p[:, 0] * q[:, 1], (p * q).sum(1)))


def _rough_worth(found: Spectrum, hk: NDArray[np.float64], trials: NDArray[np.float64]) -> NDArray[np.float64]:
    """Worth of unrefined lattices: the highest power near each low reflection, less what chance gives."""
    frequency = hk @ trials  # (H, N, 2)
    away = np.hypot(*np.moveaxis(frequency / found.bin, -1, 0)) * 0.02
    total = np.zeros(len(trials))
    for reach, low, high in ((1, 0.0, 1.5), (2, 1.5, 2.5), (3, 2.5, 4.0), (5, 4.0, np.inf)):
        chosen = (away >= low) & (away < high) & (np.abs(frequency) < NYQUIST).all(-1)
        if chosen.any():
            value = found.surprise(found.highest(frequency[chosen], reach))
            np.add.at(total, np.nonzero(chosen)[0], capped(value) - _chance(reach))
    return total


def _chance(reach_bins: int) -> float:
    """Surprise that the highest of a window of background has on average."""
    return float(1.0 + np.log(1.0 + (2 * reach_bins + 1) ** 2 / 4))


def capped(surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surprise up to a limit, its logarithm beyond."""
    beyond = np.log(np.maximum(surprise, MOST_SURPRISE) / MOST_SURPRISE)
    return np.asarray(np.minimum(surprise, MOST_SURPRISE) + 3.0 * beyond)


def refine(found: Spectrum, reciprocal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull a reciprocal lattice (rows b1, b2 in cycles per pixel) onto the peaks, from low to high orders."""
    hk = half_plane(5)
    first = float(np.sort(np.hypot(*(hk @ reciprocal).T))[0])
    for reach, bins in ((1.3, 4), (1.8, 3), (1.8, 2), (2.1, 2), (2.9, 2), (4.1, 1)):
        frequency = hk @ reciprocal
        near = (np.hypot(*frequency.T) < reach * first) & (np.abs(frequency) < NYQUIST).all(1)
        where, ratio = found.locate(frequency[near], bins)
        weight = np.maximum(np.minimum(found.surprise(ratio), 40.0) - _chance(bins) - 1.0, 0.0)
        if (weight > 0).sum() < 2 or np.linalg.matrix_rank(hk[near] * np.sqrt(weight)[:, None]) < 2:
            continue
        w = np.sqrt(weight)[:, None]
        reciprocal = np.asarray(np.linalg.lstsq(hk[near] * w, where * w, rcond=None)[0], np.float64)
    return reciprocal


def _plausible(reciprocal: NDArray[np.float64], material: Material, pixel_sizes_A: tuple[float, float]) -> bool:
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


def _judged(found: Spectrum, material: Material, reciprocal: NDArray[np.float64], limit: float) -> LatticeFit:
    hk = half_plane(HIGHEST_INDEX)
    frequency = hk @ reciprocal
    near = np.hypot(*frequency.T) < limit
    value = found.surprise(found.highest(frequency[near], 1))
    surprise = float((capped(value) - _chance(1)).sum()) - STRAIN_COST * _strain(reciprocal, material)
    vectors = np.asarray(np.linalg.inv(reciprocal).T, np.float64)
    return LatticeFit(vectors, surprise, _present(found, material, reciprocal), _explained(found, reciprocal))


def _frequency_limit(found: Spectrum, material: Material, pixel_size_A: float) -> float:
    """Highest frequency with a sure peak, beyond which no lattice gains or loses; without any, the second shell."""
    sure = found.peaks[found.surprise(found.strength) > SURE]
    if len(sure) >= 4:
        return float(min(1.05 * np.hypot(*sure.T).max(), NYQUIST))
    first = float(np.hypot(*np.linalg.inv(material.cell)).max())
    return min(1.9 * first * pixel_size_A, NYQUIST)


def _distinct(
    reciprocals: NDArray[np.float64], bin_width: NDArray[np.float64], most: int
) -> list[NDArray[np.float64]]:
    """The first of each group of equivalent lattices, at most `most`."""
    kept: list[NDArray[np.float64]] = []
    for one in reciprocals:
        if len(kept) == most:
            break
        if not any(equivalent(one, other, bin_width) for other in kept):
            kept.append(one)
    return kept


def equivalent(one: NDArray[np.float64], other: NDArray[np.float64], bin_width: NDArray[np.float64]) -> bool:
    """Whether two reciprocal lattices have the same points near the origin, within about a bin."""
    change = one @ np.linalg.inv(other)
    whole = np.rint(change)
    if round(abs(np.linalg.det(whole))) != 1:
        return False
    return bool((np.abs((change - whole) @ other) < 1.2 * bin_width).all())


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
    miss = np.hypot(*((peaks - index @ reciprocal) / found.bin).T)
    on = (miss < 3.0) & (index != 0).any(1)
    return float((strength * on * strong).sum() / (strength * strong).sum())


@lru_cache(maxsize=8)
def half_plane(highest: int) -> NDArray[np.float64]:
    """Indices (h, k) up to `highest`, one of each ± pair, without the origin."""
    span = range(-highest, highest + 1)
    return np.array([(h, k) for h in span for k in span if (h, k) > (0, 0)], float)
