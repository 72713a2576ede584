"""The most likely lattice of a weak image: all its reflections at once, at frequencies between the bins.

In Gaussian noise the logarithm of the likelihood of a wave of unknown amplitude is its periodogram over the noise power
(Rife and Boorstyn, IEEE Trans. Inf. Theory 20 (1974) 591, doi:10.1109/TIT.1974.1055282); summed over reflections it is
maximised over the four components of the reciprocal lattice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from napari_stem_gan.crystal.warp import BACKGROUND_WINDOW, blurred
from napari_stem_gan.image import FloatImage

BLOCKS = 16
PEAK_OVER_SMOOTHED = 2.5  # height of a Hann-windowed wave over its height after the spectrum's smoothing
LARGEST_CHANGE_BINS = 1.2
STANDS_OUT = 8.0
NOT_WHITE = 2.0  # of the variance: jitter and contamination are no white noise


def sharpened(
    data: FloatImage,
    vectors_px: NDArray[np.float64],
    indices: NDArray[np.float64],
    signal_to_background: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Maximise the periodogram of all reflections over the lattice.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels, right within about a bin of the spectrum.
    indices
        Candidate reflections (h, k), shape ``(G, 2)``; those that stand out are used.
    signal_to_background
        Their (smoothed) power over the background, shape ``(G,)``.

    Returns
    -------
    tuple or None
        The lattice, and the covariance ``(4, 4)`` of its gradient as in `mean_gradient`; None where too few reflections
        stand out or the maximum lies far away.
    """
    seen = signal_to_background > STANDS_OUT
    indices, signal_to_background = indices[seen], signal_to_background[seen]
    if np.linalg.matrix_rank(indices) < 2:
        return None
    reciprocal = np.asarray(np.linalg.inv(vectors_px).T, np.float64)
    local, where = _blocks(data, indices @ reciprocal, float(np.sqrt(abs(np.linalg.det(vectors_px)))))
    bins = 1.0 / np.array(data.shape)
    noise = np.abs(local.sum((1, 2))) ** 2 / (PEAK_OVER_SMOOTHED * signal_to_background)

    def loss(change_bins: NDArray[np.float64]) -> float:
        shift = indices @ (change_bins.reshape(2, 2) * bins)  # (G, 2)
        rows = np.exp(-2j * np.pi * shift[:, :1] * where[0])  # (G, B)
        cols = np.exp(-2j * np.pi * shift[:, 1:] * where[1])
        power = np.abs(np.einsum("gij,gi,gj->g", local, rows, cols)) ** 2
        return -float((power / noise).sum())

    found = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-3, "maxiter": 60}).x
    if np.abs(found).max() > LARGEST_CHANGE_BINS:
        return None
    curvature = _hessian(loss, found)
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return None
    to_gradient = _gradients(reciprocal, bins)  # (4, 4): D = −(R⁻¹ ΔR)ᵀ
    gradient = (to_gradient @ found).reshape(2, 2)
    covariance = NOT_WHITE * to_gradient @ np.linalg.inv(curvature) @ to_gradient.T
    return np.asarray(vectors_px @ (np.eye(2) + gradient), np.float64), np.asarray(covariance, np.float64)


def _blocks(
    data: FloatImage, g: NDArray[np.float64], constant_px: float
) -> tuple[NDArray[np.complex128], list[NDArray[np.float64]]]:
    """Fourier sums at `g` over blocks ``(G, B, B)`` of the windowed image, and the blocks' middles from the centre."""
    windowed = data - blurred(data, BACKGROUND_WINDOW * constant_px)
    windowed = windowed * np.hanning(data.shape[0])[:, None] * np.hanning(data.shape[1])[None]
    members, middles = [], []
    for length in data.shape:
        edges = np.linspace(0, length, BLOCKS + 1).astype(int)
        place = np.arange(length)
        members.append((place >= edges[:-1, None]) & (place < edges[1:, None]))
        middles.append(0.5 * (edges[1:] + edges[:-1] - 1) - 0.5 * (length - 1))
    sums = []
    for fy, fx in g:
        rows = members[0] * np.exp(-2j * np.pi * fy * np.arange(data.shape[0]))
        cols = members[1] * np.exp(-2j * np.pi * fx * np.arange(data.shape[1]))
        sums.append(rows.astype(np.complex64) @ windowed.astype(np.float32) @ cols.astype(np.complex64).T)
    return np.stack(sums).astype(np.complex128), middles


def _hessian(loss: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second derivatives by central differences of a twentieth of a bin."""
    step = 0.05
    size = len(at)
    unit = np.eye(size) * step
    curvature = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):
            corners = [loss(at + a * unit[i] + b * unit[j]) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            curvature[i, j] = curvature[j, i] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * step**2)
    return curvature


def _gradients(reciprocal: NDArray[np.float64], bins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix from a change of the reciprocal lattice in bins to the gradient of the lattice's displacement."""
    columns = []
    for index in range(4):
        change = np.zeros(4)
        change[index] = 1.0
        columns.append(-np.linalg.solve(reciprocal, change.reshape(2, 2) * bins).T.ravel())
    return np.stack(columns, 1)
