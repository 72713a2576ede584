"""The atoms of a crystal's sites, one by one, so that defects can be made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.structure import Sites

SHELL = 1.25
SAME_PLACE_A = 0.3


@dataclass(frozen=True)
class Atoms:
    """Table of the atoms of a perfect crystal; all arrays have one entry per atom.

    Parameters
    ----------
    sites
        The sites that the atoms belong to.
    site
        Index of the atom's site.
    place
        Index of the site's repeat along the beam that the atom belongs to, counted over all sites; the atoms of one
        place are those of ``Column.atoms``. A place holds at most one defect.
    depth
        Repeats and layers between the atom and the source.
    element
        Chemical symbol.
    heights_A
        Height over the middle of the site, positive towards the source.
    """

    sites: Sites
    site: NDArray[np.intp]
    place: NDArray[np.intp]
    depth: NDArray[np.intp]
    element: NDArray[np.str_]
    heights_A: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.site)

    def positions_A(self, sites_px: NDArray[np.float64], pixel_size_A: float) -> NDArray[np.float64]:
        """Positions ``(M, 3)`` as (y, x, height) in Å, for sites at `sites_px`; leaning and layers included."""
        base = np.zeros(len(self.sites)) if self.sites.heights_A is None else self.sites.heights_A
        flat = sites_px[self.site] * pixel_size_A + self.leaning_A()
        return np.concatenate([flat, (base[self.site] + self.heights_A)[:, None]], 1)

    def leaning_A(self) -> NDArray[np.float64]:
        """How far each atom lies beside its site, shape ``(M, 2)`` as (y, x)."""
        lean = self.sites.lean
        return np.zeros((len(self), 2)) if lean is None else lean[self.site] * self.heights_A[:, None]


def build_atoms(sites: Sites) -> Atoms:
    """List the atoms of every site: site by site, repeat by repeat from the source down, in the column's order."""
    columns, repeats = sites.material.columns, sites.thickness_repeats
    counts = np.array([len(c.atoms) for c in columns])
    per_site = counts[sites.column] * repeats
    site = np.repeat(np.arange(len(sites)), per_site)
    within = np.arange(len(site)) - np.repeat(np.cumsum(per_site) - per_site, per_site)
    count = counts[sites.column][site]
    repeat = within // count
    index = (np.cumsum(counts) - counts)[sites.column[site]] + within % count
    heights = np.array([h for c in columns for h in c.heights_A])[index]
    layer = 0 if sites.layer is None else sites.layer[site]
    return Atoms(
        sites=sites, site=site, place=site * repeats + repeat, depth=np.asarray(repeat + layer),
        element=np.array([a for c in columns for a in c.atoms], dtype="<U2")[index],
        heights_A=_in_repeat(sites, site, heights) + ((repeats - 1) / 2 - repeat) * sites.material.period_A,
    )  # fmt: skip


def _in_repeat(sites: Sites, site: NDArray[np.intp], heights_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights within one repeat, staggered from cell to cell where the zone axis asks for it."""
    period = sites.material.period_A
    if sites.rise_A is None or not period:
        return heights_A
    staggered = heights_A + sites.rise_A[site]
    return np.asarray(staggered - period * np.floor(staggered / period + 0.5))


def pull(
    positions_A: NDArray[np.float64], missing_A: NDArray[np.float64], amount_A: float
) -> NDArray[np.float64]:
    """Displacement of atoms towards missing ones.

    Parameters
    ----------
    positions_A
        Atoms that are left, shape ``(M, 3)`` as (y, x, height).
    missing_A
        Places of missing atoms, shape ``(V, 3)``.
    amount_A
        How far a nearest neighbour moves, in Å; positive: towards the missing atom.

    Returns
    -------
    NDArray
        Shape ``(M, 3)``. Only the first shell moves: with d the distance of the nearest atom, those at r ≤ 1.25 d by
        ``amount (d / r)²`` along the line to the missing atom. Pulls of several missing atoms add up.
    """
    moved = np.zeros_like(positions_A)
    if not amount_A or not len(missing_A) or not len(positions_A):
        return moved
    tree = cKDTree(positions_A)
    distance = tree.query(missing_A, k=min(4, len(positions_A)))[0].reshape(len(missing_A), -1)
    nearest = np.where(distance > SAME_PLACE_A, distance, np.inf).min(1)
    reach = np.where(np.isfinite(nearest), SHELL * nearest, 0.0)
    for place, d, near in zip(missing_A, nearest, tree.query_ball_point(missing_A, reach), strict=True):
        line = place - positions_A[near]  # (n, 3)
        r = np.linalg.norm(line, axis=1, keepdims=True)
        far = r[:, 0] > SAME_PLACE_A
        moved[np.array(near, int)[far]] += (amount_A * (d / r) ** 2 * line / r)[far]
    return moved
