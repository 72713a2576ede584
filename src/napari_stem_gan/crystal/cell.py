"""The average unit cell of an image: where its origin lies, how wide and how bright its columns are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from scipy import optimize

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import central_crop
from napari_stem_gan.crystal.warp import Warp, blurred
from napari_stem_gan.image import FloatImage

BINS = 36
LARGEST_SIDE_PX = 1536
ON_CRYSTAL = 0.6
Z_EXPONENT = 1.5
EXPONENTS = (1.3, 1.9)  # of Z: low and high inner angles (SCIENCE 2.4)
STACKED = 0.25  # ln of what two atoms in a column give over twice one, with some room
CHANNELLED = 0.5  # the same for thick columns, where channelling favours one by up to 1.5 (benchmarks/thickness.py)
LEAST_SIGNAL = 0.3  # share of the average cell that is taken for signal at least
MOST_NOISE = 0.7  # that a ratio of columns is forgiven
BRIGHT = 0.1
FWHM = 2.3548  # over sigma
WIDTHS_A = np.linspace(0.7, 2.6, 10)
WIDEST_A = 3.4
HIGHEST_PER_A = 1.4


@dataclass(frozen=True)
class CellFit:
    """Origin, column width and brightness of each kind of column in the average cell.

    Parameters
    ----------
    origin
        Fractional position of the material's cell origin.
    fwhm_A
        Full width at half maximum of the columns.
    correlation
        Of the model cell with the average cell, corrected for the noise of the latter (0 to 1).
    contrast
        Brightness of the strongest column over the background, in image units.
    brightness
        Measured brightness of each kind of column over the brightest kind, by sublattice.
    fwhm_error_A
        Standard error of the width, from what the model leaves of the average cell.
    misfit
        How far those ratios lie from what the atomic numbers allow: the largest excess of |ln ratio|.
    """

    origin: NDArray[np.float64]
    fwhm_A: float
    fwhm_error_A: float
    correlation: float
    contrast: float
    brightness: dict[str, float]
    misfit: float


def average_cell(data: FloatImage, vectors_px: NDArray[np.float64], warp: Warp) -> NDArray[np.float64]:
    """Average all cells of the crystal into ``(BINS, BINS)`` over fractions (a1, a2); background removed."""
    crop = central_crop(data, LARGEST_SIDE_PX)
    first = [(n - m) // 2 for n, m in zip(data.shape, crop.shape, strict=True)]
    rows, cols = (np.arange(n, dtype=np.float32) + f for n, f in zip(crop.shape, first, strict=True))
    moved, crystallinity = warp.over(rows, cols)
    inverse = np.linalg.inv(vectors_px).astype(np.float32)
    flat = np.zeros(crop.shape, np.int32)
    for axis, stride in ((0, BINS), (1, 1)):
        along = (rows * inverse[0, axis])[:, None] + (cols * inverse[1, axis])[None]
        along -= moved[0] * inverse[0, axis] + moved[1] * inverse[1, axis]
        along -= np.floor(along)
        flat += np.minimum((along * BINS).astype(np.int32), BINS - 1) * stride
    weight = (crystallinity > ON_CRYSTAL).astype(np.float32)
    if weight.mean() < 0.02:
        weight[:] = 1.0
    values = crop - blurred(crop, 1.5 * float(np.sqrt(abs(np.linalg.det(vectors_px)))))
    counts = np.bincount(flat.ravel(), weight.ravel(), BINS * BINS)
    cell = np.bincount(flat.ravel(), (weight * values).ravel(), BINS * BINS) / np.maximum(counts, 1e-9)
    return np.asarray(cell.reshape(BINS, BINS))


def fit_cell(
    cell: NDArray[np.float64], material: Material, vectors_px: NDArray[np.float64], pixel_size_A: float
) -> CellFit:
    """Place `material` in an average cell: all shifts and widths with brightness by atomic number, then all free."""
    vectors_A = vectors_px * pixel_size_A
    within = np.hypot(*np.moveaxis(_frequencies(vectors_A), -1, 0)) < HIGHEST_PER_A
    cell, noise = _without_noise(cell, within)
    best = (-2.0, np.zeros(2), WIDTHS_A[0])
    spectrum = np.fft.rfft2(cell)
    spectrum[0, 0] = 0.0
    expected = expected_brightness(material, Z_EXPONENT)
    for width in WIDTHS_A:
        model = np.fft.rfft2(_model(material, vectors_A, np.zeros(2), width / FWHM, expected))
        model[0, 0] = 0.0
        correlation = np.fft.irfft2(spectrum * np.conj(model), s=cell.shape)
        shift = np.unravel_index(int(correlation.argmax()), correlation.shape)
        value = float(correlation[shift] / np.sqrt((np.fft.irfft2(model, s=cell.shape) ** 2).sum()))
        if value > best[0]:
            best = (value, np.array([_peak(correlation, shift, axis) for axis in (0, 1)]) / BINS, width)
    return _freed(cell, material, vectors_A, best[1], best[2] / FWHM, noise)


def _without_noise(
    cell: NDArray[np.float64], within: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """The cell within the probe's reach, and the energy Σ cell² that noise has there, read off beyond the reach."""
    spectrum = np.fft.rfft2(cell)
    beyond = float((np.abs(spectrum[~within]) ** 2).mean()) if (~within).any() else 0.0
    energy = beyond * 2 * float(within.sum()) / cell.size  # a half spectrum counts twice
    return np.asarray(np.fft.irfft2(spectrum * within, s=cell.shape)), energy


def _freed(
    cell: NDArray[np.float64],
    material: Material,
    vectors_A: NDArray[np.float64],
    origin: NDArray[np.float64],
    sigma_A: float,
    noise_energy: float,
) -> CellFit:
    """Refine origin and width with every kind of column as bright as the image says (variable projection)."""
    target = cell - cell.mean()

    def designed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = _parts(material, vectors_A, values[:2], float(values[2]))
        return np.stack([(p - p.mean()).ravel() for p in parts], 1)

    def left(values: NDArray[np.float64]) -> NDArray[np.float64]:
        design = designed(values)
        return design @ optimize.nnls(design, target.ravel())[0] - target.ravel()

    low, high = WIDTHS_A[0] / FWHM / 2, WIDEST_A / FWHM
    start = np.r_[origin, np.clip(sigma_A, low * 1.01, high * 0.99)]
    bounds = (np.r_[origin - 0.2, low], np.r_[origin + 0.2, high])
    fit = optimize.least_squares(left, start, bounds=bounds, x_scale=(0.05, 0.05, 0.1), max_nfev=12)
    found = fit.x
    design = designed(found)
    amplitudes = optimize.nnls(design, target.ravel())[0]
    model = design @ amplitudes
    independent = 2 * int((np.hypot(*np.moveaxis(_frequencies(vectors_A), -1, 0)) < HIGHEST_PER_A).sum())
    noise = 2 * fit.cost / max(independent - 3 - len(amplitudes), 1)
    variance = noise * np.linalg.pinv(fit.jac.T @ fit.jac)[2, 2]
    spread = np.sqrt(noise * np.diag(np.linalg.pinv(design.T @ design)))
    energy = float((target**2).sum())
    norm = float(np.linalg.norm(model)) * np.sqrt(max(energy - noise_energy, LEAST_SIGNAL * energy)) + 1e-30
    names = kinds(material)
    strongest = max(float(amplitudes.max()), 1e-30)
    return CellFit(
        origin=np.asarray(found[:2]),
        fwhm_A=float(FWHM * found[2]),
        fwhm_error_A=float(FWHM * np.sqrt(variance)),
        correlation=min(float(model @ target.ravel()) / norm, 1.0),
        contrast=float(np.ptp(model)),
        brightness={n: float(a / strongest) for n, a in zip(names, amplitudes, strict=True)},
        misfit=_misfit(material, amplitudes, spread),
    )


def kinds(material: Material) -> list[str]:
    """Sublattices in the order in which they first occur."""
    return list(dict.fromkeys(c.sublattice for c in material.columns))


def expected_brightness(material: Material, exponent: float) -> NDArray[np.float64]:
    """Brightness of one column of each kind, Σ Z^exponent, over the brightest."""
    value = np.zeros(len(kinds(material)))
    for index, kind in enumerate(kinds(material)):
        atoms = next(c.atoms for c in material.columns if c.sublattice == kind)
        value[index] = sum(atomic_numbers[a] ** exponent for a in atoms)
    return value / value.max()


def _misfit(material: Material, amplitudes: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Excess of |ln ratio| of bright columns over what exponents from 1.3 to 1.9, stacked columns and noise allow."""
    ranges = np.log(np.stack([expected_brightness(material, e) for e in EXPONENTS]))  # (2, kinds)
    safe = np.maximum(np.maximum(amplitudes, spread), 1e-3 * amplitudes.max() + 1e-30)
    measured, relative = np.log(safe), spread / safe
    bright = ranges.min(0) > np.log(BRIGHT)  # at every exponent: not the oxygen of an oxide
    if bright.sum() < 2:
        return 0.0
    allowed = CHANNELLED if material.period_A else STACKED
    pairs = [(i, j) for i in np.flatnonzero(bright) for j in np.flatnonzero(bright) if i < j]
    excess = []
    for i, j in pairs:
        ratio, (low, high) = measured[i] - measured[j], np.sort(ranges[:, i] - ranges[:, j])
        room = allowed + min(2.0 * float(np.hypot(relative[i], relative[j])), MOST_NOISE)
        excess.append(max(low - room - ratio, ratio - high - room, 0.0))
    return float(max(excess))


def _parts(
    material: Material, vectors_A: NDArray[np.float64], origin: NDArray[np.float64], sigma_A: float
) -> list[NDArray[np.float64]]:
    """Gaussian columns of each kind in one periodic cell, height 1, each of shape ``(BINS, BINS)``.

    A bin at index n stands for fractions n to n + 1, so that its middle is (n + 0.5) / BINS.
    """
    h, k = _indices()
    g2 = (_frequencies(vectors_A) ** 2).sum(-1)
    area = abs(float(np.linalg.det(vectors_A)))
    gaussian = 2 * np.pi * sigma_A**2 / area * np.exp(-2 * np.pi**2 * sigma_A**2 * g2) * (g2 < HIGHEST_PER_A**2)
    gaussian = gaussian * np.sinc(h / BINS) * np.sinc(k / BINS) * BINS**2
    parts = []
    for kind in kinds(material):
        places = np.array([c.fraction for c in material.columns if c.sublattice == kind]) + origin - 0.5 / BINS
        phase = np.exp(-2j * np.pi * (h[..., None] * places[:, 0] + k[..., None] * places[:, 1])).sum(-1)
        parts.append(np.fft.irfft2(gaussian * phase, s=(BINS, BINS)))
    return parts


def _indices() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Indices (h, k) of the coefficients of an average cell, as a column and a row."""
    h = np.asarray(np.fft.fftfreq(BINS) * BINS, np.float64)
    return h[:, None], np.arange(BINS // 2 + 1, dtype=np.float64)[None]


def _frequencies(vectors_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spatial frequencies of the coefficients of an average cell in 1/Å, ``(BINS, BINS // 2 + 1, 2)``."""
    return np.asarray(np.stack(np.broadcast_arrays(*_indices()), -1) @ np.linalg.inv(vectors_A).T)


def _model(
    material: Material,
    vectors_A: NDArray[np.float64],
    origin: NDArray[np.float64],
    sigma_A: float,
    brightness: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of the kinds, each times its brightness."""
    parts = _parts(material, vectors_A, origin, sigma_A)
    return np.asarray(sum(p * b for p, b in zip(parts, brightness, strict=True)))


def column_brightness(atoms: tuple[str, ...]) -> float:
    """Rough brightness of a column, Σ Z^1.5: good enough to tell columns apart."""
    return float(sum(atomic_numbers[a] ** Z_EXPONENT for a in atoms))


def _peak(correlation: NDArray[np.float64], shift: tuple[np.intp, ...], axis: int) -> float:
    """Sub-bin position of a periodic maximum along one axis."""
    line = correlation[:, shift[1]] if axis == 0 else correlation[shift[0], :]
    m = int(shift[axis])
    left, middle, right = line[m - 1], line[m], line[(m + 1) % BINS]
    curvature = left - 2 * middle + right
    return m + (0.5 * (left - right) / curvature if curvature < 0 else 0.0)
