"""Points get the place of their column, or of their site, with its error, and the strain around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.points import Points
from napari_stem_gan.detect.positions import ColumnFit
from napari_stem_gan.detect.strain import Strain, displacements, strain_at

EMPTY = ("V_2X", "V_M")
ON_SITE_PX = 1e-3
FARTHEST = 0.25  # of the neighbour distance: what is fitted farther from the lattice's place is not the site's column


@dataclass(frozen=True)
class PlacedPoints:
    """Points at their measured places.

    Parameters
    ----------
    points
        With places that were measured.
    error_px
        Standard error of the place per axis, shape ``(M,)``; NaN where none is known.
    strain
        The lattice around them.
    """

    points: Points
    error_px: NDArray[np.float64]
    strain: Strain


def unplaced(points: Points) -> PlacedPoints:
    """Points without a lattice: where they were found, with nothing known of errors and strain."""
    blank = np.full(len(points.kinds), np.nan)
    nowhere = np.full((len(blank), 2), np.nan)
    return PlacedPoints(points, blank, Strain(blank, blank, blank, blank, blank, nowhere, blank))


def place_points(match: LatticeMatch, sites: Sites, fit: ColumnFit, points: Points) -> PlacedPoints:
    """Move points that lie on lattice sites to where their columns are.

    A column that still holds atoms is where it was fitted, unless the lattice around it knows its place better; an
    empty site is where its neighbours' displacements say. Points between sites stay where they are.

    Parameters
    ----------
    match
        The image's accepted lattice.
    sites, fit
        Its sites, on which the points lie, and their columns; those of a margin around the image help.
    points
        Points of the image.
    """
    if not len(points.kinds):
        return unplaced(points)
    distance, nearest = cKDTree(sites.positions_px).query(points.positions_px)
    site = np.where(distance < ON_SITE_PX, nearest, -1)
    field = displacements(match, sites, fit)
    strain = strain_at(field, points.positions_px, site)
    column, error = (fit.positions_px - field.usual_px)[nearest], np.sqrt((fit.errors_px[nearest] ** 2).mean(1))
    known = np.isfinite(strain.site_error_px)
    reach = FARTHEST * sites.material.neighbour_distance_A / (match.pixel_size_A or 1.0)
    astray = np.hypot(*(column - strain.site_px).T) > reach
    fitted = ~np.isin(points.kinds, EMPTY) & ~(known & (astray | (error > strain.site_error_px)))
    places = np.where(fitted[:, None], column, np.where(known[:, None], strain.site_px, points.positions_px))
    moved = np.where((site >= 0)[:, None], places, points.positions_px)
    errors = np.where(site >= 0, np.where(fitted, error, strain.site_error_px), np.nan)
    return PlacedPoints(replace(points, positions_px=moved), errors, strain)
