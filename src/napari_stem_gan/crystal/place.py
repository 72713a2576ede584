"""Place a crystal on a lattice that was found: mean distortion, warp, average cell, and whether it looks like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.advice import unlike
from napari_stem_gan.crystal.cell import CellFit, average_cell, fit_cell
from napari_stem_gan.crystal.lattice import LatticeMatch, distortion, distortion_errors, equivalent_cells
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.search import NYQUIST, LatticeFit, half_plane
from napari_stem_gan.crystal.sense import misfit
from napari_stem_gan.crystal.sharpen import sharpened
from napari_stem_gan.crystal.spectrum import Spectrum, central_crop
from napari_stem_gan.crystal.warp import (
    Warp,
    mean_gradient,
    measure_warp,
    off_rows,
    readable_reflections,
    smoothing_for,
    without_gradient,
)
from napari_stem_gan.image import STEMImage

ROWS_MATTER = 10.0
SAME_SHELL = 0.1
CLEAR_BY = 0.3  # correlation between two ways to lie on the lattice with round columns: no need to look closer
SURE_BY = 2.5  # squares left over between two ways to lie on the lattice, in units of the noise (wrong: up to 0.7)
UNSURE = "; which way round the crystal lies is not certain, its columns are too alike"
SMALL_GRADIENT = 5e-5
WEAK_SIGNAL = 1000.0
MOST_STEPS = 4
LARGEST_GRADIENT, LARGEST_CHANGE_BINS = 0.03, 0.7  # beyond them the phases were not unwrapped rightly


@dataclass(frozen=True)
class Settled:
    """A lattice measured on an image as well as it can be; the same whatever crystal has it.

    Parameters
    ----------
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    warp
        Displacement of the lattice across the image.
    covariance
        Of the gradient of that displacement, shape ``(4, 4)``, in row order.
    """

    vectors_px: NDArray[np.float64]
    warp: Warp
    covariance: NDArray[np.float64]
    _cells: dict[bytes, NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def recast(self, change: NDArray[np.float64]) -> Settled:
        """The same lattice with the cell ``change @ vectors``."""
        return Settled(change @ self.vectors_px, self.warp, self.covariance, self._cells)

    def average_cell(self, image: STEMImage, vectors_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """The average of a cell of this lattice, computed once for all crystals that have it."""
        key = (np.asarray(vectors_px, np.float64).round(6) + 0.0).tobytes()
        if key not in self._cells:
            self._cells[key] = average_cell(image.data, vectors_px, self.warp)
        return self._cells[key]


def place(image: STEMImage, found: Spectrum, fit: LatticeFit, material: Material) -> LatticeMatch:
    """Measure warp and average cell, and turn a lattice fit into a match with its errors.

    Parameters
    ----------
    image
        The image.
    found
        Its spectrum.
    fit
        The lattice.
    material
        The crystal.

    Returns
    -------
    LatticeMatch
        Without a nominal pixel size; refused where the cell does not look like the crystal.
    """
    return lay(image, settle(image, found, fit.vectors_px), fit, material)


def lay(image: STEMImage, settled: Settled, fit: LatticeFit, material: Material) -> LatticeMatch:
    """Lay a crystal on a lattice that was measured; the second half of `place`.

    Parameters
    ----------
    image
        The image.
    settled
        The lattice as measured by `settle`.
    fit
        The lattice as it was found in the spectrum.
    material
        The crystal.
    """
    size = distortion(settled.vectors_px, material).pixel_size_A
    vectors, cell, sure = _laid(image, settled, material, size)
    parts = distortion(vectors, material)
    origin = cell.origin @ vectors
    centre = np.array(image.shape) / 2
    origin = origin + np.rint((centre - origin) @ np.linalg.inv(vectors)) @ vectors
    result = LatticeMatch(
        accepted=True,
        reason="" if sure else UNSURE,
        material=material.key,
        pixel_size_A=size,
        nominal_pixel_size_A=None,
        rotation_deg=parts.rotation_deg,
        lattice_vectors_px=vectors,
        origin_px=origin,
        shear=parts.shear,
        stretch=parts.stretch,
        fwhm_A=cell.fwhm_A,
        contrast=cell.contrast,
        column_ratios=cell.brightness,
        goodness=fit.goodness * max(cell.correlation, 0.0) * float(np.exp(-cell.misfit)),
        surprise=fit.surprise,
        errors={**distortion_errors(vectors, material, settled.covariance), "fwhm_A": cell.fwhm_error_A},
        warp=settled.warp,
    )
    reason = unlike(cell, material, parts.largest)
    return replace(result, accepted=False, reason=reason) if reason else result


def settle(image: STEMImage, found: Spectrum, vectors_px: NDArray[np.float64]) -> Settled:
    """Measure a lattice: from local phases or from all reflections at once, whichever is better known.

    Parameters
    ----------
    image
        The image.
    found
        Its spectrum.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels, right within about a bin of the spectrum.
    """
    candidates = half_plane(2)
    frequency = candidates @ np.linalg.inv(vectors_px).T
    length, constant = np.hypot(*frequency.T), float(np.sqrt(abs(np.linalg.det(vectors_px))))
    ratio = _standing_out(found, vectors_px, candidates)
    indices = readable_reflections(candidates, length, ratio)
    signal = float(np.sort(found.highest(indices @ np.linalg.inv(vectors_px).T, 1))[-2:].min())
    smoothing = smoothing_for(signal, found.ratio.shape, constant)

    def warped(vectors: NDArray[np.float64]) -> Warp:
        return measure_warp(image.data, vectors, smoothing=smoothing, indices=indices)

    known = LARGEST_CHANGE_BINS * float(found.bin.max()) / float(length.min())
    vectors_px, warp = _through_wander(vectors_px, warped, known)
    gradient, covariance = mean_gradient(warp)
    readable = float(np.abs(gradient).max()) < min(LARGEST_GRADIENT, known)
    if signal < WEAK_SIGNAL:
        better = _sharpened(image, found, vectors_px)
        if better is not None and (not readable or np.trace(better[1]) < np.trace(covariance)):
            return Settled(better[0], warped(better[0]), better[1])
    if not readable:
        return Settled(vectors_px, warp, covariance)
    vectors_px = vectors_px @ (np.eye(2) + gradient)
    if np.abs(gradient).max() < SMALL_GRADIENT:
        return Settled(vectors_px, without_gradient(warp, gradient), covariance)
    warp = warped(vectors_px)  # windows at the rim are true only at the right frequency
    return Settled(vectors_px, warp, mean_gradient(warp)[1])


def _through_wander(
    vectors_px: NDArray[np.float64], warped: Callable[[NDArray[np.float64]], Warp], known: float
) -> tuple[NDArray[np.float64], Warp]:
    """Follow a mean gradient from row to row as long as it is more than is known and the reflections grow with it.

    A scan that wanders splits reflections along fy, and the spectrum's lattice may go through outer parts of them.
    """
    warp = warped(vectors_px)
    for _ in range(MOST_STEPS):
        gradient = mean_gradient(warp)[0]
        if np.abs(gradient).max() < known or np.abs(gradient[1]).max() > known:
            break
        moved = vectors_px @ (np.eye(2) + gradient * [[1.0], [0.0]])
        again = warped(moved)
        if again.scale <= warp.scale:
            break
        vectors_px, warp = moved, again
    return vectors_px, warp


def _sharpened(
    image: STEMImage, found: Spectrum, vectors_px: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The most likely lattice on all reflections that stand out, of any order."""
    many = half_plane(4)
    many = many[(np.abs(many @ np.linalg.inv(vectors_px).T) < NYQUIST).all(1)]
    return sharpened(central_crop(image.data), vectors_px, many, _standing_out(found, vectors_px, many))


def _standing_out(
    found: Spectrum, vectors_px: NDArray[np.float64], indices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Power over background of reflections; 0 for those that the offsets of rows reach, where rows have any."""
    frequency = indices @ np.linalg.inv(vectors_px).T
    constant = float(np.sqrt(abs(np.linalg.det(vectors_px))))
    ratio = found.highest(frequency, 1)
    if found.row_excess > ROWS_MATTER:
        return np.where(off_rows(frequency, constant), ratio, 0.0)
    length = np.hypot(*frequency.T)
    for blank in np.flatnonzero(np.abs(frequency[:, 1]) < 2 * found.bin[1]):  # the spectrum has no fx = 0
        ratio[blank] = np.median(ratio[np.abs(length / length[blank] - 1) < SAME_SHELL])
    return ratio


def _laid(
    image: STEMImage, settled: Settled, material: Material, pixel_size_A: float
) -> tuple[NDArray[np.float64], CellFit, bool]:
    """How the crystal lies on its lattice, so that columns are as bright as they should be; and if that is sure."""
    options = []
    for vectors in equivalent_cells(settled.vectors_px, material):
        cell = fit_cell(settled.average_cell(image, vectors), material, vectors, pixel_size_A)
        options.append((cell.correlation - cell.misfit, vectors, cell))
    options.sort(key=lambda option: -option[0])
    _, vectors, cell = options[0]
    if len(options) == 1 or options[0][0] - options[1][0] > CLEAR_BY:
        return vectors, cell, True
    judged = []
    for _, vectors, cell in options:
        left, count = misfit(settled.average_cell(image, vectors), material, vectors, pixel_size_A, cell)
        judged.append((left, count, vectors, cell))
    judged.sort(key=lambda option: option[0])
    left, count, vectors, cell = judged[0]
    gain = (judged[1][0] - left) / max(left / count, 1.0)
    return vectors, cell, gain > SURE_BY
