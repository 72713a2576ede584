"""The image's power spectrum as signal over background, and its sharp peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.image import FloatImage

LARGEST_SIDE_PX = 2048
SMOOTHING_BINS = 0.8


@dataclass(frozen=True)
class Spectrum:
    """Power over the local background, on a centred half-open frequency grid.

    Parameters
    ----------
    ratio
        Smoothed power over the radial median, shape ``(Y, X)``, zero frequency at ``(Y // 2, X // 2)``.
    peaks
        Sub-bin frequencies of sharp peaks in cycles per pixel, shape ``(N, 2)`` as (fy, fx), fx ≥ 0, strongest first.
    strength
        Power over background of each peak, shape ``(N,)``.
    """

    ratio: NDArray[np.float32]
    peaks: NDArray[np.float64]
    strength: NDArray[np.float64]

    @property
    def bin(self) -> NDArray[np.float64]:
        """Width of a frequency bin in cycles per pixel, (y, x)."""
        return 1.0 / np.array(self.ratio.shape)

    def at(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Power over background at frequencies ``(..., 2)`` in cycles per pixel; 0 beyond Nyquist."""
        shape = np.array(self.ratio.shape)
        index = np.rint(frequency * shape).astype(int) + shape // 2
        inside = ((index >= 0) & (index < shape)).all(-1)
        index = np.clip(index, 0, shape - 1)
        return np.where(inside, self.ratio[index[..., 0], index[..., 1]], 0.0)


def central_crop(data: FloatImage, side: int = LARGEST_SIDE_PX) -> FloatImage:
    """The central part of at most `side` pixels on each axis."""
    y, x = (max(0, (n - side) // 2) for n in data.shape)
    return data[y : y + side, x : x + side]


def spectrum(data: FloatImage, *, threshold: float = 8.0, most: int = 120) -> Spectrum:
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
    crop = central_crop(data)
    window = np.hanning(crop.shape[0])[:, None] * np.hanning(crop.shape[1])[None]
    low, high = np.quantile(crop[::2, ::2], [0.001, 0.999])
    clipped = np.clip(crop, low, high)
    power = np.abs(np.fft.fftshift(np.fft.fft2((clipped - clipped.mean()) * window.astype(np.float32)))) ** 2
    log_power = np.log(power + 1e-30 * power.max() + 1e-300)
    smooth = ndimage.gaussian_filter(power, SMOOTHING_BINS)
    ratio = smooth / _radial_median(power)
    centre = np.array(power.shape) // 2
    _mask_axes(ratio, centre)
    maxima = (ndimage.maximum_filter(ratio, 5) == ratio) & (ratio > threshold)
    maxima[:, : centre[1]] = False
    index = np.argwhere(maxima)
    order = np.argsort(ratio[index[:, 0], index[:, 1]])[::-1][:most]
    index = index[order]
    exact = np.array([_sub_bin(log_power, i) for i in index]).reshape(-1, 2)
    peaks = (exact - centre) / np.array(power.shape)
    return Spectrum(ratio.astype(np.float32), peaks, ratio[index[:, 0], index[:, 1]])


def _radial_median(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Background: median power on rings of equal frequency, interpolated to every bin."""
    shape = power.shape
    fy = (np.arange(shape[0]) - shape[0] // 2) / shape[0]
    fx = (np.arange(shape[1]) - shape[1] // 2) / shape[1]
    radius = np.hypot(fy[:, None], fx[None])
    rings = max(24, min(shape) // 6)
    index = np.minimum((radius / radius.max() * rings).astype(int), rings - 1)
    order = np.argsort(index, axis=None, kind="stable")
    splits = np.searchsorted(index.ravel()[order], np.arange(1, rings))
    values = np.split(power.ravel()[order], splits)
    medians = np.array([np.median(v) if v.size else 0.0 for v in values])
    centres = (np.arange(rings) + 0.5) / rings * radius.max()
    good = medians > 0
    if not good.any():
        return np.full(shape, max(float(power.max()), 1e-30))
    return np.exp(np.interp(radius, centres[good], np.log(medians[good])))


def _mask_axes(ratio: NDArray[np.float64], centre: NDArray[np.intp]) -> None:
    """Blank the zero frequency and the two lines that row noise and frame edges make."""
    ratio[:, centre[1] - 1 : centre[1] + 2] = 0
    ratio[centre[0], :] = np.minimum(ratio[centre[0], :], np.median(ratio[centre[0] - 3 : centre[0] + 4], axis=0) * 3)
    ratio[centre[0] - 2 : centre[0] + 3, centre[1] - 2 : centre[1] + 3] = 0


def _sub_bin(log_power: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.float64]:
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
