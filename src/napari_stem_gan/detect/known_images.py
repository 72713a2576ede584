"""Today's image with an answer that is known: vacancies planted into it, or its defects filled up.

The image is split into its own lattice (average cell, local brightness, warp, displaced rows: `simulate.fit_lattice`)
and the rest: contamination and counting noise. A column's shape is that of the fitted probe, its brightness that of
the average column of its kind, its noise that of the fitted gain and dark level.

Planting keeps every pixel's own noise: of the electrons that were counted, each is taken away with the chance that it
came from the atom (binomial thinning), which leaves exactly the counts of a column without it. What the detector's
decay correlates along rows, the thinning's noise is correlated with too.

Filling cannot keep it. A false point is an accident of the noise, and whoever fills up what was found there mends the
accident. So the noise of the filled image is drawn anew: contamination stays as far as it is known (Wiener filter),
its unknown part is drawn from what its spectrum leaves open, and the electrons are counted again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.known_noise import Contamination, column_excess, contamination
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.fit import SessionFit
from napari_stem_gan.simulate.fit_lattice import SIDE_PX, LatticeImage, split_lattice
from napari_stem_gan.simulate.fit_noise import tail_transfer
from napari_stem_gan.simulate.fit_scan import Rows, measure_rows, row_spread, straightened, without_rows
from napari_stem_gan.simulate.probe import band_limit
from napari_stem_gan.simulate.probe_problem import decay_transfer

FILLED = 0.5  # confidence of a defect that is filled up
MARGIN_CELLS = 2.0
NEAR = 0.5  # of the neighbour distance: a point belongs to this site
BACKGROUND = 1.2  # neighbour distances: what is wider is no column
LEAST_SHARE = 1e-4
PATCH = 4.0  # half the side of a column's picture, in neighbour distances

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Today:
    """One image, taken apart.

    Parameters
    ----------
    image, match, fit
        The image, its lattice, and what was fitted to it.
    sites
        Lattice sites on the image and a margin around it.
    lattice
        The lattice as its rows show it, no defects, in image units, ``(Y, X)``.
    rest
        What else there is without the brightness of single rows and with the defects filled up, ``(Y, X)``.
    shifts_px
        How far each row looks beside its place along y and x, ``(2, Y)``.
    brightness
        Local brightness of the lattice over its average, ``(Y, X)``.
    units
        Image units times Å² of a column of each sublattice: the weight of `columns`.
    filled, excess
        Site of each defect that was filled up (-1: between sites), and by how much its column was too bright, in the
        units of `columns`; both ``(F,)``.
    """

    image: STEMImage
    match: LatticeMatch
    fit: SessionFit
    sites: Sites
    lattice: NDArray[np.float32]
    rest: NDArray[np.float32]
    shifts_px: Float
    brightness: NDArray[np.float32]
    units: dict[str, float]
    filled: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    excess: Float = field(default_factory=lambda: np.zeros(0))

    @property
    def neighbour_px(self) -> float:
        """Distance of nearest columns in pixels."""
        return self.sites.material.neighbour_distance_A / (self.match.pixel_size_A or 0.2)

    @property
    def gain(self) -> float:
        """Image units for one counted electron."""
        return self.fit.detector.gain * (1 + self.fit.detector.pmt_spread**2)

    def columns(self, positions_px: Float, weights: Float) -> NDArray[np.float32]:
        """Columns at ``(N, 2)`` with weights in the units of `units`, as scan and detector show them, ``(Y, X)``."""
        drawn = np.zeros(self.image.shape, np.float32)
        for sign in (1, -1):  # a rendered image is never negative
            own = sign * weights > 0
            if own.any():
                part = _rendered(drawn.shape, positions_px[own], np.abs(weights[own]), self.match, self.fit)
                drawn = drawn + sign * part
        return _displaced(drawn, self.shifts_px) if self.shifts_px.any() else drawn

    def contamination(self) -> Contamination:
        """What is known of the contamination, and what the noise hides."""
        brightness = max(float(self.image.data.mean(dtype=float)) - self.fit.offset, 0.0)
        width = self.image.shape[1]
        transfer = tail_transfer(self.fit.tail_px, np.arange(width) / (2 * width))
        limit = band_limit(self.fit.optics) * (self.match.pixel_size_A or 0.2)
        return contamination(self.rest, self.gain * brightness, transfer, limit)

    def weights(self, chosen: NDArray[np.intp]) -> Float:
        """Brightness of the columns of some sites, in the units of `columns`."""
        place = np.clip(np.rint(self.sites.positions_px[chosen]).astype(int), 0, np.array(self.image.shape) - 1)
        units = np.array([self.units[c.sublattice] for c in self.sites.material.columns])
        return np.asarray(units[self.sites.column[chosen]] * self.brightness[place[:, 0], place[:, 1]])


def middle_of(image: STEMImage, match: LatticeMatch) -> tuple[STEMImage, LatticeMatch, tuple[int, int]]:
    """The middle of an image, at most 1024 px on a side, its lattice, and its first row and column."""
    y, x = ((n - min(n, SIDE_PX)) // 2 for n in image.shape)
    if not (y or x):
        return image, match, (0, 0)
    part = replace(image, data=image.data[y : y + SIDE_PX, x : x + SIDE_PX])
    return part, _moved(match, (y, x)), (y, x)


def _moved(match: LatticeMatch, corner: tuple[int, int]) -> LatticeMatch:
    warp = match.warp
    if warp is not None:
        warp = replace(warp, grid_y=warp.grid_y - corner[0], grid_x=warp.grid_x - corner[1])
    grains = tuple(_moved(grain, corner) for grain in match.other_grains)
    return replace(match, origin_px=match.origin_px - np.array(corner), warp=warp, other_grains=grains)


def take_apart(image: STEMImage, match: LatticeMatch, fit: SessionFit, points: PointTable) -> Today:
    """Split an image, and fill up its defects.

    Parameters
    ----------
    image
        At most 1024 px on a side; see `middle_of`.
    match
        Its accepted lattice.
    fit
        Fitted to the image.
    points
        What was found on it; points with a confidence of at least 0.5 are filled up.
    """
    split = split_lattice(image.data, match)
    rows = measure_rows(split)
    split = straightened(split, rows, row_spread(rows, fit.scan))
    sites = match.sites(image.shape, margin_px=MARGIN_CELLS * split.constant_px)
    today = Today(
        image, match, fit, sites, split.lattice, without_rows(split, rows) + split.foreign, _row_shifts(rows, fit),
        split.brightness, _units(split, sites, match, fit),
    )  # fmt: skip
    return _filled(today, points.filter(FILLED))


def _row_shifts(rows: Rows, fit: SessionFit) -> Float:
    """How far rows look beside their place ``(2, Y)``, drawn towards 0 as far as that is noise."""
    shifts = np.zeros((2, rows.values.shape[1]))
    for axis, spread in enumerate(row_spread(rows, fit.scan)):
        if spread > 0:
            value, noise = rows.combined(2 + axis)
            noise = max(float(value.var()) - spread**2, 0.0) * noise / max(float(np.median(noise)), 1e-30)
            shifts[axis] = value * spread**2 / (spread**2 + noise)
    return shifts


def _rendered(
    shape: tuple[int, int], positions_px: Float, weights: Float, match: LatticeMatch, fit: SessionFit
) -> NDArray[np.float32]:
    """Columns through the fitted probe, smeared along rows, before rows are displaced."""
    image = render(positions_px, weights, shape, pixel_size_A=match.pixel_size_A or 0.2, optics=fit.optics)
    return _smeared(image, fit, signal=True)


def _smeared(image: NDArray[Any], fit: SessionFit, *, signal: bool) -> NDArray[np.float32]:
    """What the detector's decay makes of counts, and with `signal` the fast scan's smear of the signal before."""
    kx = np.fft.rfftfreq(image.shape[1])
    transfer: NDArray[Any] = tail_transfer(fit.tail_px, kx)
    if signal and fit.scan.smear_px:
        transfer = transfer * decay_transfer(fit.scan.smear_px, fit.scan.smear_lorentzian, np.asarray(kx, float))
    return np.asarray(np.fft.irfft(np.fft.rfft(image, axis=1) * transfer, n=image.shape[1], axis=1), np.float32)


def _displaced(image: NDArray[np.float32], shifts_px: Float) -> NDArray[np.float32]:
    """An image whose rows look beside their place."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    look = [y + shifts_px[0][:, None], x + shifts_px[1][:, None]]
    return np.asarray(ndimage.map_coordinates(image, look, order=3, mode="nearest"), np.float32)


def _units(split: LatticeImage, sites: Sites, match: LatticeMatch, fit: SessionFit) -> dict[str, float]:
    """Brightness of the average column of each sublattice, by least squares on the average cell."""
    names = np.array([c.sublattice for c in sites.material.columns])[sites.column]
    step = max(1, int(0.3 * split.constant_px))
    inner = tuple(slice(step, -step) for _ in range(2))
    trusted = split.brightness[inner] > 0.5
    known = {str(name): np.ones(int((names == name).sum())) for name in np.unique(names)}
    parts = []
    for name, ones in known.items():
        drawn = _rendered(split.data.shape, sites.positions_px[names == name], ones, match, fit)
        local = drawn - ndimage.gaussian_filter(drawn, 1.5 * split.constant_px, truncate=2.5)
        parts.append((split.brightness * local)[inner][trusted])
    solution = np.linalg.lstsq(np.stack(parts, 1), split.lattice[inner][trusted], rcond=None)[0]
    return {name: max(float(value), 0.0) for name, value in zip(known, solution, strict=True)}


def _filled(today: Today, points: PointTable) -> Today:
    """The same without defects: what columns lack is added, what they have too much is taken off."""
    if not len(points):
        return today
    sites, reach = today.sites, NEAR * today.neighbour_px
    distance, nearest = cKDTree(sites.positions_px).query(points.positions_px)
    on = distance <= reach
    places = np.where(on[:, None], sites.positions_px[nearest], points.positions_px)
    patch = 2 * int(PATCH * today.neighbour_px) + 1
    probe = _rendered((patch, patch), np.array([[patch // 2] * 2]), np.ones(1), today.match, today.fit)
    excess = column_excess(today.rest, places, probe, BACKGROUND * today.neighbour_px)
    rest = today.rest - today.columns(places, excess)
    return replace(today, rest=rest, filled=np.where(on, nearest, -1), excess=excess)


def planted(today: Today, chosen: NDArray[np.intp], share: float | Float, rng: np.random.Generator) -> STEMImage:
    """The image with a share of the columns at some sites taken away, electron by electron.

    Parameters
    ----------
    today
        From `take_apart`.
    chosen
        Indices of the sites.
    share
        Part of the column that goes, 0 to 1; one for all or one for each site.
    rng
        Source of randomness.
    """
    image, detector = today.image.data.astype(float), today.fit.detector
    gone = today.columns(today.sites.positions_px[chosen], share * today.weights(chosen)).astype(float)
    expected = np.maximum(today.lattice + today.contamination().smooth - detector.offset, gone)
    part = np.clip(gone / np.maximum(expected, 1e-30), 0, 1)
    there = part > LEAST_SHARE
    electrons = np.maximum((image - detector.offset) / today.gain, 0)
    lost = np.zeros_like(image)
    lost[there] = rng.binomial(np.rint(electrons[there]).astype(np.int64), part[there])
    mean = np.where(there, part * electrons, 0.0)
    noise = _smeared(np.where(there, lost - part * np.rint(electrons), 0.0), today.fit, signal=False)
    return _digitised(image - today.gain * (mean + noise), today)


def without_defects(today: Today, rng: np.random.Generator) -> STEMImage:
    """The image with its lattice and contamination, without defects, counted anew."""
    detector, height = today.fit.detector, len(today.rest)
    mean = today.lattice + today.contamination().drawn(rng) - detector.offset
    mean = mean * (1 + detector.row_noise * rng.normal(size=(height, 1)))
    expected = np.maximum(mean / today.gain, 0)
    noise = _smeared(rng.poisson(expected) - expected, today.fit, signal=False)
    dark = detector.row_offset_e * detector.gain * rng.normal(size=(height, 1))
    return _digitised(detector.offset + today.gain * (expected + noise) + dark, today)


def _digitised(data: NDArray[np.floating], today: Today) -> STEMImage:
    """Clip and round as the image's own values are."""
    detector = today.fit.detector
    if detector.saturation_e:
        data = np.minimum(data, detector.offset + detector.gain * detector.saturation_e)
    if detector.quantisation:
        data = np.rint(data / detector.quantisation) * detector.quantisation
    return replace(today.image, data=np.asarray(data, np.float32))
