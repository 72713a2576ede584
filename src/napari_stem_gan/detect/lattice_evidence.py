"""Lattice evidence: how bright each site is against its neighbours of the same sublattice.

All columns are fitted together as Gaussians over a smooth background (sparse linear least squares in the network's
frame), so that neighbours' tails and contamination do not count. Places are fitted in `positions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.frame import CONSTANT_PX, Frame, resample
from napari_stem_gan.image import FloatImage

BACKGROUND_STEP_PX = 1.25 * CONSTANT_PX
REACH_SIGMAS = 2.6
NEIGHBOURS = 24
BLOCK_PX = 512
RIM_PX = 40


@dataclass(frozen=True)
class SiteEvidence:
    """Intensity evidence of every site.

    Parameters
    ----------
    ratio
        Fitted brightness over the local median of the sublattice, shape ``(N,)``; about 1, 0.43–0.5 for one of two
        atoms.
    z_score
        ``(1 − ratio)`` over the local spread of the ratio, shape ``(N,)``; positive: darker.
    spread
        Local spread of the ratio, shape ``(N,)``.
    background
        Fitted background at the site over the local median brightness, shape ``(N,)``.
    """

    ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]
    spread: NDArray[np.float64]
    background: NDArray[np.float64]


def site_evidence(data: FloatImage, frame: Frame, sites: Sites, fwhm_px: float) -> SiteEvidence:
    """Fit all columns of an image at once.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    frame
        The network's frame of the image.
    sites
        Lattice sites in image pixels.
    fwhm_px
        Full width at half maximum of a column in image pixels.
    """
    image = resample(data, frame.network_shape)
    positions = frame.to_network(sites.positions_px)
    sigma = max(1.2, fwhm_px * float(frame.zoom.mean()) / 2.3548)
    amplitude, level = np.zeros(len(sites)), np.zeros(len(sites))
    for y in range(0, image.shape[0], BLOCK_PX):
        for x in range(0, image.shape[1], BLOCK_PX):
            own, near, corner, part = _block(image, positions, y, x)
            if len(own):
                fit = _fit_block(part, positions[near] - corner, sigma)
                chosen = np.isin(near, own)
                amplitude[own], level[own] = (f[chosen] for f in fit)
    ratio, spread, local = _relative(amplitude, positions, sites.column)
    background = (level - np.median(level)) / local if len(level) else level
    return SiteEvidence(ratio, (1 - ratio) / spread, spread, background)


def _block(
    image: FloatImage, positions: NDArray[np.float64], y: int, x: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], FloatImage]:
    """Sites inside one block and around it, the corner of the part around it, and that part."""
    first = np.array([y, x])
    last = np.minimum(first + BLOCK_PX, image.shape)
    upper = np.where(last == image.shape, np.inf, last.astype(float))
    lower = np.where(first == 0, -np.inf, first.astype(float))
    own = np.flatnonzero(((positions >= lower) & (positions < upper)).all(1))
    corner = np.maximum(first - RIM_PX, 0)
    end = np.minimum(last + RIM_PX, image.shape)
    near = np.flatnonzero(((positions >= corner - 4.0) & (positions < end + 4.0)).all(1))
    return own, near, corner.astype(float), image[corner[0] : end[0], corner[1] : end[1]]


def _fit_block(
    part: FloatImage, positions: NDArray[np.float64], sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Brightness ``(n,)`` and background level ``(n,)`` of columns on `part`."""
    columns = _column_matrix(positions, part.shape, sigma)
    background = _background_matrix(part.shape)
    design = sparse.hstack([columns, background]).tocsr()
    values = part.ravel().astype(np.float64)
    solution = _solve(design, values)
    amplitude = solution[: len(positions)]
    level = _at_sites(background @ solution[len(positions) :], positions, part.shape)
    return amplitude, level


def _column_matrix(
    positions: NDArray[np.float64], shape: tuple[int, int], sigma: float
) -> sparse.csr_matrix:
    """Sparse ``(pixels, sites)`` matrix of unit Gaussians."""
    reach = int(np.ceil(REACH_SIGMAS * sigma))
    steps = np.arange(-reach, reach + 1)
    centre = np.rint(positions).astype(int)
    delta = steps + (centre - positions)[..., None]  # (N, 2, K): pixel minus column
    profile = np.exp(-(delta**2) / (2 * sigma**2))
    value = profile[:, 0, :, None] * profile[:, 1, None, :]
    rows = np.broadcast_to((centre[:, 0, None] + steps)[:, :, None], value.shape)
    cols = np.broadcast_to((centre[:, 1, None] + steps)[:, None, :], value.shape)
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    pixel = (rows * shape[1] + cols)[inside]
    site = np.broadcast_to(np.arange(len(positions))[:, None, None], value.shape)[inside]
    size = (shape[0] * shape[1], len(positions))
    return sparse.csr_matrix((value[inside], (pixel, site)), shape=size)


def _background_matrix(shape: tuple[int, int]) -> sparse.csr_matrix:
    """Sparse ``(pixels, knots)`` matrix of bilinear interpolation on a coarse grid."""
    return sparse.kron(_hat(shape[0]), _hat(shape[1]), format="csr")


def _hat(length: int) -> sparse.csr_matrix:
    knots = max(2, int(np.ceil(length / BACKGROUND_STEP_PX)) + 1)
    where = np.linspace(0, knots - 1, length)
    left = np.minimum(where.astype(int), knots - 2)
    weight = where - left
    index = np.arange(length)
    return sparse.csr_matrix(
        (np.concatenate([1 - weight, weight]), (np.concatenate([index, index]), np.concatenate([left, left + 1]))),
        shape=(length, knots),
    )


def _solve(design: sparse.csr_matrix, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares by conjugate gradients on the normal equations, scaled by their diagonal."""
    normal = (design.T @ design).tocsr()
    normal = normal + 1e-6 * sparse.identity(normal.shape[0], format="csr") * float(normal.diagonal().mean())
    scale = sparse.diags(1 / np.sqrt(normal.diagonal()))
    right = scale @ (design.T @ values)
    solution, _ = cg(scale @ normal @ scale, right, rtol=1e-4, maxiter=120)
    return np.asarray(scale @ solution)


def _at_sites(
    image: NDArray[np.float64], positions: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    index = np.clip(np.rint(positions).astype(int), 0, np.array(shape) - 1)
    return np.asarray(image.reshape(shape)[index[:, 0], index[:, 1]])


def _relative(
    amplitude: NDArray[np.float64], positions: NDArray[np.float64], column: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Brightness over the local median of the same sublattice, its local spread, and that median."""
    ratio, spread, local = np.ones(len(amplitude)), np.ones(len(amplitude)), np.ones(len(amplitude))
    for index in np.unique(column):
        own = np.flatnonzero(column == index)
        count = min(NEIGHBOURS + 1, len(own))
        near = cKDTree(positions[own]).query(positions[own], k=count)[1].reshape(len(own), count)
        values = amplitude[own][near]  # (n, k)
        whole = max(float(np.median(amplitude[own])), 1e-12)
        median = np.maximum(np.median(values, axis=1), 0.1 * whole)
        ratio[own], local[own] = amplitude[own] / median, median
        deviation = 1.4826 * np.median(np.abs(values / median[:, None] - 1), axis=1)
        floor = 0.25 * float(np.median(deviation)) + 1e-3
        spread[own] = np.maximum(deviation, floor)
    return ratio, spread, local
