"""Lattice evidence: how bright each column is against its neighbours of the same sublattice, from the joint fit."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.positions import ColumnFit

NEIGHBOURS = 24


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
    significance
        What is missing to the local median over the standard error of the fitted brightness, shape ``(N,)``.
    background
        Fitted background at the site over the local median brightness, shape ``(N,)``.
    """

    ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]
    spread: NDArray[np.float64]
    significance: NDArray[np.float64]
    background: NDArray[np.float64]

    def where(self, keep: NDArray[np.bool_]) -> SiteEvidence:
        """Only some of the sites."""
        return SiteEvidence(**{f.name: getattr(self, f.name)[keep] for f in fields(SiteEvidence)})


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
    amplitude = np.where(known, fit.amplitude, 0.0)
    level = np.where(known, fit.background, np.median(fit.background[known]) if known.any() else 0.0)
    ratio, spread, local = _relative(amplitude, sites.positions_px, sites.column)
    ratio = np.where(known, ratio, 1.0)
    error = np.where(np.isfinite(fit.amplitude_error), fit.amplitude_error, np.inf)
    missing = (local - amplitude) / np.maximum(error, 1e-6 * local)
    background = (level - np.median(level)) / local if len(level) else level
    return SiteEvidence(ratio, (1 - ratio) / spread, spread, np.where(known, missing, 0.0), background)


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
