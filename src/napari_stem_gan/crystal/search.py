"""Search a spectrum for a crystal's reciprocal lattice: every strong peak is tried as every low reflection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.lattice_fit import (
    LARGEST_DISTORTION,
    NYQUIST,
    SHELLS,
    SURE,
    LatticeFit,
    capped,
    chance,
    distinct,
    frequency_limit,
    half_plane,
    judge,
    judged,
    plausible,
    reflections,
)
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import Spectrum
from napari_stem_gan.crystal.structure import rotation_matrix

__all__ = [
    "LARGEST_DISTORTION", "NYQUIST", "SURE", "LatticeFit", "among", "capped", "half_plane", "judge", "refine",
    "reflections", "search",
]  # fmt: skip

PEAKS_TRIED, PAIRS_TRIED = 60, 24
REFINED, CANDIDATES = 24, 4
HELD = 3.0  # weight of the lattice as it is while it is refined: a single faint peak must not bend it
LOCAL = 1.001  # where a bin beside the highest of a window is higher, that is the flank of another peak
LARGEST_SKEW, LARGEST_RATIO = np.deg2rad(9.0), 0.16


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
    best = distinct(trials[np.argsort(worth)[::-1]], found.bin, refined)
    return _chosen(found, material, pixel_sizes_A, [refine(found, one) for one in best], candidates)


def among(
    found: Spectrum, material: Material, pixel_sizes_A: tuple[float, float], fits: list[LatticeFit]
) -> list[LatticeFit]:
    """Those of lattices found for a crystal of the same shape that could be `material`, judged as `search` does."""
    return _chosen(found, material, pixel_sizes_A, [f.reciprocal for f in fits], CANDIDATES)


def _chosen(
    found: Spectrum,
    material: Material,
    pixel_sizes_A: tuple[float, float],
    reciprocals: list[NDArray[np.float64]],
    candidates: int,
) -> list[LatticeFit]:
    """Judge the lattices that can be the crystal's; the most surprising first, equivalent ones once."""
    limit = frequency_limit(found, material, float(np.sqrt(pixel_sizes_A[0] * pixel_sizes_A[1])))
    fits = [judged(found, material, r, limit) for r in reciprocals if plausible(r, material, pixel_sizes_A)]
    fits.sort(key=lambda f: -f.surprise)
    kept = distinct((f.reciprocal for f in fits), found.bin, candidates)
    return [next(f for f in fits if np.array_equal(f.reciprocal, one)) for one in kept]


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
            np.add.at(total, np.nonzero(chosen)[0], capped(value) - chance(reach))
    return total


def refine(found: Spectrum, reciprocal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull a reciprocal lattice (rows b1, b2 in cycles per pixel) onto the peaks, from low to high orders."""
    hk = half_plane(5)
    first = float(np.sort(np.hypot(*(hk @ reciprocal).T))[0])
    for reach, bins in ((1.3, 4), (1.8, 3), (1.8, 2), (2.1, 2), (2.9, 2), (4.1, 1)):
        frequency = hk @ reciprocal
        near = (np.hypot(*frequency.T) < reach * first) & (np.abs(frequency) < NYQUIST).all(1)
        where, ratio = found.locate(frequency[near], bins)
        weight = np.maximum(np.minimum(found.surprise(ratio), 40.0) - chance(bins) - 1.0, 0.0)
        weight = np.where(found.highest(where, 1) > ratio * LOCAL, 0.0, weight)
        if (weight > 0).sum() < 2 or np.linalg.matrix_rank(hk[near] * np.sqrt(weight)[:, None]) < 2:
            continue
        w, held = np.sqrt(weight)[:, None], np.sqrt(HELD) * np.eye(2)
        design, target = np.concatenate([hk[near] * w, held]), np.concatenate([where * w, held @ reciprocal])
        reciprocal = np.asarray(np.linalg.lstsq(design, target, rcond=None)[0], np.float64)
    return reciprocal


