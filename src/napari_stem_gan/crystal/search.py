"""Fit a crystal's whole reciprocal lattice to the peaks of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import Spectrum
from napari_stem_gan.crystal.structure import rotation_matrix

ANGLE_STEP_DEG = 0.3
SCALE_STEP = 0.004
SHELLS = 5
STRONGEST = 60.0
PRESENT = 4.0


@dataclass(frozen=True)
class LatticeFit:
    """A reciprocal lattice found in a spectrum.

    Parameters
    ----------
    vectors_px
        Real lattice, rows a1 and a2 as (y, x) in pixels.
    goodness
        0 (nothing) to 1 (every low reflection is there and no peak is left over).
    present, explained
        Share of the crystal's low reflections that are there; share of the peaks' strength that lies on the lattice.
    """

    vectors_px: NDArray[np.float64]
    goodness: float
    present: float
    explained: float


def reflections(material: Material) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Low-order indices (h, k), one of each ± pair, shape ``(N, 2)``, and their shell, shape ``(N,)``."""
    reciprocal = np.linalg.inv(material.cell).T
    hk = np.array([(h, k) for h in range(-4, 5) for k in range(-4, 5) if (h, k) > (0, 0)], float)
    length = np.hypot(*(hk @ reciprocal).T)
    lengths = np.unique(length.round(6))[:SHELLS]
    keep = length <= lengths[-1] + 1e-5
    shell = np.searchsorted(lengths, length[keep].round(6))
    return hk[keep], shell


def search(
    found: Spectrum, material: Material, pixel_sizes_A: tuple[float, float], *, candidates: int = 8
) -> list[LatticeFit]:
    """Find reciprocal lattices of `material`, best first, one for each cell size.

    Parameters
    ----------
    found
        The image's spectrum.
    material
        Crystal to look for.
    pixel_sizes_A
        Smallest and largest pixel size that may be.
    candidates
        How many coarse maxima are refined.
    """
    if len(found.peaks) < 2:
        return []
    hk, shell = reflections(material)
    reciprocal = np.linalg.inv(material.cell).T  # rows b1, b2 in 1/Å
    low, high = pixel_sizes_A
    sizes = np.exp(np.arange(np.log(low), np.log(high) + SCALE_STEP, SCALE_STEP))
    symmetry = 90.0 if material.family == "oxide" else 60.0
    angles = np.arange(0, symmetry, ANGLE_STEP_DEG)
    score = np.zeros((len(angles), len(sizes)))
    for row, angle in enumerate(angles):
        g = (hk @ reciprocal) @ rotation_matrix(angle)  # (N, 2) in 1/Å
        ratio = found.at(g[None] * sizes[:, None, None])  # (S, N)
        score[row] = _coarse_score(ratio, shell)
    fits: list[LatticeFit] = []
    for row, col in _top(score, candidates):
        start = np.linalg.inv((reciprocal @ rotation_matrix(angles[row])) * sizes[col]).T
        fit = _refine(found, hk, shell, start)
        if fit is not None:
            fits.append(fit)
    return _distinct(sorted(fits, key=lambda f: -f.goodness))


def _distinct(fits: list[LatticeFit]) -> list[LatticeFit]:
    """Keep the best fit of each cell area (within 8 %)."""
    kept: list[LatticeFit] = []
    for fit in fits:
        areas = [np.linalg.det(k.vectors_px) / np.linalg.det(fit.vectors_px) for k in kept]
        if all(abs(abs(a) - 1) > 0.08 for a in areas):
            kept.append(fit)
    return kept


def _coarse_score(ratio: NDArray[np.float64], shell: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sum over shells of the mean clipped log signal, counted only while the first shell is there."""
    log_ratio = np.log(np.clip(ratio / 1.5, 1.0, STRONGEST))
    weights = 1.0 / (1.0 + shell)
    total = (log_ratio * weights).sum(-1) / weights.sum()
    return np.asarray(total * np.minimum(log_ratio[:, shell == 0].min(-1) / np.log(2), 1.0))


def _top(score: NDArray[np.float64], count: int) -> list[tuple[int, int]]:
    """Rows and columns of the largest separate maxima."""
    left = score.copy()
    picked = []
    for _ in range(count):
        row, col = (int(i) for i in np.unravel_index(int(left.argmax()), left.shape))
        if left[row, col] <= 0:
            break
        picked.append((row, col))
        rows = np.arange(row - 5, row + 6) % len(left)
        left[rows[:, None], np.arange(max(0, col - 4), min(left.shape[1], col + 5))[None]] = 0
    return picked


def _refine(
    found: Spectrum, hk: NDArray[np.float64], shell: NDArray[np.intp], vectors_px: NDArray[np.float64]
) -> LatticeFit | None:
    """Assign peaks to indices and solve for the reciprocal vectors, from low to high orders."""
    reciprocal = np.asarray(np.linalg.inv(vectors_px).T, np.float64)
    peaks = np.concatenate([found.peaks, -found.peaks])
    weights = np.sqrt(np.minimum(np.concatenate([found.strength, found.strength]), 200.0))
    first = float(np.hypot(*reciprocal.T).mean())
    for reach, tolerance in ((1.3, 3.5), (2.1, 3.0), (2.8, 2.0), (3.7, 1.6)):
        index = np.rint(peaks @ np.linalg.inv(reciprocal))
        miss = np.hypot(*((peaks - index @ reciprocal) / found.bin).T)
        near = (miss < tolerance) & (index != 0).any(1) & (np.hypot(*peaks.T) < reach * first)
        if near.sum() < 4 or np.linalg.matrix_rank(index[near]) < 2:
            continue
        w = weights[near, None]
        reciprocal = np.asarray(np.linalg.lstsq(index[near] * w, peaks[near] * w, rcond=None)[0], np.float64)
    if abs(np.linalg.det(reciprocal)) < 1e-9:
        return None
    present = _present(found, hk, shell, reciprocal)
    explained = _explained(found, reciprocal)
    return LatticeFit(np.asarray(np.linalg.inv(reciprocal).T, np.float64), present * explained, present, explained)


def _present(
    found: Spectrum, hk: NDArray[np.float64], shell: NDArray[np.intp], reciprocal: NDArray[np.float64]
) -> float:
    """Share of low reflections that stand out, the first two shells counting most."""
    frequency = hk @ reciprocal
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]) * found.bin
    ratio = found.at(frequency[:, None] + steps[None]).max(1)
    seen = (ratio > PRESENT) & (np.abs(frequency) < 0.49).all(1)
    share = np.array([seen[shell == s].mean() for s in (0, 1)])
    return float(share[0] * (0.6 + 0.4 * share[1]))


def _explained(found: Spectrum, reciprocal: NDArray[np.float64]) -> float:
    """Share of the peaks' clipped log strength that lies within two bins of a reflection."""
    radius = np.hypot(*found.peaks.T)
    first = float(np.hypot(*reciprocal.T).mean())
    low = (radius > 0.25 * first) & (radius < 2.2 * first)
    if not low.any():
        return 0.0
    peaks, strength = found.peaks[low], np.log(np.clip(found.strength[low], 1.0, 1e4))
    strong = found.strength[low] > 0.02 * found.strength[low].max()
    index = np.rint(peaks @ np.linalg.inv(reciprocal))
    miss = np.hypot(*((peaks - index @ reciprocal) / found.bin).T)
    on = (miss < 3.0) & (index != 0).any(1)
    return float((strength * on * strong).sum() / (strength * strong).sum())
