"""Order around a place, where no lattice is known: is there a crystal at all that something could be missing from?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, maximum_filter

from napari_stem_gan.detect.frame import CONSTANT_PX
from napari_stem_gan.image import FloatImage

TILE_PX, STEP_PX = 128, 32
RING = 2 / np.sqrt(3) / CONSTANT_PX  # first reflections of a hexagonal lattice, cycles per pixel
WIDTH = 0.13  # of the radius: as far off as the pixel size may be
NONE, FULL = 3.5, 6.0  # of the ring's mean power: noise has 2.5 and rarely 5, a crystal 5 (hardly seen) to 10
ANGLES = np.deg2rad(np.arange(0.0, 60.0, 1.0))


def hexagonal_order(image: FloatImage, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whether the surroundings of places have the six reflections of a hexagonal lattice.

    In a tile's power spectrum the three reflections 60° apart (the other three are their mirror images) stand out of
    their ring together; their geometric mean over the ring's mean is large only if all three do.

    Parameters
    ----------
    image
        Shape ``(y, x)``, in the network's frame.
    places
        Shape ``(N, 2)`` in it.

    Returns
    -------
    NDArray
        0: no order, 1: a crystal; shape ``(N,)``.
    """
    if not len(places):
        return np.zeros(0)
    starts = [_starts(side) for side in image.shape]
    grid = np.array([[_order(image[y : y + TILE_PX, x : x + TILE_PX]) for x in starts[1]] for y in starts[0]])
    centres = [s + min(TILE_PX, side) / 2 for s, side in zip(starts, image.shape, strict=True)]
    where = [np.interp(places[:, axis], centres[axis], np.arange(len(centres[axis]))) for axis in (0, 1)]
    return np.asarray(map_coordinates(grid, where, order=1, mode="nearest"))


def _starts(side: int) -> NDArray[np.intp]:
    last = max(0, side - TILE_PX)
    return np.unique(np.append(np.arange(0, last, STEP_PX), last))


def _order(tile: FloatImage) -> float:
    """Order of one tile, 0 to 1."""
    window = np.outer(np.hanning(tile.shape[0]), np.hanning(tile.shape[1]))
    shape = (2 * TILE_PX, 2 * TILE_PX)
    power = np.abs(np.fft.fft2((tile - tile.mean()) * window, shape)) ** 2
    radii = RING * np.linspace(1 - WIDTH, 1 + WIDTH, 9)[:, None, None]
    angles = ANGLES[:, None] + np.deg2rad([0.0, 60.0, 120.0])  # (A, 3)
    where = np.stack([radii * np.sin(angles), radii * np.cos(angles)])  # (2, R, A, 3)
    ring = map_coordinates(power, where * np.array(shape)[:, None, None, None], order=1, mode="grid-wrap")
    mean = float(ring.mean())
    peaks = maximum_filter(ring, (3, 5, 1))  # reflections of a strained crystal are not exactly 60° apart
    best = float(np.exp(np.log(peaks + 1e-30).mean(-1)).max()) / max(mean, 1e-30)
    part = float(np.sqrt(tile.size)) / TILE_PX  # reflections of a small image are broad and fill more of the ring
    return float(np.clip((best / part - NONE) / (FULL - NONE), 0, 1))
