"""The periodic part of a matched image, and what is left when it is taken off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.warp import Warp, linear
from napari_stem_gan.image import FloatImage

SIDE_PX = 1024
TABLE = 192
HIGHEST_PER_A = 1.25
BACKGROUND_CELLS, AMPLITUDE_CELLS = 1.5, 3.0
LARGEST_AMPLITUDE = 3.0
OUTLIER = 5.0
LARGEST_SHARPENING = 1.5


@dataclass(frozen=True)
class LatticeImage:
    """The middle of an image, split into lattice, background and the rest.

    Parameters
    ----------
    data
        The middle of the image, ``(Y, X)``.
    background
        Its slowly varying part (wider than 1.5 lattice constants), ``(Y, X)``.
    lattice, along_y, along_x
        The average cell times its local brightness, and its derivatives by y and x (image units per pixel).
    foreign
        Columns far from the average of their kind (vacancies, foreign atoms): what they add, ``(Y, X)``.
    spectrum
        Fourier coefficients of the average cell, ``(H, K)`` in the order of ``fftfreq``, phase 0 at the match's origin.
    spread
        One standard error of a coefficient.
    vectors_px
        Rows a1 and a2 as (y, x).
    fractions
        Position of every pixel in cells, ``(2, Y, X)``.
    brightness
        Local brightness of the lattice over its average, ``(Y, X)``.
    """

    data: NDArray[np.float32]
    background: NDArray[np.float32]
    lattice: NDArray[np.float32]
    along_y: NDArray[np.float32]
    along_x: NDArray[np.float32]
    foreign: NDArray[np.float32]
    spectrum: NDArray[np.complex128]
    spread: float
    vectors_px: NDArray[np.float64]
    fractions: NDArray[np.float32]
    brightness: NDArray[np.float32]

    @property
    def constant_px(self) -> float:
        """Square root of the cell's area."""
        return float(np.sqrt(abs(np.linalg.det(self.vectors_px))))

    @property
    def residual(self) -> NDArray[np.float32]:
        """The image without lattice and foreign columns; the background is still there."""
        return self.data - self.lattice - self.foreign

    def columns_displaced(self, shift_px: NDArray[np.float64]) -> LatticeImage:
        """The same image against a lattice whose pixel columns look `shift_px` ``(X,)`` beside their place along x."""
        moved = np.linalg.inv(self.vectors_px)[1][:, None, None] * shift_px
        g_y, g_x = wave_vectors(self.spectrum.shape, self.vectors_px)
        fractions = ((self.fractions + moved) % 1.0).astype(np.float32)
        parts = (self.spectrum, 2j * np.pi * g_y * self.spectrum, 2j * np.pi * g_x * self.spectrum)
        lattice, along_y, along_x = (self.brightness * _look_up(part, fractions) for part in parts)
        return replace(self, lattice=lattice, along_y=along_y, along_x=along_x, fractions=fractions)

    def displaced(self, shifts: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float32]:
        """The lattice as rows see it that look beside their place.

        Parameters
        ----------
        shifts
            How far each row looks along y and x in pixels, ``(2, Y)``.
        spread
            Standard deviation of all shifts along y and x; the average cell is blurred by it.
        """
        g = wave_vectors(self.spectrum.shape, self.vectors_px)
        blur = 2 * np.pi**2 * ((g * spread[:, None, None]) ** 2).sum(0)
        moved = (np.asarray(shifts).T @ np.linalg.inv(self.vectors_px)).T[:, :, None]  # (2, Y, 1), in cells
        place = (self.fractions + moved.astype(np.float32)) % 1.0
        return self.brightness * _look_up(self.spectrum * np.exp(np.minimum(blur, LARGEST_SHARPENING)), place)


def split_lattice(data: FloatImage, match: LatticeMatch) -> LatticeImage:
    """Split the middle of an image (at most 1024 × 1024 px) into lattice, background and the rest.

    The lattice is the image's own average cell, so that its columns are as wide, and as bright against each other, as
    they are today; no probe has to be known.

    Parameters
    ----------
    data
        Image ``(Y, X)``.
    match
        Its accepted lattice.
    """
    crop, corner = middle(data)
    vectors = match.lattice_vectors_px
    constant = float(np.sqrt(abs(np.linalg.det(vectors))))
    fractions = _fractions(crop.shape, corner, match)
    background = _blurred(crop, BACKGROUND_CELLS * constant, 0.3 * constant)
    flat = crop - background
    trust = _trust(crop.shape, corner, match.warp)
    spectrum, _ = _average(flat, fractions, trust, match)
    foreign = _foreign_columns(flat - _look_up(spectrum, fractions), corner, match)
    spectrum, spread = _average(flat - foreign, fractions, trust, match)
    cell = _look_up(spectrum, fractions)
    brightness = _brightness(flat - foreign, cell, constant)
    g_y, g_x = wave_vectors(spectrum.shape, vectors)
    return LatticeImage(
        data=crop,
        background=background,
        lattice=brightness * cell,
        along_y=brightness * _look_up(2j * np.pi * g_y * spectrum, fractions),
        along_x=brightness * _look_up(2j * np.pi * g_x * spectrum, fractions),
        foreign=foreign,
        spectrum=spectrum,
        spread=spread,
        vectors_px=vectors,
        fractions=fractions,
        brightness=brightness,
    )


def left_edge(data: FloatImage, match: LatticeMatch, image: LatticeImage, width: int) -> LatticeImage:
    """The first `width` columns of `data`, on the rows and with the average cell of its split middle `image`."""
    crop, (row, column) = middle(data)
    if column == 0:
        parts = ("data", "background", "lattice", "along_y", "along_x", "foreign", "brightness")
        cut = {name: getattr(image, name)[:, :width] for name in parts}
        return replace(image, fractions=image.fractions[..., :width], **cut)
    edge = np.asarray(data[row : row + len(crop), :width], np.float32)
    fractions = _fractions(edge.shape, (row, 0), match)
    background = _blurred(edge, BACKGROUND_CELLS * image.constant_px, 0.3 * image.constant_px)
    brightness = _brightness(edge - background, _look_up(image.spectrum, fractions), image.constant_px)
    whole = replace(
        image, data=edge, background=background, foreign=np.zeros_like(edge), fractions=fractions, brightness=brightness
    )
    return whole.columns_displaced(np.zeros(width))


def middle(data: FloatImage) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """The middle of `data`, at most 1024 px on a side, and its first row and column."""
    y, x = ((n - min(n, SIDE_PX)) // 2 for n in data.shape)
    return np.asarray(data[y : y + SIDE_PX, x : x + SIDE_PX], np.float32), (y, x)


def block_mean(data: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means over squares of `step` pixels; what does not fill a square is left out."""
    rows, cols = data.shape[0] // step, data.shape[1] // step
    return np.asarray(data[: rows * step, : cols * step].reshape(rows, step, cols, step).mean((1, 3)), np.float32)


def expand(coarse: NDArray[np.float32], step: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate means over squares of `step` pixels back to ``shape``."""
    rows, cols = (
        linear(np.arange(n), (np.arange(m) + 0.5) * step - 0.5)
        for n, m in zip(shape, coarse.shape, strict=True)
    )
    return np.asarray(rows @ coarse @ cols.T, np.float32)


def _fractions(shape: tuple[int, ...], corner: tuple[int, int], match: LatticeMatch) -> NDArray[np.float32]:
    """Position of every pixel in cells from the match's origin, ``(2, Y, X)``."""
    y, x = (np.arange(n) + c for n, c in zip(shape, corner, strict=True))
    inverse = np.linalg.inv(match.lattice_vectors_px)
    along = (y - match.origin_px[0])[:, None, None] * inverse[0] + (x - match.origin_px[1])[None, :, None] * inverse[1]
    result = np.moveaxis(along, -1, 0)
    if match.warp is not None:
        rows, cols = linear(y, match.warp.grid_y), linear(x, match.warp.grid_x)
        moved = [rows @ part.astype(np.float32) @ cols.T for part in match.warp.displacement_px]
        result = result - np.einsum("iyx,ij->jyx", np.stack(moved), inverse.astype(np.float32))
    return (result % 1.0).astype(np.float32)


def _trust(shape: tuple[int, ...], corner: tuple[int, int], warp: Warp | None) -> NDArray[np.float32]:
    """1 where the crystal is, 0 beside it, ``(Y, X)``."""
    if warp is None:
        return np.ones(shape, np.float32)
    y, x = (np.arange(n) + c for n, c in zip(shape, corner, strict=True))
    rows, cols = linear(y, warp.grid_y), linear(x, warp.grid_x)
    there = (rows @ warp.crystallinity.astype(np.float32) @ cols.T > 0.6).astype(np.float32)
    return there if there.mean() > 0.02 else np.ones(shape, np.float32)


def average_spectrum(data: FloatImage, match: LatticeMatch, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Fourier coefficients of the average cell of a clean image, with `shape` bins."""
    fractions = _fractions(data.shape, (0, 0), match)
    return _average(data - data.mean(), fractions, np.ones_like(data), match)[0]


def _average(
    flat: NDArray[np.float32], fractions: NDArray[np.float32], trust: NDArray[np.float32], match: LatticeMatch
) -> tuple[NDArray[np.complex128], float]:
    """Fourier coefficients of the average cell within the probe's reach, and one standard error of them."""
    bins = [int(np.clip(2 * np.ceil(np.hypot(*v)), 24, 128)) for v in match.lattice_vectors_px]
    index = [np.minimum((f * n).astype(np.int32), n - 1) for f, n in zip(fractions, bins, strict=True)]
    place = (index[0] * bins[1] + index[1]).ravel()
    counts = np.bincount(place, trust.ravel(), bins[0] * bins[1])
    sums = np.bincount(place, (trust * flat).ravel(), bins[0] * bins[1])
    mean = sums / np.maximum(counts, 1e-9)
    filled = np.where(counts > 0, mean, 0.0).reshape(bins)
    spectrum = np.fft.fft2(filled) / filled.size
    h, k = (np.fft.fftfreq(n) * n for n in bins)
    spectrum *= np.exp(-1j * np.pi * h / bins[0])[:, None] * np.exp(-1j * np.pi * k / bins[1])[None]
    spectrum /= np.sinc(h / bins[0])[:, None] * np.sinc(k / bins[1])[None]
    g_y, g_x = wave_vectors(spectrum.shape, match.lattice_vectors_px)
    spectrum[np.hypot(g_y, g_x) > HIGHEST_PER_A * (match.pixel_size_A or 0.2)] = 0
    spectrum[0, 0] = 0
    return spectrum, float(np.sqrt(flat.var() / max(float(trust.sum()), 1.0)))


def wave_vectors(shape: tuple[int, ...], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spatial frequency (g_y, g_x) of each coefficient in cycles per pixel, ``(2, H, K)``."""
    h, k = np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij")
    return np.asarray(np.einsum("cij,yc->yij", np.stack([h, k]), np.linalg.inv(vectors)))


def _look_up(spectrum: NDArray[np.complex128], fractions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evaluate the Fourier series at `fractions`, on a table of 192 × 192 points to a cell."""
    fine = np.zeros((TABLE, TABLE), complex)
    h, k = (np.rint(np.fft.fftfreq(n) * n).astype(int) for n in spectrum.shape)
    fine[np.ix_(h % TABLE, k % TABLE)] = spectrum
    table = (np.fft.ifft2(fine).real * TABLE**2).astype(np.float32).ravel()
    index = [np.rint(f * TABLE).astype(np.int32) % TABLE for f in fractions]
    return table[index[0] * TABLE + index[1]]


def _blurred(data: NDArray[np.float32], sigma: float, step: float) -> NDArray[np.float32]:
    """Gaussian blur, computed on means over squares of about `step` pixels."""
    size = max(1, int(step))
    small = ndimage.gaussian_filter(block_mean(data, size), sigma / size, truncate=2.5, mode="reflect")
    return expand(small, size, (data.shape[0], data.shape[1]))


def _brightness(flat: NDArray[np.float32], cell: NDArray[np.float32], constant: float) -> NDArray[np.float32]:
    """Local brightness of the lattice over its average, ``(Y, X)``."""
    step = max(1, int(0.4 * constant))
    top, bottom = (
        ndimage.gaussian_filter(block_mean(part, step), AMPLITUDE_CELLS * constant / step, mode="reflect")
        for part in (flat * cell, cell * cell)
    )
    local = np.clip(top / np.maximum(bottom, 1e-6 * bottom.max() + 1e-30), 0, LARGEST_AMPLITUDE)
    return expand(np.asarray(local, np.float32), step, (flat.shape[0], flat.shape[1]))


def _foreign_columns(
    rest: NDArray[np.float32], corner: tuple[int, int], match: LatticeMatch
) -> NDArray[np.float32]:
    """What columns far from the average of their kind add to the average lattice."""
    sigma = match.fwhm_A / 2.3548 / (match.pixel_size_A or 0.2)
    sites = match.sites((rest.shape[0] + 2 * corner[0], rest.shape[1] + 2 * corner[1]))
    place = sites.positions_px - np.array(corner)
    smooth = ndimage.gaussian_filter(rest, sigma, truncate=3.0)
    height = 2 * ndimage.map_coordinates(smooth, place.T, order=1, mode="nearest")  # a blurred peak is half as high
    far = np.zeros(len(place), bool)
    for kind in np.unique(sites.column):
        mine = sites.column == kind
        deviation = np.abs(height - np.median(height[mine]))
        far |= mine & (deviation > OUTLIER * 1.4826 * np.median(deviation[mine]))
    return _peaks(rest.shape, place[far], height[far], sigma)


def _peaks(
    shape: tuple[int, ...], place: NDArray[np.float64], height: NDArray[np.float64], sigma: float
) -> NDArray[np.float32]:
    """Gaussian peaks of standard deviation `sigma` at `place`."""
    reach = int(np.ceil(3.5 * sigma))
    total = np.zeros((shape[0] + 2 * reach + 2, shape[1] + 2 * reach + 2), np.float32)
    first = np.rint(place).astype(int)
    step = np.arange(-reach, reach + 1)
    dy, dx = (first[:, i, None] + step - place[:, i, None] for i in (0, 1))
    gauss = [np.exp(-(d**2) / (2 * sigma**2)) for d in (dy, dx)]
    values = height[:, None, None] * gauss[0][:, :, None] * gauss[1][:, None, :]
    rows, cols = (first[:, i, None] + step + reach for i in (0, 1))
    inside = ((place > -1) & (place < np.array(shape))).all(1)
    np.add.at(total, (rows[inside][:, :, None], cols[inside][:, None, :]), values[inside])
    return total[reach : reach + shape[0], reach : reach + shape[1]]
