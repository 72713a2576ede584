"""Contamination of one image: its brightness, and its spectrum from patches down to its grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.simulate.background import GRAIN_CLASSES, Background, correlation_length_nm
from napari_stem_gan.simulate.fit_lattice import LatticeImage, block_mean, wave_vectors
from napari_stem_gan.simulate.fit_noise import Noise, tail_transfer

RINGS, LEVELS = 64, 201
SLOW_CELLS = 0.6
SIGNIFICANT = 2.0
SPOT = 3.0
NOISE_ERROR = 0.02  # of the noise level: what lattice and jitter leave in it
Float = NDArray[np.float64]
Frequency = NDArray[np.floating]


def measure_background(
    image: LatticeImage, rest: NDArray[np.float32], noise: Noise, *, contrast: float, pixel_size_A: float,
    column_jitter_px: float = 0.0, band_limit_per_px: float = 0.5,
) -> Background:  # fmt: skip
    """Measure contamination in what is left of an image without lattice, defects and jitter.

    Parameters
    ----------
    image
        The split image.
    rest
        What is left, ``(Y, X)``; the background is still there.
    noise
        Counting noise, whose power is taken off.
    contrast
        Column contrast in image units, the unit of the result.
    pixel_size_A
        Pixel size in Å.
    column_jitter_px
        Displacement of columns that is drawn with them and so is no contamination (standard deviation per axis).
    band_limit_per_px
        Highest spatial frequency that the probe shows.
    """
    sigma = SLOW_CELLS * image.constant_px
    frequency, power, error = _radial_power(image, rest, noise, column_jitter_px)  # cycles/px, image units²
    kept = np.exp(-((2 * np.pi * sigma * frequency) ** 2))  # power that the blur lets through
    step = max(1, int(0.2 * image.constant_px))
    slow = block_mean(np.asarray(ndimage.gaussian_filter(rest, sigma, mode="reflect"), np.float32), step)
    quantiles = _quantiles(slow / contrast, noise.variance / (4 * np.pi * sigma**2) / contrast**2)
    shown = _above_noise(power, error) & (frequency < band_limit_per_px)
    fine = np.where(shown, power, 0) * (1 - kept)
    area = 2 * np.pi * frequency * np.gradient(frequency)
    variance = float((fine * area).sum()) / contrast**2
    variance_error = float(np.sqrt((((1 - kept) * error * area) ** 2).sum())) / contrast**2
    sd = np.zeros(0) if variance <= 0 else np.sqrt(variance) * _grain_by_patch(rest, slow, step, frequency, fine, noise)
    fields = (frequency / pixel_size_A, np.sqrt(np.maximum(power, 0) * kept), quantiles, np.sqrt(fine), sd)
    patches = max(rest.size * pixel_size_A**2 / (20 * correlation_length_nm(fields[0], fields[1])) ** 2, 2.0)
    amount = Background(*fields).amount
    grain = float(np.sqrt(max(variance, variance_error)))
    return Background(*fields, errors={
        "amount": amount * float(np.sqrt(0.5 / patches)) + 1e-12, "grain_amount": variance_error / (2 * grain + 1e-30)
    })  # fmt: skip


def _quantiles(slow: NDArray[np.float32], noise_variance: float) -> Float:
    """Quantiles of the patches without the spread that noise adds; 1 % of the image counts as clean."""
    values = np.quantile(slow, np.linspace(0, 1, LEVELS)).astype(float)
    median, variance = values[LEVELS // 2], max(float(slow.var()), 1e-30)
    values = median + (values - median) * np.sqrt(max(1 - noise_variance / variance, 0.0))
    return np.maximum(values - values[2], 0.0)


def _radial_power(
    image: LatticeImage, rest: NDArray[np.float32], noise: Noise, column_jitter_px: float
) -> tuple[Float, Float, Float]:
    """Rings in cycles per pixel, power without noise and displaced columns, and its standard error."""
    window = np.outer(np.hanning(rest.shape[0]), np.hanning(rest.shape[1])).astype(np.float32)
    centred = rest - np.float32(rest.mean(dtype=float))
    power = np.abs(np.fft.rfft2(centred * window)) ** 2 / float((window**2).sum())
    ky, kx = np.fft.fftfreq(rest.shape[0])[:, None], np.fft.rfftfreq(rest.shape[1])[None]
    response = np.abs(tail_transfer(noise.tail_px, kx[0])) ** 2
    known = noise.variance_at(float(np.average(image.data, weights=window**2))) * response[None]
    k = np.hypot(ky, kx)
    edges = _edges(min(rest.shape))
    ring = np.digitize(k, edges) - 1
    ring[_near_reflections(image, ky, kx) | (ring < 0) | (ring >= len(edges) - 1)] = len(edges) - 1
    count = np.maximum(np.bincount(ring.ravel(), minlength=len(edges))[:-1], 1)
    mean = np.bincount(ring.ravel(), (power - known).ravel(), len(edges))[:-1] / count
    total = np.bincount(ring.ravel(), power.ravel(), len(edges))[:-1] / count
    frequency = np.bincount(ring.ravel(), k.ravel(), len(edges))[:-1] / count
    filled = np.bincount(ring.ravel(), minlength=len(edges))[:-1] > 0
    columns = _column_jitter_power(image, frequency, column_jitter_px)
    systematic = NOISE_ERROR * noise.variance + noise.errors["variance"]
    error = np.sqrt((total / np.sqrt(0.25 * count)) ** 2 + (0.5 * columns) ** 2 + systematic**2)
    return frequency[filled], (mean - columns)[filled], error[filled]


def _above_noise(power: Float, error: Float) -> NDArray[np.bool_]:
    """Rings up to the first two in a row, beyond the most significant one, whose power is not significant."""
    ratio = power / np.maximum(error, 1e-30)
    seen = ratio > SIGNIFICANT
    best = int(ratio.argmax())
    lost = np.flatnonzero(~seen[best:-1] & ~seen[best + 1 :])
    last = best + int(lost[0]) if len(lost) else len(seen)
    return np.asarray((power > 0) & (np.arange(len(seen)) < last))


def _edges(side: int) -> Float:
    """Ring edges in cycles per pixel: single frequencies first, then in equal ratios."""
    first = np.arange(0.5, 6.0) / side
    return np.concatenate([first, np.geomspace(first[-1], 0.5, RINGS - len(first) + 1)[1:]])


def _near_reflections(image: LatticeImage, ky: Frequency, kx: Frequency) -> NDArray[np.bool_]:
    """Frequencies of the lattice, and of rows as a whole, where the rest holds more than contamination."""
    g_y, g_x = (g[np.abs(image.spectrum) > 0] for g in wave_vectors(image.spectrum.shape, image.vectors_px))
    rows, cols = len(ky), kx.shape[1]
    near = np.zeros((rows, cols), bool)
    width = 2 * (cols - 1)
    step = np.arange(-int(SPOT), int(SPOT) + 1)
    y = np.rint(g_y * rows).astype(int)[:, None, None] + step[:, None]
    x = np.rint(g_x * width).astype(int)[:, None, None] + step[None]
    y, x = np.broadcast_arrays(y, x)
    inside = (x >= 0) & (x < cols)
    near[y[inside] % rows, x[inside]] = True
    near[:, :2] |= np.abs(ky) > 6 / rows
    return near


def _column_jitter_power(image: LatticeImage, frequency: Float, jitter_px: float) -> Float:
    """Power of columns that are displaced at random: of a displaced peak, summed over all columns.

    The power of the average cell, times its cells per pixel, stands for that of single columns (their interference
    averages out over directions).
    """
    if jitter_px <= 0:
        return np.zeros_like(frequency)
    g = np.hypot(*wave_vectors(image.spectrum.shape, image.vectors_px))
    used = np.abs(image.spectrum) > 0
    order = np.argsort(g[used])
    cell_px = abs(float(np.linalg.det(image.vectors_px)))
    squared = np.abs(image.spectrum[used])[order] ** 2 * cell_px
    smooth = ndimage.uniform_filter1d(squared, 6, mode="nearest")
    return np.interp(frequency, g[used][order], smooth, right=0.0) * (2 * np.pi * frequency * jitter_px) ** 2


def _grain_by_patch(
    rest: NDArray[np.float32], slow: NDArray[np.float32], step: int, frequency: Float, fine: Float, noise: Noise
) -> Float:
    """Strength of the grain in ten classes of patches from dark to bright; mean square 1."""
    shape = rest.shape
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    wiener = np.interp(k, frequency, fine / (fine + noise.variance))
    grain = np.fft.irfft2(np.fft.rfft2(rest - rest.mean(dtype=float)) * wiener, s=shape)
    local = block_mean(np.asarray(grain**2, np.float32), step)
    edges = np.quantile(slow, np.linspace(0, 1, GRAIN_CLASSES + 1)[1:-1])
    index = np.digitize(slow, edges)
    count = np.maximum(np.bincount(index.ravel(), minlength=GRAIN_CLASSES), 1)
    mean, bright = (np.bincount(index.ravel(), part.ravel(), GRAIN_CLASSES) / count for part in (local, slow))
    variance = noise.per_unit * np.maximum(bright - noise.dark, 0)
    gain = float((wiener**2).mean())
    excess = np.maximum(mean - gain * variance, 0.02 * mean)
    return np.asarray(np.sqrt(excess / excess.mean()))
