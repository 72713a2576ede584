"""The average unit cell of an image: where its origin lies, which way it points, how wide its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.spectrum import central_crop
from napari_stem_gan.crystal.warp import Warp
from napari_stem_gan.image import FloatImage

BINS = 36
Z_EXPONENT = 1.5
WIDTHS_A = np.linspace(0.7, 2.6, 20)


@dataclass(frozen=True)
class CellFit:
    """Origin, sense and column width of the average cell.

    Parameters
    ----------
    origin
        Fractional position of the material's cell origin.
    turned
        True: the second half of the cell comes first (the crystal is turned by 60°).
    fwhm_A
        Full width at half maximum of the columns.
    correlation
        Of the model cell with the average cell (0 to 1).
    contrast
        Brightness of the strongest column over the background, in image units.
    """

    origin: NDArray[np.float64]
    turned: bool
    fwhm_A: float
    correlation: float
    contrast: float


def average_cell(data: FloatImage, vectors_px: NDArray[np.float64], warp: Warp) -> NDArray[np.float64]:
    """Average all cells of the crystal into ``(BINS, BINS)`` over fractions (a1, a2); background removed."""
    crop = central_crop(data, 1536)
    y0, x0 = ((n - m) // 2 for n, m in zip(data.shape, crop.shape, strict=True))
    yy, xx = np.mgrid[y0 : y0 + crop.shape[0], x0 : x0 + crop.shape[1]]
    positions = np.stack([yy.ravel(), xx.ravel()], 1).astype(float)
    fractions = (positions - warp.at(positions)) @ np.linalg.inv(vectors_px)
    index = np.floor((fractions % 1.0) * BINS).astype(int) % BINS
    flat = index[:, 0] * BINS + index[:, 1]
    sigma = 1.5 * float(np.sqrt(abs(np.linalg.det(vectors_px))))
    weight = (warp.crystallinity_at(positions) > 0.6).astype(float)
    if weight.sum() < 0.02 * weight.size:
        weight[:] = 1.0
    values = (crop - _blur(crop, sigma)).ravel()
    counts = np.bincount(flat, weight, BINS * BINS)
    cell = np.bincount(flat, weight * values, BINS * BINS) / np.maximum(counts, 1e-9)
    return np.asarray(cell.reshape(BINS, BINS))


def fit_cell(
    cell: NDArray[np.float64],
    material: Material,
    vectors_px: NDArray[np.float64],
    pixel_size_A: float,
    *,
    senses: tuple[bool, ...] = (False, True),
) -> CellFit:
    """Place `material` in an average cell: all shifts, the given senses, a range of widths."""
    best: CellFit | None = None
    spectrum = np.fft.rfft2(cell)
    spectrum[0, 0] = 0.0
    target = cell - cell.mean()
    norm = float(np.linalg.norm(target)) + 1e-30
    vectors_A = tuple(np.round(vectors_px * pixel_size_A, 3).ravel().tolist())
    for turned in senses if material.family == "tmd" else (False,):
        for width in WIDTHS_A:
            conjugate, power, height = _model_spectrum(material, vectors_A, float(width), turned)
            correlation = np.fft.irfft2(spectrum * conjugate, s=cell.shape)
            shift = np.unravel_index(int(correlation.argmax()), correlation.shape)
            value = float(correlation[shift] / (norm * np.sqrt(power)))
            if best is None or value > best.correlation:
                origin = np.array([_peak(correlation, shift, axis) for axis in (0, 1)]) / BINS
                best = CellFit(origin, turned, float(width), value, float(correlation[shift] / power) * height)
    assert best is not None
    return best


@lru_cache(maxsize=512)
def _model_spectrum(
    material: Material, vectors_A: tuple[float, ...], fwhm_A: float, turned: bool
) -> tuple[NDArray[np.complex128], float, float]:
    """Conjugate spectrum, power and height of a centred model cell."""
    model = model_cell(material, np.array(vectors_A).reshape(2, 2), fwhm_A, turned=turned)
    centred = model - model.mean()
    return np.conj(np.fft.rfft2(centred)), float((centred**2).sum()), float(np.ptp(model))


def model_cell(
    material: Material, vectors_A: NDArray[np.float64], fwhm_A: float, *, turned: bool
) -> NDArray[np.float64]:
    """Gaussian columns of `material` in one periodic cell, shape ``(BINS, BINS)``, strongest column about 1."""
    i, j = np.meshgrid(np.arange(BINS) / BINS, np.arange(BINS) / BINS, indexing="ij")
    sigma = fwhm_A / 2.3548
    brightness = np.array([column_brightness(c.atoms) for c in material.columns])
    total = np.zeros((BINS, BINS))
    for column, weight in zip(material.columns, brightness / brightness.max(), strict=True):
        f = np.array(column.fraction) * (-1 if turned else 1)
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                d = np.stack([i - f[0] % 1 + di, j - f[1] % 1 + dj], -1) @ vectors_A
                total += weight * np.exp(-(d**2).sum(-1) / (2 * sigma**2))
    return total


def column_brightness(atoms: tuple[str, ...]) -> float:
    """Rough brightness of a column, Σ Z^1.5: good enough to tell columns apart."""
    return float(sum(atomic_numbers[a] ** Z_EXPONENT for a in atoms))


def _peak(correlation: NDArray[np.float64], shift: tuple[np.intp, ...], axis: int) -> float:
    """Sub-bin position of a periodic maximum along one axis."""
    line = correlation[:, shift[1]] if axis == 0 else correlation[shift[0], :]
    m = int(shift[axis])
    left, middle, right = line[m - 1], line[m], line[(m + 1) % BINS]
    curvature = left - 2 * middle + right
    return m + 0.5 + (0.5 * (left - right) / curvature if curvature < 0 else 0.0)


def _blur(data: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur by truncated windows."""
    return np.asarray(ndimage.gaussian_filter(data, sigma, truncate=2.5, mode="reflect"), np.float32)
