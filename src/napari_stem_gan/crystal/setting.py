"""The standard setting of a projected crystal: reduced cell, a1 along +x, origin on its heaviest metal column.

A crystal comes out the same whatever cell, origin and orientation its file has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from ase.data import atomic_numbers
from ase.geometry.minkowski_reduction import minkowski_reduce
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Column
from napari_stem_gan.crystal.roles import Role, anions, column_names, leading_element
from napari_stem_gan.crystal.symmetry import plane_rotations

Array = NDArray[np.float64]
SAME = 1e-5
MOST_COMPARED = 5_000


@dataclass(frozen=True)
class Site:
    """A column of a projection.

    Parameters
    ----------
    fraction
        Position as fractions of (a1, a2), shape ``(2,)``.
    atoms
        Their elements, in any order.
    heights
        Of the atoms, towards the source in Å, shape ``(len(atoms),)``.
    rank
        Metals come before anions, heavy columns before light ones; equal columns have the same rank.
    """

    fraction: Array
    atoms: tuple[str, ...]
    heights: Array
    rank: int = 0


@dataclass(frozen=True)
class Projection:
    """Columns on a projected lattice.

    Parameters
    ----------
    cell
        Rows a1 and a2 as (x, y) in Å, y down.
    rise
        Height of a1 and a2 in Å, shape ``(2,)``.
    period
        Repeat along the beam in Å, 0 for a layer.
    sites
        The columns of one cell.
    """

    cell: Array
    rise: Array
    period: float
    sites: tuple[Site, ...]

    def recast(self, change: Array) -> Projection:
        """The same columns with the cell ``change @ cell``."""
        back = np.linalg.inv(change)
        sites = tuple(replace(s, fraction=s.fraction @ back) for s in self.sites)
        return replace(self, cell=change @ self.cell, rise=change @ self.rise, sites=sites)


def standard_setting(projection: Projection) -> tuple[Array, tuple[Column, ...], tuple[float, float]]:
    """Choose cell, origin and order of the columns.

    Parameters
    ----------
    projection
        Columns on a primitive lattice.

    Returns
    -------
    tuple
        Cell (rows a1 and a2 as (y, x) in Å), columns, and rise.
    """
    reduced = _ranked(projection).recast(_reduced(projection.cell) @ np.linalg.inv(projection.cell))
    chosen = min((_around(*choice) for choice in _choices(reduced)), key=_order)
    length = np.linalg.norm(chosen.cell[0])
    along, across = chosen.cell[0] @ chosen.cell[1] / length, np.linalg.det(chosen.cell) / length
    cell = np.array([[0.0, length], [across, 0.0 if abs(along) < SAME else along]])
    return cell, _named(chosen), _wrapped_rise(chosen)


def _reduced(lattice: Array) -> Array:
    """Shortest basis, right-handed as (x, y), its angle acute where the lattice has a choice."""
    flat, _ = minkowski_reduce(np.pad(lattice, ((0, 1), (0, 1))), pbc=(True, True, False))
    u, v = flat[:2, :2]
    if np.linalg.det([u, v]) < 0:
        v = -v
    short, long = np.hypot(*u) + SAME, np.hypot(*v) + SAME
    options = [(u, v), (v, -u), (u, v + u), (u, v - u)]
    valid = [np.array(o) for o in options if np.hypot(*o[0]) <= short and np.hypot(*o[1]) <= long]
    return max(valid, key=lambda o: round(float(o[0] @ o[1]), 4))


def _order(projection: Projection) -> list[tuple[float, ...]]:
    """Sorts settings: by where the columns lie, then by how high their atoms."""
    places = [tuple(np.round(site.fraction, 3)) for site in projection.sites]
    return places + [tuple(np.round(np.sort(site.heights), 2)) for site in projection.sites]


def _choices(projection: Projection) -> Iterator[tuple[Projection, Site, float]]:
    """All turns of the bare lattice, each column of the first kind as the origin, each heaviest atom as height 0."""
    for turn in plane_rotations(projection.cell[:, ::-1], np.zeros((1, 2)), [1]):
        turned = projection.recast(np.array(turn, float))
        origins = [site for site in turned.sites if site.rank == 0]
        for origin in origins[: max(1, MOST_COMPARED // len(projection.sites))]:
            for zero in _heights_of_heaviest(origin) if projection.period else [_middle(projection)]:
                yield turned, origin, zero


def _ranked(projection: Projection) -> Projection:
    """Give every column its rank."""
    negative = anions(a for site in projection.sites for a in site.atoms)
    kinds = [_kind(site.atoms, negative) for site in projection.sites]
    ordered = sorted(set(kinds))
    sites = [replace(s, rank=ordered.index(k)) for s, k in zip(projection.sites, kinds, strict=True)]
    return replace(projection, sites=tuple(sites))


def _kind(atoms: tuple[str, ...], negative: frozenset[str]) -> tuple[bool, int, int, tuple[str, ...]]:
    leader = leading_element(atoms, negative)
    return leader in negative, -atomic_numbers[leader], -sum(atomic_numbers[a] for a in atoms), tuple(sorted(atoms))


def _heights_of_heaviest(site: Site) -> list[float]:
    """Heights of a column's atoms of its heaviest element; at most four, as one is as good as another."""
    heaviest = max(site.atoms, key=lambda a: atomic_numbers[a])
    return [float(h) for a, h in zip(site.atoms, site.heights, strict=True) if a == heaviest][:4]


def _around(projection: Projection, origin: Site, zero: float) -> Projection:
    """Shift the origin and the heights, wrap the columns into the cell and sort them."""
    sites = []
    for site in projection.sites:
        fraction = site.fraction - origin.fraction
        cells = np.floor(fraction + SAME)
        heights = site.heights - zero - cells @ projection.rise
        if projection.period:  # into (−period / 2, period / 2]
            half = projection.period / 2
            heights = half + SAME - (half + SAME - heights) % projection.period
        sites.append(replace(site, fraction=fraction - cells, heights=heights))
    order = sorted(sites, key=lambda s: (s.rank, *np.round(s.fraction[::-1], 4)))
    return replace(projection, sites=tuple(order))


def _middle(projection: Projection) -> float:
    heights = np.concatenate([s.heights for s in projection.sites])
    return float(heights.max() + heights.min()) / 2


def _named(projection: Projection) -> tuple[Column, ...]:
    """Columns with names and roles, the atom next to the source first."""
    negative = anions(a for s in projection.sites for a in s.atoms)
    names = column_names([s.atoms for s in projection.sites], negative)
    columns = []
    for site, name in zip(projection.sites, names, strict=True):
        order = sorted(range(len(site.atoms)), key=lambda i: (-round(float(site.heights[i]), 3), site.atoms[i]))
        atoms = tuple(site.atoms[i] for i in order)
        heights = tuple(_clean(site.heights[i]) for i in order)
        role: Role = "anion" if leading_element(atoms, negative) in negative else "metal"
        columns.append(Column((_simple(site.fraction[0]), _simple(site.fraction[1])), atoms, name, role, heights))
    return tuple(columns)


def _wrapped_rise(projection: Projection) -> tuple[float, float]:
    """Rise of a1 and a2 between 0 and the repeat."""
    if not projection.period:
        return 0.0, 0.0
    a1, a2 = ((r + SAME) % projection.period - SAME for r in projection.rise)
    return _clean(a1), _clean(a2)


def _simple(fraction: float) -> float:
    """A fraction that is a third to seven digits is a third."""
    simple = float(Fraction(float(fraction)).limit_denominator(24))
    return simple if abs(simple - fraction) < 1e-7 else float(fraction)


def _clean(length: float) -> float:
    return 0.0 if abs(length) < 1e-7 else float(length)
