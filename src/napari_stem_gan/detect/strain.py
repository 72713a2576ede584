"""Displacement, strain and rotation of the lattice at points, from the fitted columns around them.

A column's displacement is its fitted place minus that of its site on the mean lattice of its grain; it holds what the
specimen and what the scan do. Around a point the displacement is fitted by a plane: its value is where the lattice says
a site lies, its slopes are strain and rotation. The column at the point itself is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.positions import ColumnFit

NEIGHBOURS, FEWEST = 36, 8
REACH = 3.0  # lattice constants: columns farther away say nothing of a point
LEAST_BRIGHTNESS = 0.7  # of its kind's: what is darker may lie off its site because atoms are missing
ITERATIONS = 4
ROBUST = 1.4826
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Displacements:
    """Displaced whole columns of an image.

    Parameters
    ----------
    ideal_px
        Place of each site on the mean lattice of its grain, shape ``(N, 2)`` as (y, x).
    shift_px
        Fitted place minus that, shape ``(N, 2)``; usual shift of its kind and grain taken out.
    usual_px
        That usual shift, shape ``(N, 2)``. An asymmetric probe and the detector's tail move columns together, those
        of one kind a little more than those of another: it is no displacement of atoms.
    error_px
        Standard error of the shift per axis, shape ``(N,)``.
    grain
        Grain of each site, shape ``(N,)``.
    whole
        Columns to rely on, shape ``(N,)``.
    constant_px
        Lattice constant.
    """

    ideal_px: Float
    shift_px: Float
    usual_px: Float
    error_px: Float
    grain: NDArray[np.intp]
    whole: NDArray[np.bool_]
    constant_px: float


@dataclass(frozen=True)
class Strain:
    """The lattice at points, against the mean lattice of their grain; axes are those of the image (x right, y down).

    Parameters
    ----------
    xx, yy, xy
        Strain tensor, shape ``(M,)``; NaN where fewer than eight columns are near.
    rotation_rad
        From +x towards +y, shape ``(M,)``.
    error
        Standard error of xx and of yy (root of their mean square), shape ``(M,)``.
    site_px
        Where the neighbours say that the site lies, on the match's lattice (`Displacements.usual_px` is left out),
        shape ``(M, 2)`` as (y, x).
    site_error_px
        Standard error of that per axis, with the scatter of columns around it, shape ``(M,)``.
    """

    xx: Float
    yy: Float
    xy: Float
    rotation_rad: Float
    error: Float
    site_px: Float
    site_error_px: Float


def displacements(match: LatticeMatch, sites: Sites, fit: ColumnFit) -> Displacements:
    """Displacements of the fitted columns of `sites`, which are those of `match`."""
    ideal, grain = ideal_places(match, sites)
    shift = fit.positions_px - ideal
    error = np.sqrt((fit.errors_px**2).mean(1))
    whole = np.isfinite(error)
    usual = np.zeros_like(shift)
    for kind in np.unique(sites.column):
        own = sites.column == kind
        height = np.median(fit.amplitude[own & whole]) if (own & whole).any() else np.inf
        whole[own] &= fit.amplitude[own] > LEAST_BRIGHTNESS * height
        for number in np.unique(grain[own]):
            alike = own & (grain == number)
            if (alike & whole).any():
                usual[alike] = np.median(shift[alike & whole], axis=0)
    if whole.any():
        whole &= error < 3 * np.median(error[whole])
    constant = float(np.sqrt(abs(np.linalg.det(match.lattice_vectors_px))))
    return Displacements(ideal, shift - usual, usual, error, grain, whole, constant)


def ideal_places(match: LatticeMatch, sites: Sites) -> tuple[Float, NDArray[np.intp]]:
    """Place of each site on its grain's mean lattice ``(N, 2)``, and the grain (0: the match itself) ``(N,)``."""
    basis = np.array([c.fraction for c in sites.material.columns])[sites.column]
    ideal, grain = sites.positions_px.copy(), np.zeros(len(sites), np.intp)
    least = np.full(len(sites), np.inf)
    for number, lattice in enumerate((match, *match.other_grains)):
        flat = sites.positions_px
        for _ in range(ITERATIONS if lattice.warp is not None else 0):
            flat = sites.positions_px - lattice.warp.at(flat)  # type: ignore[union-attr]
        cells = np.rint((flat - lattice.origin_px) @ np.linalg.inv(lattice.lattice_vectors_px) - basis)
        places = (cells + basis) @ lattice.lattice_vectors_px + lattice.origin_px
        miss = np.hypot(*(places - flat).T)
        better = miss < least - 1e-6
        ideal[better], grain[better], least[better] = places[better], number, miss[better]
    return ideal, grain


def strain_at(field: Displacements, points_px: Float, site: NDArray[np.intp]) -> Strain:
    """Strain, rotation and place of the site at points.

    Parameters
    ----------
    field
        From `displacements`.
    points_px
        Shape ``(M, 2)`` as (y, x).
    site
        Index of the point's site, −1: it lies on none (the nearest site's grain counts), shape ``(M,)``.
    """
    result = np.full((len(points_px), 8), np.nan)
    if len(points_px) and int(field.whole.sum()) > FEWEST:
        anchor = _anchors(field, points_px, site)
        for number in np.unique(field.grain):
            own = np.flatnonzero(field.whole & (field.grain == number))
            here = np.flatnonzero(field.grain[anchor] == number)
            if len(own) > FEWEST and len(here):
                result[here] = _planes(field, own, points_px[here], site[here], anchor[here])
    xx, yy, xy, rotation, error = result[:, :5].T
    return Strain(xx, yy, xy, rotation, error, result[:, 5:7], result[:, 7])


def _anchors(field: Displacements, points_px: Float, site: NDArray[np.intp]) -> NDArray[np.intp]:
    """A site of the point's grain: its own, or the nearest."""
    nearest = cKDTree(field.ideal_px + field.shift_px).query(points_px)[1]
    return np.where(site >= 0, site, nearest)


def _planes(
    field: Displacements, own: NDArray[np.intp], points_px: Float, site: NDArray[np.intp], anchor: NDArray[np.intp]
) -> Float:
    """Columns of the result of `strain_at`, ``(M, 8)``."""
    on = site >= 0
    place = np.where(on[:, None], field.ideal_px[anchor], points_px - (field.shift_px + field.usual_px)[anchor])
    count = min(NEIGHBOURS + 1, len(own))
    distance, near = cKDTree(field.ideal_px[own]).query(place, k=count)
    used = (distance < REACH * field.constant_px) & (own[near] != site[:, None])  # (M, k)
    delta, shift = field.ideal_px[own][near] - place[:, None], field.shift_px[own][near]
    design = np.concatenate([np.ones((*delta.shape[:2], 1)), delta], 2) * used[..., None]  # (M, k, 3)
    spread = np.linalg.pinv(design.transpose(0, 2, 1) @ design)  # (M, 3, 3)
    plane = spread @ design.transpose(0, 2, 1) @ (shift * used[..., None])  # (M, 3, 2)
    left = (shift - design @ plane)[used]
    freedom = max(used.sum() - 3 * len(used), 1) / max(used.sum(), 1)
    scatter = float((ROBUST * np.median(np.abs(left))) ** 2 / freedom) if len(left) else np.nan
    static = max(scatter - float(np.median(field.error_px[own]) ** 2), 0.0)
    slope = plane[:, 1:]  # [∂/∂y, ∂/∂x] of (u_y, u_x)
    variance = scatter * np.diagonal(spread, axis1=1, axis2=2)
    planes = np.column_stack([
        slope[:, 1, 1], slope[:, 0, 0], (slope[:, 0, 1] + slope[:, 1, 0]) / 2, (slope[:, 1, 0] - slope[:, 0, 1]) / 2,
        np.sqrt(variance[:, 1:].mean(1)), place + plane[:, 0],
        np.sqrt(variance[:, 0] + static),
    ])  # fmt: skip
    planes[used.sum(1) < FEWEST] = np.nan
    return planes
