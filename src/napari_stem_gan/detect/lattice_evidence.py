"""Lattice evidence: how bright each column is against its neighbours of the same sublattice, from the joint fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.pedestal import OWN_SPREAD, pedestal, without_pedestal
from napari_stem_gan.detect.positions import ColumnFit

NEIGHBOURS, AROUND = 24, 36
ABSENT, SPREADS = 0.5, 3.0  # of the usual brightness; and how many spreads below it: no column is there
ERRORS, RATIOS = (1e-6, 1e3), (-1, 3)  # what is farther out says no more
OTHER_SPREAD = 0.15  # of the brightness that another atom adds or takes away: instruments differ
ATOMS = 2  # in the columns whose pedestal is known: one that lost an atom is still there


@dataclass(frozen=True)
class SiteEvidence:
    """Intensity evidence of every site.

    Parameters
    ----------
    ratio
        Fitted brightness over the local median of the sublattice, without what neighbours lend to an empty site
        (`pedestal`), shape ``(N,)``; about 1, 0.43–0.5 for one of two atoms, 0 for none.
    z_score
        ``(1 − ratio)`` over the local spread of the ratio, shape ``(N,)``; positive: darker.
    spread
        Local spread of the ratio, shape ``(N,)``.
    error
        Standard error of the ratio, shape ``(N,)``.
    significance
        What is missing to the local median over the standard error of the fitted brightness, shape ``(N,)``.
    background
        Fitted background at the site over the local median brightness, shape ``(N,)``.
    misfit
        What the fit leaves around the site over what it leaves around most sites of its kind, as squares, shape
        ``(N,)``; about 1.
    surroundings
        Share of the neighbours that are columns, shape ``(N,)``: lower at a rim, in a hole and where the lattice is
        another one, but not where there is more noise.
    """

    ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]
    spread: NDArray[np.float64]
    error: NDArray[np.float64]
    significance: NDArray[np.float64]
    background: NDArray[np.float64]
    misfit: NDArray[np.float64]
    surroundings: NDArray[np.float64]

    def odds_of(self, ratio: float) -> NDArray[np.float64]:
        """Logarithm of how much likelier columns of `ratio` times the usual brightness are, ``(N,)``."""
        variance = self.error**2 + OWN_SPREAD**2
        return np.asarray((1 - ratio) * (1 + ratio - 2 * self.ratio) / (2 * variance))

    def odds_among(self, ratios: Sequence[float]) -> NDArray[np.float64]:
        """Logarithm of how much likelier columns are of one of `ratios` times the usual brightness, ``(N,)``.

        Each is as likely as the others, and known the less well, the farther it is from the usual brightness.
        """
        if not len(ratios):
            return np.full(len(self.ratio), -np.inf)
        centre = np.array([1.0, *ratios])[:, None]  # the usual one first
        width = np.hypot(self.error, OWN_SPREAD + OTHER_SPREAD * np.abs(centre - 1))
        density = _log_density(np.clip(self.ratio, *RATIOS) - centre, width)
        return np.asarray(np.logaddexp.reduce(density[1:], 0) - np.log(len(ratios)) - density[0])

    def where(self, keep: NDArray[np.bool_]) -> SiteEvidence:
        """Only some of the sites."""
        return SiteEvidence(**{f.name: getattr(self, f.name)[keep] for f in fields(SiteEvidence)})


def _log_density(off: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of a bell curve, but for a constant."""
    return np.asarray(-((off / width) ** 2) / 2 - np.log(width))


def site_evidence(fit: ColumnFit, sites: Sites) -> SiteEvidence:
    """Compare fitted columns with their neighbours.

    Parameters
    ----------
    fit
        Columns of the sites, from `positions.fit_columns`.
    sites
        Lattice sites in image pixels.
    """
    known = np.isfinite(fit.amplitude) & np.isfinite(fit.background)
    amplitude = np.where(known, fit.amplitude, _usual(fit.amplitude, known, sites.column))
    level = np.where(known, fit.background, np.median(fit.background[known]) if known.any() else 0.0)
    ratio, spread, local = _relative(amplitude, sites.positions_px, sites.column)
    ratio = np.where(known, ratio, 1.0)
    error = np.where(known & np.isfinite(fit.amplitude_error), fit.amplitude_error / local, np.inf)
    error = np.clip(error, *ERRORS)
    spread, error, ratio = _above_pedestal(spread, error, ratio, sites, known)
    background = (level - np.median(level)) / local if len(level) else level
    return SiteEvidence(
        ratio, (1 - ratio) / spread, spread, error, (1 - ratio) / error, background,
        _relative_misfit(np.where(known, fit.misfit, np.nan), sites.column), _surroundings(amplitude, sites),
    )  # fmt: skip


def _usual(
    amplitude: NDArray[np.float64], known: NDArray[np.bool_], column: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Median brightness of each site's kind; 0 where none of it is known."""
    usual = np.zeros(len(amplitude))
    for index in np.unique(column[known]):
        usual[column == index] = np.median(amplitude[known & (column == index)])
    return usual


def _above_pedestal(
    spread: NDArray[np.float64],
    error: NDArray[np.float64],
    ratio: NDArray[np.float64],
    sites: Sites,
    known: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], ...]:
    """Spread, error and ratio of columns of two atoms without the pedestal that neighbours lend them."""
    parts = spread.copy(), error.copy(), ratio.copy()
    for index in np.unique(sites.column):
        own = sites.column == index
        if len(sites.material.columns[index].atoms) == ATOMS:
            height = pedestal(ratio[own & known], error[own & known])
            for part in parts[:2]:
                part[own] *= 1 + height
            parts[2][own] = without_pedestal(ratio[own], height)
    return parts


def _relative_misfit(misfit: NDArray[np.float64], column: NDArray[np.intp]) -> NDArray[np.float64]:
    """Misfit over the median of each kind, 1 where it is not known."""
    relative = np.ones(len(misfit))
    for index in np.unique(column[np.isfinite(misfit)]):
        own = (column == index) & np.isfinite(misfit)
        relative[own] = misfit[own] / max(float(np.median(misfit[own])), 1e-12)
    return relative


def _surroundings(amplitude: NDArray[np.float64], sites: Sites) -> NDArray[np.float64]:
    """Share of each site's neighbours that are columns: not darker than both half of their kind and its spread."""
    there = np.ones(len(amplitude))
    for index in np.unique(sites.column):
        own = sites.column == index
        usual = max(float(np.median(amplitude[own])), 1e-12)
        missing = 1 - amplitude[own] / usual
        there[own] = missing < max(1 - ABSENT, SPREADS * _noise(missing, sites.positions_px[own]))
    count = min(AROUND + 1, len(there))
    near = cKDTree(sites.positions_px).query(sites.positions_px, k=count)[1].reshape(len(there), count)
    return np.asarray(there[near[:, 1:]].mean(1)) if count > 1 else there


def _noise(values: NDArray[np.float64], positions: NDArray[np.float64]) -> float:
    """Robust standard deviation of values, from each one's difference to its neighbour, so that rims do not count."""
    if len(values) < 2:
        return 0.0
    neighbour = cKDTree(positions).query(positions, k=2)[1][:, 1]
    return float(1.4826 * np.median(np.abs(values - values[neighbour])) / np.sqrt(2))


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
