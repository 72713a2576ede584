"""Typed defects on chosen sublattices, with exact positions.

Names: ``V_Se`` one atom of the column missing, ``V_2Se`` both missing, ``V_W`` metal missing, ``A_B`` element A on a
site of B, ``ad_A`` an atom A on top (see `defect_names`). Vacancies may be light adsorbates on a vacancy (O on Se),
which annular dark field cannot tell apart; read ``V_X`` as "V_X or O_X" (Barja et al. 2019,
doi:10.1038/s41467-019-11342-2).

In a bulk crystal a column holds ``layers`` repeats, and a defect changes one atom of one repeat: ``V_Ti`` in SrTiO₃ is
one Ti missing from a column of many, and the column keeps its O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.adatoms import ADATOM_KIND, Adatoms, draw_adatoms, own_adatoms
from napari_stem_gan.crystal.atoms import Atoms, build_atoms, pull
from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.fractions import ANION_FOREIGN, METAL_FOREIGN, defect_name, draw_fractions
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.planted import check_planted, parse_planted
from napari_stem_gan.crystal.planting import Change, draw_changes
from napari_stem_gan.crystal.structure import Sites

__all__ = [
    "ANION_FOREIGN", "FINDER_CLASSES", "METAL_FOREIGN", "DefectiveStructure", "check_defects", "defect_name",
    "plant_defects",
]  # fmt: skip
FINDER_CLASSES = ("V_X", "V_2X", "V_M", "S_X", "S_M", ADATOM_KIND)


@dataclass(frozen=True)
class DefectiveStructure:
    """Atoms of a crystal with defects, and what was done to it.

    Parameters
    ----------
    atoms_px
        Atom positions, shape ``(M, 2)`` as (y, x); the atoms of an untilted column share one. Adatoms come last.
    elements
        Element symbol of every atom, shape ``(M,)``.
    column_size
        Number of atoms in the atom's column, shape ``(M,)`` (for the stack factor).
    columns_px
        Occupied columns (the middle of their atoms), shape ``(K, 2)``.
    positions_px
        Defect positions, shape ``(N, 2)``: of the missing or foreign atom, or the middle of two.
    defects, kinds, sublattices
        Of each defect: name (``V_Se``), class (``V_X`` … ``A``, an adatom; the finder has none for ``V_2M``) and
        sublattice (``Se``; of an adatom what it lies on: ``top``, ``bridge`` or ``hollow``).
    heights_A
        Height of every atom, positive towards the source, shape ``(M,)``.
    depth
        Repeats and layers between the atom and the source, shape ``(M,)``.
    site
        Index into `sites` of every atom, −1 for adatoms, shape ``(M,)``.
    atom_defect
        Index of the defect that the atom belongs to (foreign atoms and adatoms), −1 for none, shape ``(M,)``.
    sites
        The sites that the atoms were planted on.
    """

    atoms_px: NDArray[np.float64]
    elements: NDArray[np.str_]
    column_size: NDArray[np.intp]
    columns_px: NDArray[np.float64]
    positions_px: NDArray[np.float64]
    defects: tuple[str, ...]
    kinds: tuple[str, ...]
    sublattices: tuple[str, ...]
    heights_A: NDArray[np.float64]
    depth: NDArray[np.intp]
    site: NDArray[np.intp]
    atom_defect: NDArray[np.intp]
    sites: Sites


def check_defects(config: DefectConfig, material: Material) -> None:
    """Check that `material` can hold the planted defects of `config`.

    Raises
    ------
    ValueError
        If an element is not in the crystal, or more is asked for than fits on a sublattice.
    """
    check_planted(parse_planted(config.planted), material)


def plant_defects(
    sites: Sites, config: DefectConfig, pixel_size_A: float, rng: np.random.Generator
) -> DefectiveStructure:
    """Draw defects on `sites` and return the atoms that are left.

    Parameters
    ----------
    sites
        The perfect crystal.
    config
        Concentrations, relaxation and the random displacement of columns.
    pixel_size_A
        Pixel size in Å.
    rng
        Source of every draw.

    Raises
    ------
    ValueError
        If the crystal cannot hold what is planted (see `check_defects`).
    """
    jitter = rng.normal(0, config.jitter_A / pixel_size_A, sites.positions_px.shape)
    moved_px = sites.positions_px + jitter
    atoms = build_atoms(sites)
    positions = atoms.positions_A(moved_px, pixel_size_A)
    planted = parse_planted(config.planted)
    check_planted(planted, sites.material)
    changes = draw_changes(atoms, positions, planted, rng) if planted else draw_fractions(atoms, config, rng)
    alive, elements = _change(atoms, changes)
    shift = np.zeros_like(positions)
    shift[alive] = pull(positions[alive], positions[~alive], config.relaxation_A)
    on_top = planted or own_adatoms(sites.material, config.adatom)
    above = draw_adatoms(sites, (positions + shift)[alive], elements[alive], on_top, pixel_size_A, rng)
    return _structure(atoms, changes, alive, elements, moved_px, shift, above, pixel_size_A)


def _change(atoms: Atoms, changes: Sequence[Change]) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Which atoms are left, and what they are."""
    alive, elements = np.ones(len(atoms), bool), atoms.element.copy()
    for change in changes:
        alive[list(change.atoms)] = [bool(f) for f in change.foreign]
        elements[list(change.atoms)] = change.foreign
    return alive, elements


def _structure(
    atoms: Atoms,
    changes: Sequence[Change],
    alive: NDArray[np.bool_],
    elements: NDArray[np.str_],
    sites_px: NDArray[np.float64],
    shift_A: NDArray[np.float64],
    above: Adatoms,
    pixel_size_A: float,
) -> DefectiveStructure:
    """Put the pieces together: atoms that are left, adatoms, columns and the list of defects."""
    sites = atoms.sites
    beside = (atoms.leaning_A() + shift_A[:, :2]) / pixel_size_A  # of each atom to its site, (M, 2)
    atoms_px = sites_px[atoms.site] + beside
    stack = np.arange(len(sites)) if sites.stack is None else sites.stack
    column = stack[atoms.site]
    size = np.bincount(column[alive], minlength=int(stack.max(initial=-1)) + 1)
    base = np.zeros(len(sites)) if sites.heights_A is None else sites.heights_A
    heights = base[atoms.site] + atoms.heights_A + shift_A[:, 2]
    added = len(above.elements)
    changed = np.array([i for c in changes for i in c.atoms], int)
    whose = np.repeat(np.arange(len(changes)), [len(c.atoms) for c in changes])
    belongs = np.full(len(atoms), -1)
    belongs[changed] = whose
    middles = _means(atoms_px[changed], whose, len(changes))
    flat = above.positions_A[:, :2] / pixel_size_A
    return DefectiveStructure(
        atoms_px=np.concatenate([atoms_px[alive], flat]),
        elements=np.concatenate([elements[alive], np.array(above.elements, dtype="<U2")]),
        column_size=np.concatenate([size[column[alive]], np.ones(added, int)]),
        columns_px=_columns(sites_px, stack, size, atoms.site[alive], beside[alive]),
        positions_px=np.concatenate([middles, flat]),
        defects=(*(c.name for c in changes), *(f"ad_{e}" for e in above.elements)),
        kinds=(*(c.kind for c in changes), *(ADATOM_KIND,) * added),
        sublattices=(*(c.sublattice for c in changes), *above.places),
        heights_A=np.concatenate([heights[alive], above.positions_A[:, 2]]),
        depth=np.concatenate([atoms.depth[alive], np.zeros(added, int)]),
        site=np.concatenate([atoms.site[alive], np.full(added, -1)]),
        atom_defect=np.concatenate([belongs[alive], len(changes) + np.arange(added)]),
        sites=sites,
    )


def _columns(
    sites_px: NDArray[np.float64],
    stack: NDArray[np.intp],
    size: NDArray[np.intp],
    site: NDArray[np.intp],
    beside_px: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Middle of the atoms of each occupied column; exactly the site where nothing leans and nothing is stacked."""
    anchor = np.zeros((len(size), 2))
    anchor[stack[::-1]] = sites_px[::-1]
    away = _means(sites_px[site] - anchor[stack[site]] + beside_px, stack[site], len(size))
    return anchor[size > 0] + away[size > 0]


def _means(values: NDArray[np.float64], group: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Mean of the rows of `values` ``(M, 2)`` in each of `count` groups."""
    total = np.stack([np.bincount(group, values[:, axis], count) for axis in (0, 1)], 1)
    return np.asarray(total / np.maximum(np.bincount(group, minlength=count), 1)[:, None])
