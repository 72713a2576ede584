"""Run a network over an image of any size: equal overlapping tiles, blended with a raised-cosine window."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.training import Stopped, free_memory, is_out_of_memory

MIN_TILE_PX = 64

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class TileGrid:
    """Where tiles lie on an image.

    Parameters
    ----------
    shape
        Height and width of the image in pixels.
    tile
        Height and width of every tile; larger than the image where its side is no multiple.
    starts_y, starts_x
        First row and column of the tiles.
    overlap_px
        Width of the blending ramps.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    starts_y: tuple[int, ...]
    starts_x: tuple[int, ...]
    overlap_px: int

    @classmethod
    def cover(cls, shape: tuple[int, int], *, tile_px: int = 512, overlap_px: int = 64, multiple: int = 16) -> TileGrid:
        """Cover `shape` with the fewest equal tiles of at most `tile_px`, then make them as small as that allows.

        Raises
        ------
        ValueError
            If the overlap does not fit into a tile.
        """
        if multiple < 1 or tile_px < multiple:
            raise ValueError(f"tile_px must be at least {multiple}, got {tile_px}; choose larger tiles")
        if not 0 <= overlap_px <= tile_px // 2:
            raise ValueError(f"overlap_px must lie between 0 and half of tile_px, got {overlap_px}; lower it")
        (tile_y, starts_y), (tile_x, starts_x) = (_cover(side, tile_px, overlap_px, multiple) for side in shape)
        return cls(shape, (tile_y, tile_x), starts_y, starts_x, overlap_px)

    def __len__(self) -> int:
        return len(self.starts_y) * len(self.starts_x)

    def corners(self) -> list[tuple[int, int]]:
        """First row and column of every tile."""
        return list(product(self.starts_y, self.starts_x))

    def cut(self, image: FloatArray, corner: tuple[int, int]) -> FloatArray:
        """Cut the tile at `corner` from ``(C, Y, X)``, mirrored beyond the image's edge: ``(C, y, x)``."""
        y, x = corner
        part = image[:, y : y + self.tile[0], x : x + self.tile[1]]
        missing = [(0, want - have) for want, have in zip(self.tile, part.shape[1:], strict=True)]
        return np.pad(part, [(0, 0), *missing], mode="symmetric") if any(m for _, m in missing) else part

    def window(self, corner: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Blending weights along y and x of the tile at `corner`; over all tiles they sum to one."""
        weights_y = _share(corner[0], self.shape[0], self.tile[0], self.starts_y, self.overlap_px)
        weights_x = _share(corner[1], self.shape[1], self.tile[1], self.starts_x, self.overlap_px)
        return weights_y, weights_x


def _cover(side: int, tile_px: int, overlap_px: int, multiple: int) -> tuple[int, tuple[int, ...]]:
    """Tile length and starts along one axis."""
    longest = tile_px // multiple * multiple
    count = 1 if side <= longest else -(-(side - overlap_px) // (longest - overlap_px))
    length = -(-(side + (count - 1) * overlap_px) // count)
    length = -(-length // multiple) * multiple
    last = max(0, side - length)
    return length, tuple(round(i * last / max(1, count - 1)) for i in range(count))


def _ramps(start: int, side: int, length: int, overlap_px: int) -> FloatArray:
    """One in the middle, raised-cosine ramps towards neighbouring tiles."""
    length = min(length, side)
    weights = np.ones(length)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap_px) + 0.5) / max(1, overlap_px))
    if start > 0:
        weights[:overlap_px] *= ramp
    if start + length < side:
        weights[length - overlap_px :] *= ramp[::-1]
    return weights.astype(np.float32)


def _share(start: int, side: int, length: int, starts: tuple[int, ...], overlap_px: int) -> FloatArray:
    """Ramps of the tile at `start`, divided by the sum over all tiles."""
    total = np.zeros(side, np.float32)
    for other in starts:
        ramps = _ramps(other, side, length, overlap_px)
        total[other : other + len(ramps)] += ramps
    own = _ramps(start, side, length, overlap_px)
    return own / total[start : start + len(own)]


def tile_apply(
    function: Callable[[Tensor], Tensor],
    image: NDArray[np.floating],
    *,
    tile_px: int = 512,
    overlap_px: int = 64,
    multiple: int = 16,
    batch: int = 1,
    out_channels: int | None = None,
    device: torch.device | str = "cpu",
    stop: Event | None = None,
    on_tile: Callable[[float], None] | None = None,
) -> FloatArray:
    """Apply `function` tile by tile; memory grows with the tile, not with the image.

    Parameters
    ----------
    function
        Maps ``(B, C, y, x)`` on `device` to ``(B, K, y, x)``; called in inference mode.
    image
        Shape ``(Y, X)`` or ``(C, Y, X)``; any size.
    tile_px
        Longest side of a tile in pixels; smaller needs less memory.
    overlap_px
        Overlap of neighbours in pixels; at least the reach of the network.
    multiple
        Sides of tiles are multiples of this.
    batch
        Tiles at once.
    out_channels
        K where it is known; checked.
    device
        Where `function` works.
    stop
        Set by another thread to end within one tile.
    on_tile
        Called after every batch with the fraction done.

    Returns
    -------
    numpy.ndarray
        Shape ``(K, Y, X)``, float32. Out of memory halves the batch, then the tile, with a warning.

    Raises
    ------
    Stopped
        If `stop` was set.
    ValueError
        If the image is not two- or three-dimensional, or `function` changes the size.
    """
    if image.ndim not in (2, 3) or min(image.shape) < 1:
        raise ValueError(f"image must have shape (Y, X) or (C, Y, X), got {image.shape}; pass one image")
    planes = np.asarray(image, np.float32).reshape(-1, *image.shape[-2:])
    height, width = planes.shape[1:]
    while True:
        overlap = min(overlap_px, tile_px // 4)
        grid = TileGrid.cover((height, width), tile_px=tile_px, overlap_px=overlap, multiple=multiple)
        try:
            return _Pass(function, planes, grid, torch.device(device), stop, on_tile).run(batch, out_channels)
        except (RuntimeError, MemoryError) as error:
            smaller = _smaller(grid, tile_px, batch, multiple) if is_out_of_memory(error) else None
            if smaller is None:
                raise
        tile_px, batch = smaller
        warnings.warn(f"out of memory: going on with tiles of {tile_px} px, {batch} at once", stacklevel=2)
        free_memory(device)


def _smaller(grid: TileGrid, tile_px: int, batch: int, multiple: int) -> tuple[int, int] | None:
    """Tile and batch to try after an out-of-memory error; None if nothing is left to try."""
    if batch > 1 and len(grid) > 1:
        return tile_px, batch // 2
    longest = max(grid.tile)
    half = max(MIN_TILE_PX, multiple, longest // 2)
    return (half, 1) if half < longest else None


@dataclass(frozen=True)
class _Pass:
    """One attempt over the whole image."""

    function: Callable[[Tensor], Tensor]
    planes: FloatArray
    grid: TileGrid
    device: torch.device
    stop: Event | None
    on_tile: Callable[[float], None] | None

    def run(self, batch: int, out_channels: int | None) -> FloatArray:
        corners = self.grid.corners()
        result: FloatArray | None = None
        for first in range(0, len(corners), max(1, batch)):
            if self.stop is not None and self.stop.is_set():
                raise Stopped("stopped between two tiles")
            some = corners[first : first + max(1, batch)]
            outputs = self._predict(some, out_channels)  # (B, K, y, x)
            if result is None:
                result = np.zeros((outputs.shape[1], *self.grid.shape), np.float32)
            for corner, output in zip(some, outputs, strict=True):
                self._add(result, corner, output)
            if self.on_tile is not None:
                self.on_tile((first + len(some)) / len(corners))
        assert result is not None
        return result

    def _predict(self, corners: list[tuple[int, int]], out_channels: int | None) -> FloatArray:
        tiles = np.stack([self.grid.cut(self.planes, corner) for corner in corners])  # (B, C, y, x)
        with torch.inference_mode():
            outputs = self.function(torch.from_numpy(tiles).to(self.device))
            array: FloatArray = outputs.float().cpu().numpy()
        expected = (len(corners), array.shape[1] if out_channels is None else out_channels, *self.grid.tile)
        if array.shape != expected:
            raise ValueError(f"the network must return the shape {expected}, got {array.shape}; check `multiple`")
        return array

    def _add(self, result: FloatArray, corner: tuple[int, int], output: FloatArray) -> None:
        weights_y, weights_x = self.grid.window(corner)
        height, width = len(weights_y), len(weights_x)
        y, x = corner
        part = output[:, :height, :width] * weights_y[:, None] * weights_x
        result[:, y : y + height, x : x + width] += part
