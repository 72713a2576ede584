"""Hold a restored image against the raw counts: which columns did it invent, which did it erase?

Both images are filtered with a column-sized kernel of zero sum (a Gaussian minus a wider one). Its
response to noise follows from the raw image's noise, so each column's contrast has a z-value.
A column counts only where the raw image could prove it (5 sigma).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]
Points = NDArray[np.float64]
COLUMN_SIGMA_A = 0.45
PROVABLE_Z = 5.0
MISSING_Z = 4.0
ERASED_Z = 6.0
LEFT_OVER = 0.3
BLOCK_PX = 1024
HALO_PX = 48
OUTLIER_Z = 6.0


def column_sigma_px(restored: FloatArray, pixel_size_A: float | None) -> float:
    """Standard deviation of a column in pixels, from the pixel size or else from the image itself.

    For Gaussian columns the variance of the image over the mean squared gradient is sigma squared.
    """
    if pixel_size_A is not None:
        return float(np.clip(COLUMN_SIGMA_A / pixel_size_A, 0.8, 8.0))
    part = restored[:BLOCK_PX, :BLOCK_PX].astype(np.float64)
    gradient_y, gradient_x = np.gradient(part)
    slope = float((gradient_y**2 + gradient_x**2).mean())
    return float(np.clip(np.sqrt(part.var() / max(slope, 1e-30)), 0.8, 8.0))


def _response(image: FloatArray, sigma_px: float) -> FloatArray:
    """Contrast of a column at each pixel."""
    narrow = ndimage.gaussian_filter(image, sigma_px, mode="mirror")
    return np.asarray(narrow - ndimage.gaussian_filter(image, 2 * sigma_px, mode="mirror"), np.float32)


def _kernel_norm(sigma_px: float) -> float:
    """Root of the kernel's sum of squares: its gain for white noise."""
    side = 2 * int(np.ceil(8 * sigma_px)) + 1
    point = np.zeros((side, side), np.float32)
    point[side // 2, side // 2] = 1
    return float(np.sqrt((_response(point, sigma_px).astype(np.float64) ** 2).sum()))


def noise_level(raw: FloatArray, sigma_px: float) -> FloatArray:
    """Local standard deviation of the raw noise, from what remains after removing any quadratic surface."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0
    rough = ndimage.convolve(raw, mask, mode="mirror")
    window = max(3 * sigma_px, 4.0)
    return np.asarray(np.sqrt(ndimage.gaussian_filter(rough**2, window, mode="mirror")), np.float32)


def _maxima(image: FloatArray, radius_px: float) -> Points:
    """Strict local maxima as ``(N, 2)``."""
    size = 2 * max(1, int(round(radius_px))) + 1
    peaks = (image == ndimage.maximum_filter(image, size, mode="mirror")) & (image > 0)
    return np.argwhere(peaks).astype(np.float64)


def _near(image: FloatArray, points: Points, radius_px: float) -> NDArray[np.float64]:
    """Highest value of `image` within a square around each point."""
    size = 2 * max(1, int(round(radius_px))) + 1
    highest = ndimage.maximum_filter(image, size, mode="mirror")
    rows, cols = points.astype(int).T
    return np.asarray(highest[rows, cols], np.float64)


def _at(image: FloatArray, points: Points) -> NDArray[np.float64]:
    rows, cols = points.astype(int).T
    return np.asarray(image[rows, cols], np.float64)


def _without_outliers(raw: FloatArray, noise: FloatArray) -> FloatArray:
    """Pull single flashing pixels down, so that erasing them is not held against the restoration."""
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    neighbours = ndimage.maximum_filter(raw, footprint=ring, mode="mirror")
    limit = neighbours + OUTLIER_Z * np.minimum(noise, np.median(noise))
    return np.asarray(np.minimum(raw, limit), np.float32)


def _check_block(raw: FloatArray, restored: FloatArray, sigma_px: float) -> tuple[Points, Points]:
    noise = noise_level(raw, sigma_px)
    raw = _without_outliers(raw, noise)
    in_raw, in_restored = _response(raw, sigma_px), _response(restored, sigma_px)
    expected = noise * _kernel_norm(sigma_px) + 1e-12
    spread = 1.4826 * float(np.median(np.abs(in_raw - in_restored))) / float(np.median(expected))
    expected = expected * np.clip(spread, 1.0, 2.5)  # noise that hangs together along rows
    reach = 1.5 * sigma_px
    columns = _maxima(in_restored, sigma_px)
    claimed, found, error = _at(in_restored, columns), _near(in_raw, columns, reach), _at(expected, columns)
    invented = (claimed > PROVABLE_Z * error) & (claimed - found > MISSING_Z * error) & (found < LEFT_OVER * claimed)
    counted = _maxima(in_raw, sigma_px)
    seen, kept, error = _at(in_raw, counted), _near(in_restored, counted, reach), _at(expected, counted)
    erased = (seen > ERASED_Z * error) & (kept < LEFT_OVER * seen)
    return columns[invented], counted[erased]


def _blocks(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for y, x in product(range(0, shape[0], BLOCK_PX), range(0, shape[1], BLOCK_PX)):
        yield slice(y, min(y + BLOCK_PX, shape[0])), slice(x, min(x + BLOCK_PX, shape[1]))


def check_columns(raw: FloatArray, restored: FloatArray, *, pixel_size_A: float | None = None) -> tuple[Points, Points]:
    """Find columns that the restoration invented or erased.

    Parameters
    ----------
    raw, restored
        Images ``(Y, X)`` in the same units.
    pixel_size_A
        Pixel size in Å, or None where unknown.

    Returns
    -------
    tuple
        Invented and erased columns, each ``(N, 2)`` as (y, x) in pixels.
    """
    sigma = column_sigma_px(restored, pixel_size_A)
    found: list[tuple[Points, Points]] = []
    for core in _blocks((raw.shape[0], raw.shape[1])):
        start = np.array([max(part.start - HALO_PX, 0) for part in core])
        wide = tuple(slice(first, part.stop + HALO_PX) for first, part in zip(start, core, strict=True))
        results = _check_block(raw[wide], restored[wide], sigma)
        low, high = np.array([(part.start, part.stop) for part in core]).T
        moved = [points + start for points in results]
        inside = [points[((points >= low) & (points < high)).all(axis=1)] for points in moved]
        found.append((inside[0], inside[1]))
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])
