"""The image's power spectrum over its background: how surprising each frequency is, and its sharp peaks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_stem_gan.image import FloatImage

LARGEST_SIDE_PX = 2048
SMOOTHING_BINS = 0.8
BLOCK_BINS = 24
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
        if reach_bins == 0:
            return self.ratio
        if reach_bins not in self._highest:
            self._highest[reach_bins] = ndimage.maximum_filter(self.ratio, 2 * reach_bins + 1)
        return self._highest[reach_bins]


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
    power = power_spectrum(data)
    log_power = np.log(power + 1e-30 * power.max() + 1e-300)
    smooth = ndimage.gaussian_filter(power, SMOOTHING_BINS)
    background = _background(smooth)
    ratio = smooth / background
    centre = np.array(power.shape) // 2
    _mask_axes(ratio, centre)
    maxima = (ndimage.maximum_filter(ratio, 5) == ratio) & (ratio > threshold)
    maxima[:, : centre[1]] = False
    index = np.argwhere(maxima)
    order = np.argsort(ratio[index[:, 0], index[:, 1]])[::-1][:most]
    index = index[order]
    exact = np.array([_sub_bin(log_power, i) for i in index]).reshape(-1, 2)
    peaks = (exact - centre) / np.array(power.shape)
    strength = ratio[index[:, 0], index[:, 1]].astype(np.float64)
    return Spectrum(ratio.astype(np.float32), peaks, strength, _row_excess(data, background))


def power_spectrum(data: FloatImage) -> NDArray[np.float32]:
    """Windowed power of the central 2048² of an image, zero frequency at ``(Y // 2, X // 2)``."""
    crop, levels = _levelled(data)
    rows, cols = (np.hanning(n).astype(np.float32) for n in crop.shape)
    windowed = (crop - levels[:, None]) * rows[:, None] * cols[None]
    return np.asarray(np.abs(fft.fftshift(fft.fft2(windowed.astype(np.float32)))) ** 2)


def _levelled(data: FloatImage) -> tuple[FloatImage, FloatImage]:
    """The central crop without its extremes, and the level of each row, which would be a bright line at fx = 0."""
    crop = central_crop(data)
    low, high = np.quantile(crop[::2, ::2], [0.001, 0.999])
    clipped = np.clip(crop, low, high) if high > low else crop
    cols = np.hanning(crop.shape[1]).astype(np.float32)
    return clipped, (clipped @ cols / cols.sum()).astype(np.float32)


def _row_excess(data: FloatImage, background: NDArray[np.float32]) -> float:
    """Median power of the rows' levels over the background beside them; about 0.7 where rows have no offsets."""
    crop, levels = _levelled(data)
    rows, cols = (np.hanning(n) for n in crop.shape)
    line = np.abs(np.fft.fftshift(np.fft.fft((levels - levels.mean()) * rows * cols.sum()))) ** 2
    height, width = background.shape
    high = np.abs(np.arange(height) - height // 2) > 0.1 * height
    return float(np.median(line[high] / background[high, width // 2 + 4]))


def _background(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Radial median times a local median on coarse blocks, so that rows and detector tails do not count as peaks."""
    radial = _radial_median(power)
    flat = power / radial
    blocks = [max(4, n // BLOCK_BINS) for n in power.shape]
    edges = [np.linspace(0, n, b + 1).astype(int) for n, b in zip(power.shape, blocks, strict=True)]
    local = np.array([[np.median(flat[a:b:2, c:d:2]) for c, d in _pairs(edges[1])] for a, b in _pairs(edges[0])])
    local = np.log(np.maximum(ndimage.median_filter(local, 3, mode="nearest"), 1e-6)).astype(np.float32)
    rows = _interpolated(local, _places(edges[0]))
    return np.asarray(radial * np.exp(_interpolated(rows.T, _places(edges[1])).T), np.float32)


def _places(edges: NDArray[np.intp]) -> NDArray[np.float32]:
    """Fractional block index of every bin."""
    return np.interp(np.arange(edges[-1]), 0.5 * (edges[1:] + edges[:-1]), np.arange(len(edges) - 1)).astype(np.float32)


def _pairs(edges: NDArray[np.intp]) -> list[tuple[int, int]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _interpolated(values: NDArray[np.float32], where: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear interpolation of the first axis at fractional indices."""
    low = np.minimum(where.astype(int), len(values) - 2)
    share = (where - low)[:, None]
    return values[low] * (1 - share) + values[low + 1] * share


def _radial_median(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median power on rings of equal frequency, interpolated to every bin; large spectra are sampled."""
    shape = power.shape
    fy = (np.arange(shape[0], dtype=np.float32) - shape[0] // 2) / shape[0]
    fx = (np.arange(shape[1], dtype=np.float32) - shape[1] // 2) / shape[1]
    radius = np.hypot(fy[:, None], fx[None])
    rings = max(24, min(shape) // 6)
    step = max(1, min(shape) // 512)
    sample, read = radius[::step, shape[1] // 2 :: step], power[::step, shape[1] // 2 :: step]
    largest = float(radius.max())
    index = np.minimum((sample / largest * rings).astype(np.int16), rings - 1)
    order = np.argsort(index, axis=None, kind="stable")
    splits = np.searchsorted(index.ravel()[order], np.arange(1, rings))
    values = np.split(read.ravel()[order], splits)
    medians = np.array([np.median(v) if v.size else 0.0 for v in values])
    centres = (np.arange(rings) + 0.5) / rings * largest
    good = medians > 0
    if not good.any():
        return np.full(shape, max(float(power.max()), 1e-30), np.float32)
    table = np.interp(np.linspace(0, largest, 4096), centres[good], np.log(medians[good]))
    return np.exp(table.astype(np.float32))[(radius * (4095 / largest)).astype(np.int32)]


def _mask_axes(ratio: NDArray[np.float32], centre: NDArray[np.intp]) -> None:
    """Blank the zero frequency and the two lines that row noise and frame edges make."""
    ratio[:, centre[1] - 1 : centre[1] + 2] = 0
    ratio[centre[0], :] = np.minimum(ratio[centre[0], :], np.median(ratio[centre[0] - 3 : centre[0] + 4], axis=0) * 3)
    ratio[centre[0] - 2 : centre[0] + 3, centre[1] - 2 : centre[1] + 3] = 0


def _sub_bin(log_power: NDArray[np.float32], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Peak position by a parabola through the largest bin near `index`, along each axis."""
    y0, x0 = np.maximum(index - 1, 0)
    patch = log_power[y0 : index[0] + 2, x0 : index[1] + 2]
    y, x = np.unravel_index(int(patch.argmax()), patch.shape) + np.array([y0, x0])
    exact = np.array([y, x], float)
    if 0 < y < log_power.shape[0] - 1:
        exact[0] += _vertex(*log_power[y - 1 : y + 2, x])
    if 0 < x < log_power.shape[1] - 1:
        exact[1] += _vertex(*log_power[y, x - 1 : x + 2])
    return exact


def _vertex(left: float, middle: float, right: float) -> float:
    curvature = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
