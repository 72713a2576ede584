"""Row jitter from one image: how the rows of the lattice are displaced against each other.

Every row is cut into blocks, and each block's displacement is fitted on its own. Whatever is not common to a row
(counting noise, contamination, displaced atoms, defects) differs from block to block, so the covariance *between*
blocks is that of the jitter alone, without any noise to be subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.simulate.fit_lattice import LatticeImage

LAGS = 12
FEW_LAGS = 2
ROW_GAIN = 0.03  # what a row's gain may differ by
CHUNKS = 16
FEWEST_APART = 4
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
    free = least_squares(matrix, right, np.full(4, 1e-3 * width))
    steady = float(rest.var()) / (ROW_GAIN * scale[1]) ** 2  # rows of an upright lattice tell shift along y and gain
    weak = 1e-3 * width  # apart by this alone
    held = least_squares(matrix, right, np.array([weak, steady, weak, weak]))
    values = np.concatenate([free[0][..., :2], held[0][..., 2:]], -1) / scale
    information = np.concatenate([free[1][..., :2], held[1][..., 2:]], -1) * scale**2
    return Rows(np.moveaxis(values, -1, 0), np.moveaxis(information, -1, 0))


def least_squares(matrix: Float, right: Float, prior: Float) -> tuple[Float, Float]:
    """Least-squares solutions ``(..., n)`` with a prior of 0, and the information on each unknown at unit noise."""
    inverse = np.linalg.inv(matrix + np.diag(prior))
    return (inverse @ right[..., None])[..., 0], 1 / np.diagonal(inverse, axis1=-2, axis2=-1)


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
            out[:, lag] = np.bincount(chunk[top], _between_blocks(one[top], other[bottom]), CHUNKS)
    return sums, weights


def _between_blocks(one: Float, other: Float) -> Float:
    """Products of all blocks with all others but neighbours, which contamination can span, ``(rows,)``."""
    total = one.sum(1) * other.sum(1) - (one * other).sum(1)
    if one.shape[1] < FEWEST_APART:
        return np.asarray(total)
    neighbours = (one[:, 1:] * other[:, :-1]).sum(1) + (one[:, :-1] * other[:, 1:]).sum(1)
    return np.asarray(total - neighbours)


def _centred(rows: Rows, index: int) -> Float:
    """Values without their mean, times their weight."""
    value, weight = rows.values[index], rows.information[index]
    return np.asarray(weight * (value - (value * weight).sum() / max(float(weight.sum()), 1e-30)))


def fit_jitter(rows: Rows, constant_px: float, slow: ScanConfig | None = None) -> tuple[ScanConfig, dict[str, float]]:
    """Fit an AR(1) series to the displacement of the rows along each axis.

    Parameters
    ----------
    rows
        From `measure_rows`.
    constant_px
        Lattice constant in pixels; slower displacements than a few of it belong to the warp, not to jitter.
    slow
        A wander, of which the warp leaves a part: that much of it is fitted beside the jitter.

    Returns
    -------
    tuple
        Jitter as the simulator takes it (standard deviation of one step of the series) and one standard error of each
        number, by leaving out one sixteenth of the image at a time.
    """
    pairs = [common_covariance(rows, i, i) for i in (2, 3)]
    noise = np.array([_noise(rows, i) for i in (2, 3)])
    shapes = _covariance_shapes(len(rows.values[0]), constant_px)
    known = None if slow is None or not slow.wander_px else left_of_wander(slow, len(rows.values[0]), constant_px)
    first = _fit_series(pairs, _blind_to(known, np.ones((2, LAGS + 1, LAGS + 1)) * np.eye(LAGS + 1)), shapes)
    weights = np.stack([_precision(v, first[2], n, len(rows.values[0])) for v, n in zip(first[:2], noise, strict=True)])
    weights = _blind_to(known, weights)
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
    power = 1 / np.abs(1 - CORRELATIONS[:, None] * np.exp(-2j * np.pi * frequency)) ** 2
    power = power * _left_by_warp(frequency, constant_px)
    return np.asarray(np.fft.irfft(power, axis=1)[:, : LAGS + 1])


def _left_by_warp(frequency: NDArray[np.floating], constant_px: float) -> Float:
    """Share of the power that the warp has not taken off."""
    return np.asarray((1 - np.exp(-2 * (np.pi * WARP_CELLS * constant_px * frequency) ** 2)) ** 2)


def left_of_wander(scan: ScanConfig, rows: int, constant_px: float) -> Float:
    """Covariance, in rows 0 to LAGS apart, of what the warp leaves of a wander."""
    frequency = np.fft.rfftfreq(2 * rows)
    density = np.sqrt(2 * np.pi) * scan.wander_rows * np.exp(-2 * (np.pi * scan.wander_rows * frequency) ** 2)
    power = scan.wander_px**2 * density * _left_by_warp(frequency, constant_px)
    return np.asarray(np.fft.irfft(power)[: LAGS + 1])


def _blind_to(known: Float | None, precision: Float) -> Float:
    """The same inverse covariances ``(2, lags, lags)``, for data that hold any multiple of a `known` covariance."""
    if known is None:
        return precision
    seen = precision @ known
    return np.asarray(precision - seen[:, :, None] * seen[:, None] / (seen @ known)[:, None, None])


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


def row_spread(rows: Rows, scan: ScanConfig) -> Float:
    """Standard deviation (y, x) of rows about the warp in pixels; 0 along an axis without jitter and wander."""
    return np.array([_spread(rows, 2, scan.jitter_y_px, scan), _spread(rows, 3, scan.jitter_x_px, scan)])


def _spread(rows: Rows, index: int, jitter_px: float, scan: ScanConfig) -> float:
    if jitter_px == 0 and scan.wander_px == 0:
        return 0.0
    sums, weights = common_covariance(rows, index, index, 0)
    return float(np.sqrt(max(sums.sum() / max(float(weights.sum()), 1e-30), 0.0)))


def straightened(image: LatticeImage, rows: Rows, spread: Float) -> LatticeImage:
    """The split image with its lattice as rows show it that are displaced by `row_spread`."""
    if not spread.any():
        return image
    shifts = np.stack([_trusted(rows, index, s**2) for index, s in zip((2, 3), spread, strict=True)])
    return replace(image, lattice=image.displaced(shifts, spread))


def without_rows(image: LatticeImage, rows: Rows) -> NDArray[np.float32]:
    """What is left of an image without lattice, foreign columns and the brightness of single rows, ``(Y, X)``."""
    level, gain = (
        _trusted(rows, index, excess_variance(common_covariance(rows, index, index, FEW_LAGS))) for index in (0, 1)
    )
    rest = image.data - image.foreign - image.lattice * (1 + gain)[:, None] - level[:, None]
    return np.asarray(rest, np.float32)


def excess_variance(covariance: tuple[Float, Float], keep: NDArray[np.bool_] | slice = slice(None)) -> float:
    """Covariance in one row over what rows 1 and 2 apart let expect, from the parts of the image that are kept."""
    sums, weights = covariance
    values = sums[keep].sum(0) / np.maximum(weights[keep].sum(0), 1e-30)
    return float(values[0] - (4 * values[1] - values[2]) / 3)  # a smooth covariance is even in the distance


def _trusted(rows: Rows, index: int, variance: float) -> Float:
    """A value of every row, drawn towards 0 as far as it is noise."""
    if variance <= 0:
        return np.zeros(len(rows.values[index]))
    value, spread = rows.combined(index)
    noise = _noise(rows, index) * spread / max(float(np.median(spread)), 1e-30)
    return np.asarray(value * variance / (variance + noise))
