"""Adatoms: foreign or own atoms on top of a crystal, touching the atoms below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from napari_stem_gan.crystal.defect_names import Defect
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.planted import PlantedDefect
from napari_stem_gan.crystal.planting import round_at_random
from napari_stem_gan.crystal.structure import Sites, fill_field

ADATOM_KIND = "A"
PLACES = ("top", "bridge", "hollow")
NEIGHBOUR = 1.1


@dataclass(frozen=True)
class Adatoms:
    """Atoms on top of a crystal.

    Parameters
    ----------
    elements
        Chemical symbols.
    positions_A
        Shape ``(n, 3)`` as (y, x, height).
    places
        What each lies on: ``top`` of a column, a ``bridge`` between two columns or a ``hollow`` between all.
    """

    elements: tuple[str, ...]
    positions_A: NDArray[np.float64]
    places: tuple[str, ...]


def own_adatoms(material: Material, fraction: float) -> tuple[PlantedDefect, ...]:
    """Adatoms of the crystal's own elements, `fraction` per unit cell in all."""
    elements = sorted({atom for column in material.columns for atom in column.atoms})
    share = fraction / len(elements)
    return tuple(PlantedDefect(Defect("adatom", foreign=e), share) for e in elements) if fraction else ()


def draw_adatoms(
    sites: Sites,
    atoms_A: NDArray[np.float64],
    elements: NDArray[np.str_],
    planted: Sequence[PlantedDefect],
    pixel_size_A: float,
    rng: np.random.Generator,
) -> Adatoms:
    """Put adatoms on top of columns, on bridges and on hollows, each with one third of the odds.

    An adatom rests where it touches the nearest atoms below: their distance is the sum of the covalent radii (Cordero
    et al. 2008, doi:10.1039/b801115j, as tabulated in ASE). A percentage is per unit cell of the projected crystal.

    Parameters
    ----------
    sites
        The crystal's sites; those of the uppermost layer count.
    atoms_A, elements
        Atoms that are there, shapes ``(M, 3)`` as (y, x, height) and ``(M,)``.
    planted
        What is wanted; only adatoms are read.
    pixel_size_A
        Pixel size in Å.
    rng
        Source of every draw.
    """
    wanted = [p for p in planted if p.defect.change == "adatom"]
    upper = sites if sites.layer is None else sites.where(sites.layer == sites.layer.min(initial=0))
    if not wanted or len(upper) < 4 or not len(atoms_A):
        return Adatoms((), np.zeros((0, 3)), ())
    tree, hollow_A = cKDTree(upper.positions_px * pixel_size_A), hollow_radius_A(sites.material)
    cells = sites.area_A2 / abs(float(np.linalg.det(sites.material.cell)))
    found: list[tuple[str, NDArray[np.float64], str]] = []
    for one in wanted:
        number = round_at_random(one.fraction * cells + one.density_per_nm2 * sites.area_A2 / 100, rng)
        for place, site in zip(rng.choice(PLACES, number), rng.integers(len(upper), size=number), strict=True):
            points = _points(str(place), int(site), tree, sites.material.neighbour_distance_A, hollow_A)
            if len(points):
                found.append((one.defect.foreign, points[rng.integers(len(points))], str(place)))
            else:  # at a rim there is neither bridge nor hollow
                found.append((one.defect.foreign, tree.data[site], "top"))
    names = tuple(f[0] for f in found)
    flat = np.array([f[1] for f in found]).reshape(-1, 2)
    heights = _resting_heights(flat, names, atoms_A, elements)
    return Adatoms(names, np.concatenate([flat, heights[:, None]], 1), tuple(f[2] for f in found))


def _points(place: str, site: int, tree: cKDTree, bond_A: float, hollow_A: float) -> NDArray[np.float64]:
    """Points ``(n, 2)`` in Å of one kind of place at a site, none where there is no neighbour."""
    here = np.asarray(tree.data[site])
    if place == "top":
        return here[None]
    if place == "bridge":
        near = [n for n in tree.query_ball_point(here, NEIGHBOUR * bond_A) if n != site]
        return np.asarray((tree.data[near] + here) / 2)
    around = tree.data[tree.query_ball_point(here, 3 * hollow_A)]
    if len(around) < 4:
        return np.zeros((0, 2))
    centres, radii = _circles(around)
    right = (np.abs(radii / hollow_A - 1) < NEIGHBOUR - 1) & (np.hypot(*(centres - here).T) < NEIGHBOUR * hollow_A)
    return centres[right]


@lru_cache(maxsize=64)
def hollow_radius_A(material: Material) -> float:
    """Distance in Å from the middle of the widest hollow between projected columns to the columns around it."""
    reach = 3 * float(np.linalg.norm(material.cell, axis=1).max())
    centres, radii = _circles(fill_field(material, material.cell, (1, 1), margin_px=reach).positions_px)
    return float(radii[np.hypot(*centres.T) < reach / 3].max())


def _circles(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres ``(n, 2)`` and radii of the circles through the corners of each Delaunay triangle."""
    corners = points[Delaunay(points).simplices]  # (n, 3, 2)
    sides = corners[:, 1:] - corners[:, :1]
    proper = np.abs(np.linalg.det(sides)) > 1e-6
    offset = np.linalg.solve(2 * sides[proper], (sides[proper] ** 2).sum(-1)[..., None])[..., 0]
    return corners[proper, 0] + offset, np.hypot(offset[:, 0], offset[:, 1])


def _resting_heights(
    flat_A: NDArray[np.float64], names: Sequence[str], atoms_A: NDArray[np.float64], elements: NDArray[np.str_]
) -> NDArray[np.float64]:
    """Lowest height at which each adatom is no closer to any atom than their bond."""
    kinds, index = np.unique(elements, return_inverse=True)
    radii = np.array([covalent_radii[atomic_numbers[str(k)]] for k in kinds])[index]
    tree, top = cKDTree(atoms_A[:, :2]), float(atoms_A[:, 2].max())
    heights = np.full(len(flat_A), top)
    for row, name in enumerate(names):
        bond = radii.max() + covalent_radii[atomic_numbers[name]]
        near = np.array(tree.query_ball_point(flat_A[row], bond), int)
        reach = radii[near] + covalent_radii[atomic_numbers[name]]
        below = reach**2 - ((atoms_A[near, :2] - flat_A[row]) ** 2).sum(1)
        touching = below > 0
        if touching.any():
            heights[row] = (atoms_A[near, 2] + np.sqrt(np.maximum(below, 0)))[touching].max()
    return heights
