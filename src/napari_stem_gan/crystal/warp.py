"""How the lattice is displaced across the image, from the phases of its reflections (geometric phase analysis).

Hÿtch, Snoeck and Kilaas, Ultramicroscopy 74 (1998) 131, doi:10.1016/S0304-3991(98)00035-7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

from napari_stem_gan.image import FloatImage

ON_CRYSTAL = 0.6
SMALLEST_WINDOW = 1.6
BACKGROUND_WINDOW = 1.5
LEAST_BLOCKS = 8  # of a blur along an axis: rows that make up no whole block are left out
FLAT = 2.0  # sigma over the length of an axis, where the lowest wave is damped by e^-20: wider blurs are the same
LOCAL_SIGNAL = 0.15  # so that the power within the window is some ten times the background's
STRONG = 0.25  # of the strongest low reflection
LEAST_SIGNAL = 5.0
READABLE = 0.12  # of the strongest low reflection's power
OFF_ROWS = 3.0  # widths of the window's transform
REACH, MOST_REFLECTIONS = 2.4, 9
WINDOW_REACH = 8.0  # standard deviations; numbers too small for single precision would slow products down twentyfold
CORRELATED_POINTS = 128.0  # the window over a grid point gives 50; drawn images scatter 1.6 times as much


@dataclass(frozen=True)
class Warp:
    """Slowly varying displacement of the lattice and how crystalline each place is.

    Parameters
    ----------
    displacement_px
        Shape ``(2, y, x)`` as (dy, dx), on a coarse grid.
    crystallinity
        Amplitude of the lattice over its usual value on the crystal, shape ``(y, x)``; about 1 on it, near 0 beside it.
    grid_y, grid_x
        Pixel coordinates of the coarse grid.
    scale
        That usual amplitude in image units, to compare grains.
    """

    displacement_px: NDArray[np.float64]
    crystallinity: NDArray[np.float64]
    grid_y: NDArray[np.float64]
    grid_x: NDArray[np.float64]
    scale: float = 1.0

    def at(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement (dy, dx) in pixels at positions ``(N, 2)``."""
        where = self._index(positions_px)
        return np.stack([ndimage.map_coordinates(d, where, order=1, mode="nearest") for d in self.displacement_px], 1)

    def crystallinity_at(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Crystallinity at positions ``(N, 2)``."""
        where = self._index(positions_px)
        return np.asarray(ndimage.map_coordinates(self.crystallinity, where, order=1, mode="nearest"))

    def over(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Displacement ``(2, rows, cols)`` in pixels and crystallinity ``(rows, cols)`` on a grid of pixels."""
        left, right = linear(rows, self.grid_y), linear(cols, self.grid_x).T
        moved = np.stack([left @ part.astype(np.float32) @ right for part in self.displacement_px])
        return moved, left @ self.crystallinity.astype(np.float32) @ right

    def _index(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        step_y, step_x = self.grid_y[1] - self.grid_y[0], self.grid_x[1] - self.grid_x[0]
        return np.stack(
            [(positions_px[:, 0] - self.grid_y[0]) / step_y, (positions_px[:, 1] - self.grid_x[0]) / step_x]
        )


def linear(at: NDArray[np.generic], nodes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Matrix ``(at, nodes)`` that interpolates linearly from equally spaced nodes, constant beyond them."""
    if len(nodes) == 1:
        return np.ones((len(at), 1), np.float32)
    place = np.clip((at - nodes[0]) / (nodes[1] - nodes[0]), 0, len(nodes) - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(len(nodes))[None]), 0).astype(np.float32)


def blurred(data: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur over reflected edges, computed on means over blocks of a quarter sigma.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    sigma
        Standard deviation in pixels; an axis much shorter than that is averaged.
    """
    steps = [int(np.clip(sigma / 4, 1, max(1, n // LEAST_BLOCKS))) for n in data.shape]
    rows, cols = (n // step for n, step in zip(data.shape, steps, strict=True))
    blocks = data[: rows * steps[0], : cols * steps[1]].reshape(rows, steps[0], cols, steps[1])
    widths = [min(sigma, FLAT * n) / step for n, step in zip(data.shape, steps, strict=True)]
    coarse = ndimage.gaussian_filter(blocks.mean((1, 3)), widths, truncate=3.0, mode="reflect")
    nodes = [(np.arange(n) + 0.5) * step - 0.5 for n, step in zip(coarse.shape, steps, strict=True)]
    left, right = (linear(np.arange(n, dtype=float), at) for n, at in zip(data.shape, nodes, strict=True))
    return np.asarray(left @ coarse @ right.T, np.float32)


def measure_warp(
    data: FloatImage,
    vectors_px: NDArray[np.float64],
    *,
    smoothing: float = SMALLEST_WINDOW,
    indices: NDArray[np.float64] | None = None,
) -> Warp:
    """Measure the displacement of the lattice `vectors_px` across `data`.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    smoothing
        Standard deviation of the window in lattice constants.
    indices
        Reflections (h, k) to read, shape ``(G, 2)``; None: the lowest strong ones of the image itself.
    """
    constant = float(np.sqrt(abs(np.linalg.det(vectors_px))))
    sigma = smoothing * constant
    data = data - blurred(data, BACKGROUND_WINDOW * constant)  # its edges would leak into the windows at the rim
    grid_y, grid_x = (_grid(n, sigma / 2) for n in data.shape)
    reciprocal = np.asarray(np.linalg.inv(vectors_px).T, np.float64)
    g = _strong_reflections(data, reciprocal) if indices is None else indices @ reciprocal
    local = np.stack([_demodulate(data, k, grid_y, grid_x, sigma) for k in g])  # (G, y, x)
    amplitude = np.abs(local)
    phases = np.stack([_unwrapped(a) for a in local])
    usual = np.maximum(
        np.median(amplitude, axis=(1, 2), keepdims=True),
        ON_CRYSTAL * np.quantile(amplitude, 0.95, axis=(1, 2), keepdims=True),
    )
    weight = amplitude / usual
    displacement = _solve(g, phases, weight, usual / usual.max())
    return Warp(displacement, np.asarray(np.median(weight, axis=0)), grid_y, grid_x, float(np.median(usual)))


def readable_reflections(
    indices: NDArray[np.float64], length: NDArray[np.float64], signal_to_background: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The lowest reflections that stand out and span the plane.

    Parameters
    ----------
    indices
        Candidates (h, k), shape ``(N, 2)``.
    length
        Their spatial frequencies, any unit.
    signal_to_background
        Their power over the background.

    Returns
    -------
    NDArray
        Shape ``(G, 2)``; all candidates of the lowest shells where none stand out.
    """
    order = np.argsort(length, kind="stable")
    relative = (length[order] / length.min()).round(1)
    strong = signal_to_background[order] > max(LEAST_SIGNAL, READABLE * float(signal_to_background.max()))
    for reach in np.unique(relative):
        chosen = strong & (relative <= reach)
        if np.linalg.matrix_rank(indices[order][chosen]) == 2:
            return indices[order][chosen]
    return indices[order][: np.searchsorted(relative, relative[2], side="right")]


def off_rows(frequency: NDArray[np.float64], constant_px: float) -> NDArray[np.bool_]:
    """Whether frequencies ``(N, 2)`` lie so far from fx = 0 that the offsets of rows do not reach them in a window."""
    return np.abs(frequency[:, 1]) > OFF_ROWS / (2 * np.pi * SMALLEST_WINDOW * constant_px)


def smoothing_for(signal_to_background: float, shape: tuple[int, int], constant_px: float) -> float:
    """Window, in lattice constants, in which the lattice's phase is known to about a third of a radian.

    Parameters
    ----------
    signal_to_background
        Power of a low reflection over the background in the (smoothed) spectrum of the whole image.
    shape
        Height and width of the image in pixels.
    constant_px
        Lattice constant in pixels.
    """
    needed = np.sqrt(LOCAL_SIGNAL * shape[0] * shape[1] / max(signal_to_background, 1.0)) / constant_px
    return float(np.clip(needed, SMALLEST_WINDOW, max(SMALLEST_WINDOW, min(shape) / constant_px / 6)))


def without_gradient(warp: Warp, gradient: NDArray[np.float64]) -> Warp:
    """The same warp against the lattice ``vectors @ (1 + gradient)``, up to a constant shift."""
    yy, xx = np.meshgrid(warp.grid_y, warp.grid_x, indexing="ij")
    uniform = np.moveaxis(np.stack([yy, xx], -1) @ gradient, -1, 0)
    return replace(warp, displacement_px=warp.displacement_px - uniform)


def mean_gradient(warp: Warp) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uniform part of a warp: gradient ``(2, 2)`` with ``displacement = position @ gradient``, and its covariance.

    Returns
    -------
    tuple
        The gradient, and the covariance ``(4, 4)`` of its elements in row order; neighbouring grid points share their
        window, so that about one in `CORRELATED_POINTS` counts.
    """
    yy, xx = np.meshgrid(warp.grid_y, warp.grid_x, indexing="ij")
    design = np.stack([np.ones(yy.size), yy.ravel() - yy.mean(), xx.ravel() - xx.mean()], 1)
    weight = np.clip(warp.crystallinity, 0.0, 1.5).ravel() ** 2
    target = warp.displacement_px.reshape(2, -1).T  # (N, 2)
    normal = design.T @ (design * weight[:, None])
    solution = np.linalg.solve(normal, design.T @ (target * weight[:, None]))  # (3, 2)
    left = target - design @ solution
    independent = max(weight.sum() / CORRELATED_POINTS, 3.5)
    variance = (left**2 * weight[:, None]).sum(0) / weight.sum() * independent / (independent - 3.0)
    spread = np.linalg.inv(normal)[1:, 1:] * CORRELATED_POINTS  # (2, 2)
    return np.asarray(solution[1:], np.float64), np.asarray(np.kron(spread, np.diag(variance)), np.float64)


def _strong_reflections(
    data: FloatImage, reciprocal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The lowest reflections that are strong enough and span the plane, ``(G, 2)``; read in 16 wide windows."""
    indices = np.array([(h, k) for h in range(-2, 3) for k in range(-2, 3) if (h, k) > (0, 0)], float)
    g = indices @ reciprocal
    length = np.hypot(*g.T)
    order = np.argsort(length, kind="stable")
    order = order[(length[order] < REACH * length.min()) & (np.abs(g[order]) < 0.48).all(1)][:MOST_REFLECTIONS]
    grids = [np.linspace(n / 8, n * 7 / 8, 4) for n in data.shape]
    mean = np.array([np.abs(_demodulate(data, k, grids[0], grids[1], min(data.shape) / 10)).mean() for k in g[order]])
    relative = (length[order] / length.min()).round(1)
    shell = np.searchsorted(np.unique(relative), relative)
    for last in range(int(shell.max()) + 1):
        chosen = (shell <= last) & (mean > STRONG * mean.max())
        if np.linalg.matrix_rank(indices[order][chosen]) == 2:
            return np.asarray(g[order][chosen])
    return np.asarray(g[order])


def _grid(length: int, step: float) -> NDArray[np.float64]:
    return np.linspace(0, length - 1, max(4, int(np.ceil(length / step)) + 1))


def _demodulate(
    data: FloatImage, g: NDArray[np.float64], grid_y: NDArray[np.float64], grid_x: NDArray[np.float64], sigma: float
) -> NDArray[np.complex128]:
    """Local Fourier amplitude at `g` in a Gaussian window around every grid point (separable, as two products)."""
    rows = _window(data.shape[0], grid_y, g[0], sigma)  # (y, Y)
    cols = _window(data.shape[1], grid_x, g[1], sigma)  # (x, X)
    half = np.concatenate([rows.real, rows.imag]) @ data  # real products cost half of complex ones
    return np.asarray((half[: len(rows)] + 1j * half[len(rows) :]) @ cols.T)


def _window(length: int, grid: NDArray[np.float64], frequency: float, sigma: float) -> NDArray[np.complex64]:
    n = np.arange(length)
    away = (n[None] - grid[:, None]) / sigma
    window = np.where(np.abs(away) < WINDOW_REACH, np.exp(-0.5 * np.minimum(away**2, WINDOW_REACH**2)), 0.0)
    window /= window.sum(1, keepdims=True)
    return (window * np.exp(-2j * np.pi * frequency * n)[None]).astype(np.complex64)


def _unwrapped(local: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Unwrapped phase of a local amplitude, relative to its mean phase."""
    turned = local * np.exp(-1j * np.angle(local.sum()))
    mask = np.abs(turned) < 0.15 * np.median(np.abs(turned))
    phase = unwrap_phase(np.ma.array(np.angle(turned), mask=mask)) if mask.any() else unwrap_phase(np.angle(turned))
    return np.asarray(np.ma.filled(phase, 0.0))


def _solve(
    g: NDArray[np.float64], phases: NDArray[np.float64], weight: NDArray[np.float64], strength: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Least-squares displacement from ``phase = −2π g·u``, smoothed where the lattice is weak."""
    w = (np.minimum(weight, 1.5) * strength) ** 2  # a phase is as uncertain as its reflection is weak
    matrix = 4 * np.pi**2 * np.einsum("gi,gj,gyx->yxij", g, g, w) + 1e-9 * np.eye(2)
    right = -2 * np.pi * np.einsum("gi,gyx,gyx->yxi", g, w, phases)
    u = np.moveaxis(np.linalg.solve(matrix, right[..., None])[..., 0], -1, 0)
    trust = np.clip(np.median(weight, axis=0), 0, 1) ** 2 + 1e-3
    smooth = [ndimage.gaussian_filter(d * trust, 0.7) / ndimage.gaussian_filter(trust, 0.7) for d in u]
    return np.stack(smooth)
