"""Row jitter from one image: how the rows of the lattice are displaced against each other.

Every row is cut into blocks, and each block's displacement is fitted on its own. Whatever is not common to a row
(counting noise, contamination, displaced atoms, defects) differs from block to block, so the covariance *between*
blocks is that of the jitter alone, without any noise to be subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.simulate.fit_lattice import LatticeImage

LAGS = 12
CHUNKS = 16
CELLS_PER_BLOCK, MOST_BLOCKS = 5.0, 8
WARP_CELLS = 1.6  # window of `measure_warp`, in which slow displacements are already taken off
CORRELATIONS = np.linspace(0, 0.95, 96)
SIGNIFICANT = 2.0

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What is common to each row, fitted in every block.

    Parameters
    ----------
    values
        Background, lattice brightness, shift along y and along x: ``(4, rows, blocks)``; background in image units,
        brightness relative to the lattice, shifts in pixels (a row that looked at y + d has the shift d).
    information
        How well each is known: the inverse of its variance at unit noise, ``(4, rows, blocks)``.
    """

    values: Float
    information: Float

    def combined(self, index: int) -> tuple[Float, Float]:
        """Value of a whole row and the variance of that at unit noise, each ``(rows,)``."""
        total = self.information[index].sum(1)
        mean = (self.values[index] * self.information[index]).sum(1) / np.maximum(total, 1e-30)
        return mean, 1 / np.maximum(total, 1e-30)


def measure_rows(image: LatticeImage) -> Rows:
    """Fit background, brightness and displacement of every row in every block by least squares."""
    rest = image.residual - image.background
    blocks = int(np.clip(rest.shape[1] // (CELLS_PER_BLOCK * image.constant_px), 2, MOST_BLOCKS))
    width = rest.shape[1] // blocks

    def cut(part: NDArray[np.float32]) -> NDArray[np.float32]:
        return part[:, : width * blocks].reshape(len(part), blocks, width)

    parts = [np.ones_like(cut(rest)), cut(image.lattice), cut(image.along_y), cut(image.along_x)]
    scale = np.array([max(float(np.sqrt(np.mean(p * p))), 1e-30) for p in parts])
    matrix = np.empty((*cut(rest).shape[:2], 4, 4))
    for i in range(4):
        for j in range(i, 4):
            matrix[..., i, j] = matrix[..., j, i] = np.einsum("ykw,ykw->yk", parts[i], parts[j]) / (scale[i] * scale[j])
    right = np.stack([np.einsum("ykw,ykw->yk", p, cut(rest)) / s for p, s in zip(parts, scale, strict=True)], -1)
    inverse = np.linalg.inv(matrix + 1e-3 * width * np.eye(4))
    values = (inverse @ right[..., None])[..., 0] / scale
    information = scale**2 / np.diagonal(inverse, axis1=-2, axis2=-1)
    return Rows(np.moveaxis(values, -1, 0), np.moveaxis(information, -1, 0))


def common_covariance(rows: Rows, first: int, second: int, lags: int = LAGS) -> tuple[Float, Float]:
    """Covariance between different blocks of rows 0 to `lags` apart, from each part of the image.

    Parameters
    ----------
    rows
        From `measure_rows`.
    first, second
        Which of the four values is taken from the upper and which from the lower row.
    lags
        Largest distance in rows.

    Returns
    -------
    tuple
        Sums of weighted products and sums of weights, each ``(CHUNKS, lags + 1)``.
    """
    upper, lower = ((_centred(rows, index), rows.information[index]) for index in (first, second))
    chunk = np.arange(len(upper[0])) * CHUNKS // len(upper[0])
    sums, weights = np.zeros((CHUNKS, lags + 1)), np.zeros((CHUNKS, lags + 1))
    for lag in range(min(lags + 1, len(chunk))):
        top, bottom = slice(0, len(chunk) - lag), slice(lag, None)
        for one, other, out in zip(upper, lower, (sums, weights), strict=True):
            pairs = one[top].sum(1) * other[bottom].sum(1) - (one[top] * other[bottom]).sum(1)
            out[:, lag] = np.bincount(chunk[top], pairs, CHUNKS)
    return sums, weights


def _centred(rows: Rows, index: int) -> Float:
    """Values without their mean, times their weight."""
    value, weight = rows.values[index], rows.information[index]
    return np.asarray(weight * (value - (value * weight).sum() / max(float(weight.sum()), 1e-30)))


def fit_jitter(rows: Rows, constant_px: float) -> tuple[ScanConfig, dict[str, float]]:
    """Fit an AR(1) series to the displacement of the rows along each axis.

    Parameters
    ----------
    rows
        From `measure_rows`.
    constant_px
        Lattice constant in pixels; slower displacements than a few of it belong to the warp, not to jitter.

    Returns
    -------
    tuple
        Jitter as the simulator takes it (standard deviation of one step of the series) and one standard error of each
        number, by leaving out one sixteenth of the image at a time.
    """
    pairs = [common_covariance(rows, i, i) for i in (2, 3)]
    noise = np.array([_noise(rows, i) for i in (2, 3)])
    shapes = _covariance_shapes(len(rows.values[0]), constant_px)
    first = _fit_series(pairs, np.ones((2, LAGS + 1, LAGS + 1)) * np.eye(LAGS + 1), shapes)
    weights = np.stack([_precision(v, first[2], n, len(rows.values[0])) for v, n in zip(first[:2], noise, strict=True)])
    best = _fit_series(pairs, weights, shapes)
    left_out = np.array([_fit_series([_without(p, c) for p in pairs], weights, shapes) for c in range(CHUNKS)])
    error = np.sqrt((CHUNKS - 1) * left_out.var(0))
    error[2] = max(error[2], np.sqrt((1 - best[2] ** 2) / len(rows.values[0])))  # that of a series without noise
    return _as_scan(best, error)


def _as_scan(best: Float, error: Float) -> tuple[ScanConfig, dict[str, float]]:
    """Variances and correlation as settings; variances that are not significant are left out."""
    jitter = [float(np.sqrt(v)) if v > SIGNIFICANT * e else 0.0 for v, e in zip(best[:2], error[:2], strict=True)]
    there = max(jitter) > 0
    errors = [float(e / (2 * s) if s > 0 else np.sqrt(e)) for s, e in zip(jitter, error[:2], strict=True)]
    scan = ScanConfig(
        jitter_y_px=jitter[0], jitter_x_px=jitter[1], jitter_correlation=float(best[2]) if there else 0.0
    )
    correlation = float(error[2]) if there else 1.0  # without jitter there is nothing to correlate
    return scan, {"jitter_y_px": errors[0], "jitter_x_px": errors[1], "jitter_correlation": correlation}


def _noise(rows: Rows, index: int) -> float:
    """Variance of a row's value that differs from block to block, of the mean over blocks."""
    value, weight = rows.values[index], rows.information[index]
    mean, _ = rows.combined(index)
    blocks = value.shape[1]
    spread = (weight * (value - mean[:, None]) ** 2).sum() / max(float(weight.sum()), 1e-30)
    return float(spread / (blocks - 1))


def _covariance_shapes(rows: int, constant_px: float) -> Float:
    """Covariance of a unit AR(1) series without its slow part, ``(CORRELATIONS, lags + 1)``."""
    frequency = np.fft.rfftfreq(2 * rows)
    kept = (1 - np.exp(-2 * (np.pi * WARP_CELLS * constant_px * frequency) ** 2)) ** 2
    power = kept / np.abs(1 - CORRELATIONS[:, None] * np.exp(-2j * np.pi * frequency)) ** 2
    return np.asarray(np.fft.irfft(power, axis=1)[:, : LAGS + 1])


def _precision(variance: float, correlation: float, noise: float, rows: int) -> Float:
    """Inverse covariance of the estimated covariances at lags 0 to LAGS (Bartlett's formula)."""
    frequency = np.arange(512) / 512
    power = max(variance, 0.0) / np.abs(1 - correlation * np.exp(-2j * np.pi * frequency)) ** 2 + noise
    waves = np.cos(2 * np.pi * frequency * np.arange(LAGS + 1)[:, None])
    covariance = 2 / rows * (waves * power**2) @ waves.T / len(frequency)
    return np.asarray(np.linalg.inv(covariance + 1e-9 * np.trace(covariance) * np.eye(LAGS + 1)))


def _without(pairs: tuple[Float, Float], chunk: int) -> tuple[Float, Float]:
    return np.delete(pairs[0], chunk, 0), np.delete(pairs[1], chunk, 0)


def _fit_series(pairs: list[tuple[Float, Float]], precision: Float, shapes: Float) -> Float:
    """Variance of a step along y and x (by chance below 0), and their common correlation, by least squares."""
    misfit, variances = np.zeros(len(shapes)), np.zeros((len(shapes), 2))
    for axis, (sums, weights) in enumerate(pairs):
        measured = sums.sum(0) / np.maximum(weights.sum(0), 1e-30)
        weighted = shapes @ precision[axis]
        variances[:, axis] = (weighted @ measured) / (weighted * shapes).sum(1)
        rest = measured - np.maximum(variances[:, axis, None], 0) * shapes
        misfit += np.einsum("cl,lm,cm->c", rest, precision[axis], rest)
    best = int(misfit.argmin())
    return np.array([*variances[best], CORRELATIONS[best]])


def without_jitter(image: LatticeImage, rows: Rows, scan: ScanConfig) -> NDArray[np.float32]:
    """What is left of an image without foreign columns and the lattice with its rows' displacement, ``(Y, X)``."""
    spread = np.array([scan.jitter_y_px, scan.jitter_x_px]) / np.sqrt(1 - scan.jitter_correlation**2)
    if not spread.any():
        return image.residual
    shifts = np.stack([_trusted(rows, index, s) for index, s in zip((2, 3), spread, strict=True)])
    return image.data - image.foreign - image.displaced(shifts, spread)


def _trusted(rows: Rows, index: int, spread: float) -> Float:
    """Displacement of every row, drawn towards 0 as far as it is noise."""
    shift, variance = rows.combined(index)
    noise = _noise(rows, index) * variance / max(float(np.median(variance)), 1e-30)
    return np.asarray(shift * spread**2 / np.maximum(spread**2 + noise, 1e-30))
