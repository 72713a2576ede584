"""Where the frames of a stack lie on each other.

Matched lattices say it exactly, but only up to a translation of the lattice; which one it is, is told by what is not
periodic (contamination and defects), through band-limited phase correlation. So a site keeps its identity however far
the image drifts. Frames without a lattice follow the phase correlation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_stem_gan.bad_pixels import mended
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.warp import Warp
from napari_stem_gan.image import FloatImage, STEMImage

LARGEST_SHIFT = 0.25  # of the image's side, between two frames
BELOW_LATTICE = 0.6  # of the first reflection's frequency: what lies below is not the lattice
LEAST_PEAK = 5.0  # standard deviations of the correlation; less is no evidence of a drift
SAME_CELL = 0.1  # largest difference of two lattices, in units of their vectors
LONGEST_WAVE = 0.5  # of the side: illumination and slow drift of brightness are not the specimen


@dataclass(frozen=True)
class Placing:
    """Where a frame lies: ``reference = (position − warp) @ linear + shift``, all in pixels as (y, x).

    Parameters
    ----------
    linear
        Shape ``(2, 2)``.
    shift_px
        Shape ``(2,)``.
    warp
        The frame's slow distortion; None: not known.
    """

    linear: NDArray[np.float64]
    shift_px: NDArray[np.float64]
    warp: Warp | None = None

    def to_reference(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions ``(N, 2)`` of the frame in the reference frame."""
        moved = 0.0 if self.warp is None or not len(positions_px) else self.warp.at(positions_px)
        return np.asarray((positions_px - moved) @ self.linear + self.shift_px)

    def from_reference(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions ``(N, 2)`` of the reference frame in the frame."""
        flat = (positions_px - self.shift_px) @ np.linalg.inv(self.linear)
        return np.asarray(flat if self.warp is None or not len(flat) else flat + self.warp.at(flat))


@dataclass(frozen=True)
class _Known:
    """A frame that others are registered with."""

    image: STEMImage
    match: LatticeMatch
    placing: Placing


def register(images: Sequence[STEMImage], matches: Sequence[LatticeMatch]) -> list[Placing]:
    """Place the frames of one stack in the pixels of the first one with a lattice (of the first, if there is none).

    Parameters
    ----------
    images
        Frames of one shape, in their order.
    matches
        Their lattices.

    Raises
    ------
    ValueError
        If the frames have different shapes.
    """
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"frames must have one shape, got {sorted({i.shape for i in images})}; load them as one stack")
    images = [mended(image) for image in images]  # one bright pixel would be all that a correlation sees
    good = [index for index, match in enumerate(matches) if match.accepted]
    first = good[0] if good else 0
    start = Placing(np.eye(2), np.zeros(2), matches[first].warp if matches[first].accepted else None)
    placed = {first: start}
    for step in (range(first + 1, len(images)), range(first - 1, -1, -1)):
        last = _Known(images[first], matches[first], start)
        for index in step:
            placed[index] = _place(images[index], matches[index], last)
            if matches[index].accepted or not last.match.accepted:
                last = _Known(images[index], matches[index], placed[index])
    return [placed[index] for index in range(len(images))]


def _place(image: STEMImage, match: LatticeMatch, last: _Known) -> Placing:
    """Placing of a frame through one that is known."""
    correlation = _correlation(last.image.data, image.data, _highest(last.match, match, image))
    before = last.placing
    plain = replace(before, warp=None)
    if not (match.accepted and last.match.accepted):
        return _shifted(plain, _peak(correlation))
    turn = np.rint(match.lattice_vectors_px @ np.linalg.inv(last.match.lattice_vectors_px))
    alike = np.linalg.inv(turn) @ match.lattice_vectors_px if abs(abs(np.linalg.det(turn)) - 1) < 1e-6 else None
    if alike is None or _apart(alike, last.match.lattice_vectors_px) > SAME_CELL:
        return _shifted(plain, _peak(correlation))
    linear = np.linalg.inv(alike) @ last.match.lattice_vectors_px  # this frame's lattice onto the known one's
    shift = _by_cells(correlation, linear, match.origin_px, last.match)
    return Placing(linear @ before.linear, shift @ before.linear + before.shift_px, match.warp)


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one @ np.linalg.inv(other) - np.eye(2)).max())


def _shifted(before: Placing, shift_px: NDArray[np.float64]) -> Placing:
    return Placing(before.linear, shift_px @ before.linear + before.shift_px)


def _by_cells(
    correlation: FloatImage, linear: NDArray[np.float64], origin_px: NDArray[np.float64], known: LatticeMatch
) -> NDArray[np.float64]:
    """Shift that lays this frame's lattice on the known one, by whole cells, where the images agree best."""
    middle = np.array(correlation.shape) / 2
    base = known.origin_px - origin_px @ linear
    drift = middle @ linear + base - middle  # at the middle of the image
    start = np.rint(-drift @ np.linalg.inv(known.lattice_vectors_px))
    reach = int(np.ceil(2 * LARGEST_SHIFT * max(correlation.shape) / np.hypot(*known.lattice_vectors_px[0])))
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    cells = (start + steps) @ known.lattice_vectors_px
    shifts = drift + cells
    inside = (np.abs(shifts) <= LARGEST_SHIFT * np.array(correlation.shape)).all(1)
    cells, shifts = cells[inside], shifts[inside]
    heights = map_coordinates(correlation, shifts.T, order=1, mode="grid-wrap")
    sure = heights.max() >= LEAST_PEAK * correlation.std()
    best = int(heights.argmax()) if sure else int(np.hypot(*shifts.T).argmin())
    return np.asarray(base + cells[best])


def _peak(correlation: FloatImage) -> NDArray[np.float64]:
    """Shift (dy, dx) at the highest point within reach, to a fraction of a pixel; 0 where nothing stands out."""
    side = np.array(correlation.shape)
    frequency = [np.fft.fftfreq(n, 1 / n) for n in side]
    near = np.logical_and.outer(*[np.abs(f) <= LARGEST_SHIFT * n for f, n in zip(frequency, side, strict=True)])
    index = np.array(np.unravel_index(np.where(near, correlation, -np.inf).argmax(), correlation.shape))
    if correlation[tuple(index)] < LEAST_PEAK * correlation.std():
        return np.zeros(2)
    shift = np.array([f[i] for f, i in zip(frequency, index, strict=True)])
    for axis, step in enumerate(np.eye(2, dtype=int)):
        low, mid, high = (correlation[tuple((index + d * step) % side)] for d in (-1, 0, 1))
        shift[axis] += 0.5 * (low - high) / min(low - 2 * mid + high, -1e-12)
    return np.asarray(shift)


def _highest(one: LatticeMatch, other: LatticeMatch, image: STEMImage) -> float:
    """Highest frequency that is compared, in cycles per pixel: below the lattice's first reflections."""
    size = one.pixel_size_A or other.pixel_size_A or image.pixel_size_A or 0.2
    return BELOW_LATTICE * size / get_material(one.material).constant_A


def _correlation(before: FloatImage, after: FloatImage, highest: float) -> FloatImage:
    """Phase correlation; its value at (dy, dx) tells how well `after`, moved by that, lies on `before`."""
    window = np.outer(*(np.hanning(n) for n in before.shape))
    one, two = (np.fft.rfft2((data - data.mean()) * window) for data in (before, after))
    fy, fx = np.fft.fftfreq(before.shape[0])[:, None], np.fft.rfftfreq(before.shape[1])[None]
    radius = np.hypot(fy, fx)
    band = (radius <= highest) & (radius >= 1 / (LONGEST_WAVE * min(before.shape)))
    cross = one * two.conj()
    return np.asarray(np.fft.irfft2(np.where(band, cross / (np.abs(cross) + 1e-30), 0), before.shape))
