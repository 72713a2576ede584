"""Counting noise of one image: its level and colour, what an electron is worth, rows, clipping and digits.

With one image the photomultiplier's spread cannot be told from a lower dose: both scale the variance. The fit gives
the dose that makes today's noise without any spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal.windows import tukey

from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.scan import fast_scan_kernel
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.fit_lattice import LatticeImage
from napari_stem_gan.simulate.fit_scan import CHUNKS, FEW_LAGS, Rows, common_covariance, excess_variance

LARGEST_TAIL_PX = 2.0
TAILS_PX = np.linspace(0, LARGEST_TAIL_PX, 101)
BINS = 48
BRIGHT_CELLS = 0.4  # blur of what is left that tells how bright a place is
LEAST_GAIN = 4.0  # of the log-likelihood: less is no evidence of a decay
SIGNIFICANT = 3.0
PLATEAU_PX = 16
MOST_LEVELS = 70_000
COMB_PX, COMB_TRIALS, COMB = 20_000, 161, 0.2
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Counting noise of an image.

    Parameters
    ----------
    variance
        Mean variance before the detector's decay, in image units squared.
    tail_px
        That decay along the fast axis.
    per_unit
        Variance that one more image unit brings: image units for one electron (photon transfer).
    dark
        Image units where the variance would vanish.
    brightness
        Mean of the image where the variance was measured, in image units.
    errors
        One standard error of each, by the same names.
    """

    variance: float
    tail_px: float
    per_unit: float
    dark: float
    brightness: float
    errors: dict[str, float]

    def variance_at(self, brightness: float) -> float:
        """Variance where the image is on average as bright as `brightness`."""
        usual = self.brightness - self.dark
        return self.variance * max((brightness - self.dark) / usual, 0.0) if usual > 0 else self.variance


def measure_noise(image: LatticeImage, rest: NDArray[np.float32], band_limit_per_px: float) -> Noise:
    """Measure counting noise where the probe has no signal.

    Parameters
    ----------
    image
        The split image; its model tells how bright each pixel is without noise.
    rest
        What is left of it without lattice, foreign columns and jitter, ``(Y, X)``.
    band_limit_per_px
        Highest spatial frequency of the probe in cycles per pixel.
    """
    beyond = _beyond(rest.shape, band_limit_per_px)
    variance, tail, error = noise_level(rest, beyond)
    response = tail_transfer(tail, np.fft.rfftfreq(rest.shape[1]))
    expected, squares, freedom = _local_variance(image, rest, beyond, response)
    slope, dark, errors = _photon_transfer(expected, squares, freedom)
    errors |= {"tail_px": error, "variance": variance * float(np.sqrt(2 / freedom))}
    brightness = float((image.data * _window(rest.shape) ** 2).sum() / (_window(rest.shape) ** 2).sum())
    return Noise(variance, tail, slope, dark, brightness, errors)


def _window(shape: tuple[int, ...]) -> Float:
    """Taper that keeps an image's rims out of its spectrum."""
    return np.outer(tukey(shape[0], 0.25), tukey(shape[1], 0.25))


def _beyond(shape: tuple[int, ...], band_limit_per_px: float) -> NDArray[np.bool_]:
    """Frequencies beyond the probe's band limit; of coarse pixels the corners."""
    ky, kx = np.abs(np.fft.fftfreq(shape[0]))[:, None], np.fft.rfftfreq(shape[1])[None]
    return np.asarray(np.hypot(ky, kx) > min(1.03 * band_limit_per_px, 0.43))


def noise_level(rest: FloatImage, beyond: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Variance of the counting noise before the detector's decay, that decay along x (px) and its standard error.

    Along x the noise is filtered by the decay, so its power beyond the band limit falls with kx as the decay says.
    """
    window = _window(rest.shape)
    centred = rest - rest.mean(dtype=float)
    power = np.abs(np.fft.rfft2(centred * window)) ** 2 / (window**2).sum()
    kx = np.fft.rfftfreq(rest.shape[1])
    count = beyond.sum(0)
    used = (count >= 8) & (kx > 0.01)
    median = np.nanmedian(np.where(beyond, power, np.nan)[:, used], axis=0) / np.log(2)
    shapes = np.abs(tail_transfer(TAILS_PX[:, None], kx[None, used])) ** 2  # (tails, kx)
    weight = count[used].astype(float)
    for _ in range(3):  # leave out columns that hold something else, e.g. streaks of reflections
        level = (weight * median / shapes).sum(1) / weight.sum()
        misfit = (weight * (np.log(level[:, None] * shapes) + median / (level[:, None] * shapes))).sum(1)
        best = int(misfit.argmin())
        excess = median / (level[best] * shapes[best]) - 1
        weight = np.where(excess < 6 / np.sqrt(count[used]), count[used], 0).astype(float)
    tail, error = _vertex(misfit)
    if misfit[0] - misfit[best] < LEAST_GAIN:
        return float(level[0]), 0.0, error
    return float(np.interp(tail, TAILS_PX, level)), tail, error


def _vertex(misfit: Float) -> tuple[float, float]:
    """Place of a log-likelihood's minimum and its standard error from the curvature (medians: twice the variance)."""
    best = int(misfit.argmin())
    at = int(np.clip(best, 2, len(misfit) - 3))
    curvature, slope, _ = np.polyfit(TAILS_PX[at - 2 : at + 3] - TAILS_PX[at], misfit[at - 2 : at + 3], 2)
    error = float(np.sqrt(2 / max(2 * curvature, 1e-30)))
    place = TAILS_PX[at] - slope / (2 * curvature) if curvature > 0 else TAILS_PX[best]
    return float(np.clip(place, 0, LARGEST_TAIL_PX)), min(error, LARGEST_TAIL_PX)


def tail_transfer(length_px: float | Float, kx: NDArray[np.floating]) -> NDArray[np.complex128]:
    """What the detector's decay, its mean delay taken out, does to frequencies `kx` (cycles per pixel)."""
    length, kx = np.broadcast_arrays(np.asarray(length_px, float), kx)
    lengths, inverse = np.unique(length, return_inverse=True)
    tensor = torch.as_tensor(lengths).view(-1, 1, 1, 1)
    share = torch.full_like(tensor, DetectorConfig().tail_lorentzian)
    kernels = fast_scan_kernel(tensor, share, torch.zeros_like(tensor)).numpy()  # (lengths, taps)
    at = np.arange(kernels.shape[1])
    result = np.empty(kx.shape, complex)
    for index, kernel in enumerate(kernels):
        mine = inverse.reshape(kx.shape) == index
        waves = np.exp(-2j * np.pi * kx[mine][:, None] * (at - kernel @ at))
        result[mine] = waves @ kernel if lengths[index] > 0 else 1.0
    return result


def _local_variance(
    image: LatticeImage, rest: NDArray[np.float32], beyond: NDArray[np.bool_], response: NDArray[np.complex128]
) -> tuple[Float, Float, float]:
    """Expected brightness around each pixel, squared noise there in units of the variance, degrees of freedom."""
    shape = rest.shape
    slow = ndimage.gaussian_filter(rest, BRIGHT_CELLS * image.constant_px, mode="reflect")
    noise = np.fft.irfft2(np.fft.rfft2(rest - slow) * beyond, s=shape)
    kernel = np.fft.irfft2(beyond * response[None], s=shape) ** 2  # how far the noise of one pixel reaches
    bright = image.data - rest + slow
    counted = np.fft.irfft(np.fft.rfft(bright, axis=1) / response[None], n=shape[1], axis=1)
    around = np.fft.irfft2(np.fft.rfft2(counted) * np.fft.rfft2(kernel), s=shape) / kernel.sum()
    rim = tuple(slice(min(16, n // 8), -min(16, n // 8)) for n in shape)
    freedom = float(around[rim].size * _fraction(beyond, shape[1]))
    return around[rim].ravel(), (noise[rim] ** 2 / kernel.sum()).ravel(), freedom


def _fraction(beyond: NDArray[np.bool_], width: int) -> float:
    """Share of all frequencies that is beyond the band limit, from a half spectrum."""
    doubled = np.full(beyond.shape[1], 2.0)
    doubled[0] = 1.0
    if width % 2 == 0:
        doubled[-1] = 1.0
    return float((beyond * doubled).sum() / (beyond.shape[0] * width))


def _photon_transfer(bright: Float, squares: Float, freedom: float) -> tuple[float, float, dict[str, float]]:
    """Variance against brightness: its slope (units per electron), where it vanishes, and their standard errors."""
    edges = np.quantile(bright[:: max(1, len(bright) // 200_000)], np.linspace(0, 1, BINS + 1)[1:-1])
    index = np.digitize(bright, edges)
    count = np.maximum(np.bincount(index, minlength=BINS), 1)
    x = np.bincount(index, bright, BINS) / count
    y = np.bincount(index, squares, BINS) / count
    expected = np.full(BINS, y.mean())
    for _ in range(3):
        weight = count * freedom / len(bright) / (2 * np.maximum(expected, 0.1 * y.mean()) ** 2)
        middle = (weight * x).sum() / weight.sum()
        spread = (weight * (x - middle) ** 2).sum()
        slope = (weight * (x - middle) * y).sum() / max(spread, 1e-30)
        level = (weight * y).sum() / weight.sum()
        expected = level + slope * (x - middle)
    error = 1 / np.sqrt(max(spread, 1e-30))
    slope = max(float(slope), 1e-3 * error)
    dark = middle - level / slope
    dark_error = np.hypot(level / slope**2 * error, 1 / (slope * np.sqrt(weight.sum())))
    return slope, float(dark), {"per_unit": float(error), "dark": float(dark_error)}


def row_noise(rows: Rows, signal: float) -> tuple[dict[str, float], dict[str, float]]:
    """Gain and dark level that vary from row to row, with their standard errors.

    A row's gain changes its background and its lattice alike, a row's dark level only its background; so the
    covariance of both tells the gain, and what the background varies more is the dark level. Only what differs from
    neighbouring rows counts, and only what all blocks of a row share.

    Parameters
    ----------
    rows
        From `measure_rows`.
    signal
        Mean brightness above the dark level in image units.

    Returns
    -------
    tuple
        ``row_noise`` (relative) and ``row_offset`` (image units), and their errors.
    """
    both, alone = (common_covariance(rows, 0, index, FEW_LAGS) for index in (1, 0))

    def variances(keep: NDArray[np.bool_]) -> Float:
        gain, background = excess_variance(both, keep) / max(signal, 1e-30), excess_variance(alone, keep)
        return np.array([gain, background - gain * signal**2, background / max(signal, 1e-30) ** 2])

    best = variances(np.ones(CHUNKS, bool))
    left_out = np.array([variances(np.arange(CHUNKS) != c) for c in range(CHUNKS)])
    error = np.sqrt((CHUNKS - 1) * left_out.var(0))
    if best[1] < SIGNIFICANT * error[1]:  # all of it is gain: the background alone tells it better
        best, error = np.array([best[2], 0.0]), np.array([error[2], error[1]])
    roots = [_root(v, e) for v, e in zip(best[:2], error[:2], strict=True)]
    names = ("row_noise", "row_offset")
    return {n: r[0] for n, r in zip(names, roots, strict=True)}, {n: r[1] for n, r in zip(names, roots, strict=True)}


def _root(variance: float, error: float) -> tuple[float, float]:
    """Standard deviation and its error; 0 where the variance is not significant."""
    if variance < SIGNIFICANT * error or variance <= 0:
        return 0.0, float(np.sqrt(error))
    return float(np.sqrt(variance)), float(error / (2 * np.sqrt(variance)))


def digits(data: FloatImage) -> tuple[float, float | None]:
    """Step of the analogue-to-digital converter (0: fractions) and the value at which it clips (None: it does not).

    A step is one that all values are multiples of; clipped values pile up at the largest one.
    """
    levels, counts = np.unique(data, return_counts=True)
    ceiling = float(levels[-1])
    neighbours = float(counts[-9:-1].mean()) if len(counts) > 8 else np.inf
    clipped = counts[-1] >= max(PLATEAU_PX, 8 * neighbours)
    step = 0.0
    if 1 < len(levels) < min(MOST_LEVELS, 0.5 * data.size + 2):
        gaps = np.diff(levels.astype(np.float64))
        smallest = float(gaps.min())
        multiples = levels.astype(np.float64) / smallest
        whole = np.abs(multiples - np.rint(multiples)).max() < 0.02 + 1e-6 * np.abs(multiples).max()
        step = smallest if whole else 0.0
    return step, ceiling if clipped else None


def single_electrons(data: FloatImage, gain: float) -> bool:
    """Whether values stand apart by the gain of one electron, as a detector of single electrons gives them.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    gain
        Image units for one electron, known to about 8 %.
    """
    values = data.ravel()[:: max(1, data.size // COMB_PX)].astype(float)
    trials = 2 * np.pi / (gain * np.linspace(0.92, 1.08, COMB_TRIALS))
    values = values - np.median(values)
    return bool(max(abs(np.exp(1j * values * k).mean()) for k in trials) > COMB)
