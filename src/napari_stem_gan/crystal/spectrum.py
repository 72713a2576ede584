"""The image's power spectrum over its background: how surprising each frequency is, and its sharp peaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_stem_gan.crystal.noise_floor import noise_floor
from napari_stem_gan.image import FloatImage

LARGEST_SIDE_PX = 2048
SMOOTHING_BINS = 0.8
SURPRISE = (1.62, -0.88)  # −ln(chance) of white noise under this window and smoothing is linear in the ratio


@dataclass(frozen=True)
class Spectrum:
    """Power over the local background, on a centred frequency grid.

    Parameters
    ----------
    ratio
        Smoothed power over the background, shape ``(Y, X)``, zero frequency at ``(Y // 2, X // 2)``.
    peaks
        Sub-bin frequencies of sharp peaks in cycles per pixel, shape ``(N, 2)`` as (fy, fx), fx ≥ 0, strongest first.
    strength
        Power over background of each peak, shape ``(N,)``.
    row_excess
        Power of the rows' offsets over the background; about 0.7 where they have none.
    """

    ratio: NDArray[np.float32]
    peaks: NDArray[np.float64]
    strength: NDArray[np.float64]
    row_excess: float = 0.0
    _highest: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def bin(self) -> NDArray[np.float64]:
        """Width of a frequency bin in cycles per pixel, (y, x)."""
        return 1.0 / np.array(self.ratio.shape)

    def at(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Power over background at frequencies ``(..., 2)`` in cycles per pixel; 0 beyond Nyquist."""
        return self.highest(frequency, 0)

    def highest(self, frequency: NDArray[np.float64], reach_bins: int) -> NDArray[np.float64]:
        """Highest power over background within `reach_bins` of frequencies ``(..., 2)``; 0 beyond Nyquist."""
        shape = np.array(self.ratio.shape)
        index = np.rint(frequency * shape).astype(int) + shape // 2
        inside = ((index >= 0) & (index < shape)).all(-1)
        index = np.clip(index, 0, shape - 1)
        return np.where(inside, self._dilated(reach_bins)[index[..., 0], index[..., 1]], 0.0)

    def locate(
        self, frequency: NDArray[np.float64], reach_bins: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sub-bin place and height of the highest bin within `reach_bins` of frequencies ``(N, 2)`` inside Nyquist."""
        shape = np.array(self.ratio.shape)
        window = np.arange(-reach_bins, reach_bins + 1)
        steps = np.stack(np.meshgrid(window, window, indexing="ij"), -1).reshape(-1, 2)
        index = np.rint(frequency * shape).astype(int) + shape // 2
        around = np.clip(index[:, None] + steps, 1, shape - 2)  # (N, W, 2)
        values = self.ratio[around[..., 0], around[..., 1]]
        best = np.take_along_axis(around, values.argmax(1)[:, None, None], 1)[:, 0]  # (N, 2)
        nine = best[:, None] + np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(-1, 2)
        weight = np.maximum(self.ratio[nine[..., 0], nine[..., 1]] - 1.0, 1e-9)
        centre = (nine * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
        return (centre - shape // 2) / shape, values.max(1).astype(np.float64)

    def surprise(self, ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        """Minus the natural logarithm of the chance that background alone reaches `ratio` in one bin."""
        return np.maximum(SURPRISE[0] * ratio + SURPRISE[1], 0.0)

    def _dilated(self, reach_bins: int) -> NDArray[np.float32]:
        """Highest of every window of ``2 × reach + 1`` bins; the next smaller window's maxima, shifted, make it up."""
        if reach_bins == 0:
            return self.ratio
        if reach_bins not in self._highest:
            smaller = reach_bins // 2
            self._highest[reach_bins] = _spread(self._dilated(smaller), reach_bins - smaller)
        return self._highest[reach_bins]


def _spread(values: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """The highest of each bin and those `by` bins beside, above and below it, the corners included."""
    for after, before in ((np.s_[by:], np.s_[:-by]), (np.s_[:, by:], np.s_[:, :-by])):
        highest = values.copy()
        np.maximum(highest[after], values[before], out=highest[after])
        np.maximum(highest[before], values[after], out=highest[before])
        values = highest
    return values


def central_crop(data: FloatImage, side: int = LARGEST_SIDE_PX) -> FloatImage:
    """The central part of at most `side` pixels on each axis."""
    y, x = (max(0, (n - side) // 2) for n in data.shape)
    return data[y : y + side, x : x + side]


def spectrum(data: FloatImage, *, threshold: float = 3.0, most: int = 160) -> Spectrum:
    """Compute the spectrum of an image (its central 2048² if larger).

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    threshold
        Power over background from which a maximum is a peak.
    most
        Largest number of peaks kept.
    """
    crop, levels = _in_own_unit(*_levelled(data))
    power = _power(crop - levels[:, None])
    smooth = _smoothed(power)
    background = noise_floor(smooth)
    ratio = smooth / background
    centre = np.array(power.shape) // 2
    _mask_axes(ratio, centre)
    found = Spectrum(ratio, np.zeros((0, 2)), np.zeros(0), _row_excess(levels, background))
    maxima = (found._dilated(2) == ratio) & (ratio > threshold)
    maxima[:, : centre[1]] = False
    index = np.argwhere(maxima)
    order = np.argsort(ratio[index[:, 0], index[:, 1]])[::-1][:most]
    index = index[order]
    exact = np.array([_sub_bin(power, i) for i in index]).reshape(-1, 2)
    strength = ratio[index[:, 0], index[:, 1]].astype(np.float64)
    return replace(found, peaks=(exact - centre) / np.array(power.shape), strength=strength)


def power_spectrum(data: FloatImage) -> NDArray[np.float32]:
    """Windowed power of the central 2048² of an image, zero frequency at ``(Y // 2, X // 2)``."""
    crop, levels = _levelled(data)
    return _power(crop - levels[:, None])


def _power(level: FloatImage) -> NDArray[np.float32]:
    """Power of an image under a Hann window; that of a real image is the same at opposite frequencies."""
    rows, cols = (np.hanning(n).astype(np.float32) for n in level.shape)
    waves = fft.rfft2((level * rows[:, None] * cols[None]).astype(np.float32))
    half = fft.fftshift(waves.real**2 + waves.imag**2, axes=0)  # (Y, X // 2 + 1)
    height, width = level.shape
    middle = width // 2
    opposite = half[(2 * (height // 2) - np.arange(height)) % height]
    return np.asarray(np.concatenate([opposite[:, middle:0:-1], half[:, : width - middle]], 1))


def _smoothed(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian smoothing over a few bins, axis by axis as a sum of shifted copies."""
    reach = int(4 * SMOOTHING_BINS + 0.5)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING_BINS) ** 2).astype(np.float32)
    weight /= weight.sum()
    height, width = power.shape
    wide = np.pad(power, reach, "symmetric")
    rows = sum(w * wide[step : step + height] for step, w in enumerate(weight))
    return np.asarray(sum(w * rows[:, step : step + width] for step, w in enumerate(weight)))


def _levelled(data: FloatImage) -> tuple[FloatImage, FloatImage]:
    """The central crop without its extremes, and the level of each row, which would be a bright line at fx = 0."""
    crop = central_crop(data)
    low, high = np.quantile(crop[::2, ::2], [0.001, 0.999])
    clipped = np.clip(crop, low, high) if high > low else crop
    cols = np.hanning(crop.shape[1]).astype(np.float32)
    return clipped, (clipped @ cols / cols.sum()).astype(np.float32)


def _in_own_unit(crop: FloatImage, levels: FloatImage) -> tuple[FloatImage, FloatImage]:
    """The same over the image's range: powers of charges or of 64-bit counts do not fit into single precision."""
    unit = np.float32(np.ptp(crop)) or np.float32(1.0)
    return crop / unit, levels / unit


def _row_excess(levels: FloatImage, background: NDArray[np.float32]) -> float:
    """Median power of the rows' levels over the background beside them; about 0.7 where rows have no offsets."""
    height, width = background.shape
    rows, cols = np.hanning(height), np.hanning(width)
    line = np.abs(np.fft.fftshift(np.fft.fft((levels - levels.mean()) * rows * cols.sum()))) ** 2
    high = np.abs(np.arange(height) - height // 2) > 0.1 * height
    return float(np.median(line[high] / background[high, width // 2 + 4]))


def _mask_axes(ratio: NDArray[np.float32], centre: NDArray[np.intp]) -> None:
    """Blank the zero frequency and the two lines that row noise and frame edges make."""
    ratio[:, centre[1] - 1 : centre[1] + 2] = 0
    ratio[centre[0], :] = np.minimum(ratio[centre[0], :], np.median(ratio[centre[0] - 3 : centre[0] + 4], axis=0) * 3)
    ratio[centre[0] - 2 : centre[0] + 3, centre[1] - 2 : centre[1] + 3] = 0


def _sub_bin(power: NDArray[np.float32], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Peak position by a parabola through the logarithm of the largest bin near `index`, along each axis."""
    y0, x0 = np.maximum(index - 1, 0)
    patch = power[y0 : index[0] + 2, x0 : index[1] + 2]
    y, x = np.unravel_index(int(patch.argmax()), patch.shape) + np.array([y0, x0])
    exact = np.array([y, x], float)
    if 0 < y < power.shape[0] - 1:
        exact[0] += _vertex(power[y - 1 : y + 2, x])
    if 0 < x < power.shape[1] - 1:
        exact[1] += _vertex(power[y, x - 1 : x + 2])
    return exact


def _vertex(power: NDArray[np.float32]) -> float:
    """Where the parabola through the logarithms of three bins is highest, from the middle one."""
    left, middle, right = np.log(power.astype(np.float64) + 1e-300)
    curvature = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
