"""How alike images are: pixel by pixel, in their histograms, in their spectra, and in a fixed set of features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Image = NDArray[np.floating]

TINY = 1e-12
FEATURE_PATCH_PX = 64


def psnr(truth: Image, image: Image, peak: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB of `image` against `truth`, both ``(Y, X)``.

    `peak` is the range of `truth` unless given; equal images give infinity.
    """
    truth, image = _pair(truth, image)
    peak = float(np.ptp(truth)) if peak is None else peak
    error = float(np.mean((truth - image) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(truth: Image, image: Image, peak: float | None = None, window: int = 7) -> float:
    """Mean structural similarity of two ``(Y, X)`` images with a square window; 1 for equal images.

    References
    ----------
    Wang et al., IEEE Trans. Image Process. 13 (2004) 600, doi:10.1109/TIP.2003.819861.
    """
    truth, image = _pair(truth, image)
    if min(truth.shape) < window:
        raise ValueError(f"images must be at least {window} px on each side, got {truth.shape}; use larger ones")
    peak = float(np.ptp(truth)) if peak is None else peak
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    unbiased = window**2 / (window**2 - 1)
    mean_t, mean_i = _window_mean(truth, window), _window_mean(image, window)
    var_t = unbiased * (_window_mean(truth**2, window) - mean_t**2)
    var_i = unbiased * (_window_mean(image**2, window) - mean_i**2)
    covariance = unbiased * (_window_mean(truth * image, window) - mean_t * mean_i)
    top = (2 * mean_t * mean_i + c1) * (2 * covariance + c2)
    bottom = (mean_t**2 + mean_i**2 + c1) * (var_t + var_i + c2)
    return float(np.mean(top / np.maximum(bottom, TINY)))


def _pair(truth: Image, image: Image) -> tuple[FloatArray, FloatArray]:
    if truth.shape != image.shape or truth.ndim != 2:
        raise ValueError(f"images must share one shape (Y, X), got {truth.shape} and {image.shape}; crop one of them")
    return truth.astype(np.float64), image.astype(np.float64)


def _window_mean(image: FloatArray, window: int) -> FloatArray:
    """Mean over every full ``window × window`` square."""
    sums = np.pad(image - image.mean(), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    box = sums[window:, window:] - sums[:-window, window:] - sums[window:, :-window] + sums[:-window, :-window]
    return np.asarray(box / window**2 + image.mean(), np.float64)


def standardise(image: Image) -> FloatArray:
    """Return `image` with mean 0 and standard deviation 1, float64."""
    values = image.astype(np.float64)
    return np.asarray((values - values.mean()) / max(float(values.std()), TINY), np.float64)


def kl_divergence(a: Image, b: Image, bins: int = 128, clip_sigma: float = 3.5) -> float:
    """Kullback–Leibler divergence, in nats, of the histogram of `a` from that of `b`; 0 for equal histograms.

    Each image is standardised and clipped at ±`clip_sigma`, so gain and offset do not count.
    """
    edges = np.linspace(-clip_sigma, clip_sigma, bins + 1)
    p, q = (_histogram(image, edges) for image in (a, b))
    return float(np.sum(p * np.log(p / q)))


def _histogram(image: Image, edges: FloatArray) -> FloatArray:
    values = np.clip(standardise(image), edges[0], edges[-1])
    counts = np.histogram(values, edges)[0] + 0.5  # half a count keeps empty bins finite
    return np.asarray(counts / counts.sum(), np.float64)


def psd(image: Image) -> FloatArray:
    """Power spectral density of a ``(Y, X)`` image, Hann-windowed, zero frequency in the middle.

    The mean is taken off first; for white noise of variance 1 the expectation is 1 everywhere.
    """
    values = image.astype(np.float64)
    window = np.hanning(image.shape[0] + 2)[1:-1, None] * np.hanning(image.shape[1] + 2)[1:-1]
    spectrum = np.fft.fftshift(np.fft.fft2((values - values.mean()) * window))
    return np.asarray(np.abs(spectrum) ** 2 / np.sum(window**2), np.float64)


def _radius(shape: tuple[int, ...]) -> FloatArray:
    """Spatial frequency in cycles per pixel, laid out as in `psd`."""
    ky, kx = (np.fft.fftshift(np.fft.fftfreq(side)) for side in shape)
    return np.asarray(np.hypot(ky[:, None], kx), np.float64)


def radial_spectrum(image: Image, bins: int = 64) -> FloatArray:
    """Mean power in `bins` rings from 0 to 0.5 cycles per pixel, shape ``(bins,)``; empty rings are interpolated."""
    power, radius = psd(image), _radius(image.shape)
    ring = np.floor(radius * 2 * bins).astype(int)
    inside = ring < bins
    counts = np.bincount(ring[inside], minlength=bins)
    sums = np.bincount(ring[inside], power[inside], minlength=bins)
    filled = np.flatnonzero(counts)
    return np.interp(np.arange(bins), filled, sums[filled] / counts[filled])


def radial_spectrum_distance(a: Image, b: Image, bins: int = 64) -> float:
    """Rms difference of the logarithmic (base 10) radial spectra of two images with mean 0 and deviation 1."""
    first, second = (np.log10(radial_spectrum(standardise(image), bins) + TINY) for image in (a, b))
    return float(np.sqrt(np.mean((first - second) ** 2)))


def band_powers(image: Image, low: float = 0.02, bragg_factor: float = 8.0) -> dict[str, float]:
    """Fractions of the power at low frequency, in Bragg peaks, and elsewhere.

    Parameters
    ----------
    image
        Shape ``(Y, X)``.
    low
        Upper end of the low band in cycles per pixel.
    bragg_factor
        A frequency belongs to a Bragg peak if its power exceeds that of its ring's median by this factor.

    Returns
    -------
    dict
        ``low``, ``bragg`` and ``other``; they sum to 1.
    """
    power, radius = psd(image), _radius(image.shape)
    ring = np.floor(radius * 256).astype(int)
    order = np.argsort(ring, axis=None, kind="stable")
    edges = np.searchsorted(ring.ravel()[order], np.arange(ring.max() + 2))
    medians = [
        np.median(power.ravel()[order[i:j]]) if j > i else 0.0 for i, j in zip(edges[:-1], edges[1:], strict=True)
    ]
    is_low = radius < low
    is_bragg = ~is_low & (power > bragg_factor * np.asarray(medians)[ring])
    total = max(float(power.sum()), TINY)
    parts = {"low": float(power[is_low].sum()) / total, "bragg": float(power[is_bragg].sum()) / total}
    return parts | {"other": 1.0 - parts["low"] - parts["bragg"]}


def feature_distance(a: Sequence[Image], b: Sequence[Image], patch_px: int = FEATURE_PATCH_PX) -> float:
    """Fréchet distance of two sets of images in a fixed set of 24 features; not comparable with published FIDs.

    Images are standardised and cut into patches that overlap by half; with fewer than some hundred patches the
    distance is biased upwards, so compare sets of equal size only. Features of a patch: mean, logarithmic
    deviation, skewness, kurtosis, four quantiles, four logarithmic mean gradients (steps of 1 and 4 px along y
    and x) and twelve logarithmic radial powers. Each feature is divided by its spread over `b`.

    Parameters
    ----------
    a, b
        Images ``(Y, X)``, at least `patch_px` on each side; b is the reference.
    patch_px
        Side of the patches.
    """
    first, second = (np.concatenate([_features(image, patch_px) for image in images]) for images in (a, b))
    spread = np.maximum(second.std(0), 1e-3)
    first, second = first / spread, second / spread
    cov_a, cov_b = (
        np.cov(rows, rowvar=False) if len(rows) > 1 else np.zeros((rows.shape[1],) * 2) for rows in (first, second)
    )
    root_a = _matrix_root(cov_a)
    cross = float(np.trace(_matrix_root(root_a @ cov_b @ root_a)))
    shift = float(np.sum((first.mean(0) - second.mean(0)) ** 2))
    return max(0.0, shift + float(np.trace(cov_a) + np.trace(cov_b)) - 2 * cross)


def _matrix_root(matrix: FloatArray) -> FloatArray:
    """Square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T, np.float64)


def _features(image: Image, patch_px: int) -> FloatArray:
    """Features of every patch of one image, shape ``(patches, 24)``."""
    if image.ndim != 2 or min(image.shape) < patch_px:
        raise ValueError(f"images must be at least {patch_px} px on each side, got {image.shape}; use larger ones")
    values = standardise(image)
    step = max(1, patch_px // 2)
    patches = np.lib.stride_tricks.sliding_window_view(values, (patch_px, patch_px))[::step, ::step]
    return np.stack([_patch_features(patch) for patch in patches.reshape(-1, patch_px, patch_px)])


def _patch_features(patch: FloatArray) -> FloatArray:
    z = standardise(patch)
    moments = [patch.mean(), np.log(patch.std() + TINY), np.mean(z**3), np.mean(z**4)]
    quantiles = np.quantile(z, (0.05, 0.25, 0.75, 0.95))
    steps = [(axis, step) for axis in (0, 1) for step in (1, 4)]
    gradients = [np.mean(np.abs(np.roll(z, step, axis) - z)) for axis, step in steps]
    powers = np.log10(radial_spectrum(z, 12) + TINY)
    return np.concatenate([moments, quantiles, np.log(np.asarray(gradients) + TINY), powers])
