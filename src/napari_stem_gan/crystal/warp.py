"""How the lattice is displaced across the image, from the phases of its reflections (geometric phase analysis).

Hÿtch, Snoeck and Kilaas, Ultramicroscopy 74 (1998) 131, doi:10.1016/S0304-3991(98)00035-7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

from napari_stem_gan.image import FloatImage


@dataclass(frozen=True)
class Warp:
    """Slowly varying displacement of the lattice and how crystalline each place is.

    Parameters
    ----------
    displacement_px
        Shape ``(2, y, x)`` as (dy, dx), on a coarse grid.
    crystallinity
        Amplitude of the lattice over its median, shape ``(y, x)``; about 1 on the crystal, near 0 beside it.
    grid_y, grid_x
        Pixel coordinates of the coarse grid.
    """

    displacement_px: NDArray[np.float64]
    crystallinity: NDArray[np.float64]
    grid_y: NDArray[np.float64]
    grid_x: NDArray[np.float64]

    def at(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement (dy, dx) in pixels at positions ``(N, 2)``."""
        where = self._index(positions_px)
        return np.stack([ndimage.map_coordinates(d, where, order=1, mode="nearest") for d in self.displacement_px], 1)

    def crystallinity_at(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Crystallinity at positions ``(N, 2)``."""
        where = self._index(positions_px)
        return np.asarray(ndimage.map_coordinates(self.crystallinity, where, order=1, mode="nearest"))

    def _index(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        step_y, step_x = self.grid_y[1] - self.grid_y[0], self.grid_x[1] - self.grid_x[0]
        return np.stack(
            [(positions_px[:, 0] - self.grid_y[0]) / step_y, (positions_px[:, 1] - self.grid_x[0]) / step_x]
        )


def measure_warp(data: FloatImage, vectors_px: NDArray[np.float64], *, smoothing: float = 1.6) -> Warp:
    """Measure the displacement of the lattice `vectors_px` across `data`.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    smoothing
        Standard deviation of the window in lattice constants.
    """
    constant = float(np.sqrt(abs(np.linalg.det(vectors_px))))
    sigma = smoothing * constant
    grid_y, grid_x = (_grid(n, sigma / 2) for n in data.shape)
    indices = np.array([(1, 0), (0, 1), (1, 1), (1, -1)], float)
    reciprocal = np.linalg.inv(vectors_px).T
    g = indices @ reciprocal  # (4, 2)
    nearest = np.hypot(*g.T)
    keep = nearest < 1.3 * nearest.min()
    g = g[keep if keep.sum() >= 2 else nearest <= np.sort(nearest)[1]]
    local = np.stack([_demodulate(data, k, grid_y, grid_x, sigma) for k in g])  # (G, y, x)
    amplitude = np.abs(local)
    phases = np.stack([_unwrapped(a) for a in local])
    weight = amplitude / np.median(amplitude, axis=(1, 2), keepdims=True)
    displacement = _solve(g, phases, weight)
    return Warp(displacement, np.asarray(np.median(weight, axis=0)), grid_y, grid_x)


def _grid(length: int, step: float) -> NDArray[np.float64]:
    return np.linspace(0, length - 1, max(4, int(np.ceil(length / step)) + 1))


def _demodulate(
    data: FloatImage, g: NDArray[np.float64], grid_y: NDArray[np.float64], grid_x: NDArray[np.float64], sigma: float
) -> NDArray[np.complex128]:
    """Local Fourier amplitude at `g` in a Gaussian window around every grid point (separable, as two products)."""
    rows = _window(data.shape[0], grid_y, g[0], sigma)  # (y, Y)
    cols = _window(data.shape[1], grid_x, g[1], sigma)  # (x, X)
    centred = data - np.float32(data.mean())
    return np.asarray(rows @ centred @ cols.T)


def _window(length: int, grid: NDArray[np.float64], frequency: float, sigma: float) -> NDArray[np.complex64]:
    n = np.arange(length)
    window = np.exp(-((n[None] - grid[:, None]) ** 2) / (2 * sigma**2))
    window /= window.sum(1, keepdims=True)
    return (window * np.exp(-2j * np.pi * frequency * n)[None]).astype(np.complex64)


def _unwrapped(local: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Unwrapped phase of a local amplitude, relative to its mean phase."""
    turned = local * np.exp(-1j * np.angle(local.sum()))
    mask = np.abs(turned) < 0.15 * np.median(np.abs(turned))
    phase = unwrap_phase(np.ma.array(np.angle(turned), mask=mask)) if mask.any() else unwrap_phase(np.angle(turned))
    return np.asarray(np.ma.filled(phase, 0.0))


def _solve(
    g: NDArray[np.float64], phases: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Least-squares displacement from ``phase = −2π g·u``, smoothed where the lattice is weak."""
    w = np.minimum(weight, 1.5) ** 2
    matrix = 4 * np.pi**2 * np.einsum("gi,gj,gyx->yxij", g, g, w) + 1e-9 * np.eye(2)
    right = -2 * np.pi * np.einsum("gi,gyx,gyx->yxi", g, w, phases)
    u = np.moveaxis(np.linalg.solve(matrix, right[..., None])[..., 0], -1, 0)
    trust = np.clip(np.median(weight, axis=0), 0, 1) ** 2 + 1e-3
    smooth = [ndimage.gaussian_filter(d * trust, 0.7) / ndimage.gaussian_filter(trust, 0.7) for d in u]
    return np.stack(smooth)
