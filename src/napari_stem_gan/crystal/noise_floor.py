"""The background under the peaks of a power spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BLOCK_BINS = 24


def noise_floor(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Radial median times a local median on coarse blocks, so that rows and detector tails do not count as peaks.

    Parameters
    ----------
    power
        Smoothed power ``(Y, X)``, zero frequency at ``(Y // 2, X // 2)``.
    """
    radial = _radial_median(power)
    edges = [np.linspace(0, n, max(4, n // BLOCK_BINS) + 1).astype(int) for n in power.shape]
    local = ndimage.median_filter(_block_medians(power / radial, edges), 3, mode="nearest")
    local = np.log(np.maximum(local, 1e-6)).astype(np.float32)
    rows, cols = (_between_blocks(e) for e in edges)
    return np.asarray(radial * np.exp(rows @ local @ cols.T), np.float32)


def _block_medians(values: NDArray[np.float32], edges: list[NDArray[np.intp]]) -> NDArray[np.float32]:
    """Median of every second bin of each block, as many of each, shape ``(blocks, blocks)``."""
    rows, cols = (
        np.stack([np.linspace(a, b - 1, (e[1] - e[0] + 1) // 2).round().astype(int) for a, b in _pairs(e)])
        for e in edges
    )  # (blocks, samples)
    blocks = values[rows[:, None, :, None], cols[None, :, None, :]]  # (rows, cols, samples, samples)
    return np.asarray(np.median(blocks.reshape(len(rows), len(cols), -1), axis=-1))


def _between_blocks(edges: NDArray[np.intp]) -> NDArray[np.float32]:
    """Matrix ``(bins, blocks)`` that interpolates linearly between the middles of blocks, constant beyond them."""
    middles = np.arange(len(edges) - 1)
    place = np.interp(np.arange(edges[-1]), 0.5 * (edges[1:] + edges[:-1]), middles)
    return np.maximum(1 - np.abs(place[:, None] - middles[None]), 0).astype(np.float32)


def _pairs(edges: NDArray[np.intp]) -> list[tuple[int, int]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


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
