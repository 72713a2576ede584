"""Where planted defects go: which atoms of a crystal are removed or exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.atoms import Atoms
from napari_stem_gan.crystal.materials import Column, Material
from napari_stem_gan.crystal.planted import PlantedDefect
from napari_stem_gan.crystal.roles import anions

NEIGHBOUR = 1.2


@dataclass(frozen=True)
class Change:
    """One defect on the atoms of a crystal.

    Parameters
    ----------
    atoms
        Indices of the atoms that are changed.
    foreign
        What each becomes; '' where it is removed.
    name, kind, sublattice
        Name (``V_Se``), class (``V_X``) and sublattice (``Se``) of the defect.
    """

    atoms: tuple[int, ...]
    foreign: tuple[str, ...]
    name: str
    kind: str
    sublattice: str


def main_element(column: Column) -> str:
    """Element that gives a column its name (numbered where there are several, as ``Te1``) and role."""
    name = column.sublattice.rstrip("0123456789")
    return name if name in column.atoms else column.atoms[0]


def role_of(element: str, material: Material) -> str:
    """Role of an element: that of a column named after it; else what it is in the compound."""
    roles = [c.role for c in material.columns if main_element(c) == element]
    every = anions(atom for c in material.columns for atom in c.atoms)
    return roles[0] if roles else "anion" if element in every else "metal"


def class_of(planted: PlantedDefect, material: Material) -> str:
    """Class of a defect: those of the finder, ``V_2M`` for two missing metal atoms."""
    anion = role_of(planted.defect.site, material) == "anion"
    if planted.defect.change == "substitution":
        return "S_X" if anion else "S_M"
    return ("V_2" if planted.defect.count > 1 else "V_") + ("X" if anion else "M")


def draw_changes(
    atoms: Atoms, positions_A: NDArray[np.float64], planted: Sequence[PlantedDefect], rng: np.random.Generator
) -> list[Change]:
    """Choose the atoms of every planted vacancy and substitution.

    Parameters
    ----------
    atoms
        The perfect crystal.
    positions_A
        Of the atoms, shape ``(M, 3)``.
    planted
        What is wanted; adatoms are left out.
    rng
        Source of every draw.

    Raises
    ------
    ValueError
        If the crystal has no room for what is asked for: no place takes part in two defects.
    """
    taken = np.zeros(int(atoms.place.max()) + 1 if len(atoms) else 0, bool)
    changes: list[Change] = []
    for one in planted:
        if one.defect.change == "adatom":
            continue
        groups, fitting = _groups(atoms, positions_A, one)
        wanted = round_at_random(one.fraction * fitting + one.density_per_nm2 * atoms.sites.area_A2 / 100, rng)
        chosen = _choose(atoms.place[groups], wanted, taken, rng)
        if len(chosen) < wanted:
            raise ValueError(
                f"planted defects must find room on the {one.defect.site} sites of {atoms.sites.material.label}, got "
                f"{one.text!r}: {wanted} wanted, {len(chosen)} fit; lower the concentrations"
            )
        taken[atoms.place[groups[chosen]].ravel()] = True
        foreign = (one.defect.foreign, *[""] * (one.defect.count - 1))
        kind = class_of(one, atoms.sites.material)
        changes += [Change(tuple(map(int, g)), foreign, one.defect.name, kind, one.defect.site) for g in groups[chosen]]
    return changes


def round_at_random(expected: float, rng: np.random.Generator) -> int:
    """Whole number next to `expected` whose mean over seeds is `expected`."""
    return int(np.floor(expected + rng.random()))


def _groups(
    atoms: Atoms, positions_A: NDArray[np.float64], planted: PlantedDefect
) -> tuple[NDArray[np.intp], float]:
    """Where a defect fits, as atoms ``(n, count)``, and how many fit at once.

    Two atoms are the first two of one place, as the two Se of WSe₂; where no place holds two, nearest neighbours.
    """
    own = np.flatnonzero(atoms.element == planted.defect.site)
    if planted.defect.count == 1:
        return own[:, None], float(len(own))
    _, first, held = np.unique(atoms.place[own], return_index=True, return_counts=True)
    if (held > 1).any():
        pairs = np.stack([own[first[held > 1]], own[first[held > 1] + 1]], 1)
        return pairs, float(len(pairs))
    if len(own) < 2:
        return np.zeros((0, 2), int), 0.0
    tree = cKDTree(positions_A[own])
    shortest = float(np.median(tree.query(positions_A[own], k=2)[0][:, 1]))
    return own[tree.query_pairs(NEIGHBOUR * shortest, output_type="ndarray")], len(own) / 2


def _choose(
    places: NDArray[np.intp], wanted: int, taken: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Rows of `places` ``(n, count)``, at random, until `wanted` are found that share no place with any other."""
    used = taken.copy()
    chosen: list[int] = []
    for row in rng.permutation(len(places)):
        if len(chosen) == wanted:
            break
        if not used[places[row]].any():
            used[places[row]] = True
            chosen.append(int(row))
    return np.array(chosen, int)
