"""Typed defects on chosen sublattices, with exact positions.

Names: ``V_Se`` one atom of the column missing, ``V_2Se`` both missing, ``V_W`` metal missing,
``A_B`` element A on a site of B. Vacancies may be light adsorbates on a vacancy (O on Se), which annular dark
field cannot tell apart; read ``V_X`` as "V_X or O_X" (Barja et al. 2019, doi:10.1038/s41467-019-11342-2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.structure import Sites

ANION_FOREIGN = {
    "S": ("Se", "Te", "Mo", "W"), "Se": ("S", "Te", "Mo", "W"), "O": ("F",), "C": ("N", "B", "Si"),
}  # fmt: skip
METAL_FOREIGN = {
    "W": ("Mo", "Cr", "V", "Se", "S"), "Mo": ("W", "Cr", "V", "Se", "S"),
    "Sr": ("Ba", "Ca"), "Ti": ("Nb", "Mn"), "Ba": ("Sr",),
}  # fmt: skip
FINDER_CLASSES = ("V_X", "V_2X", "V_M", "S_X", "S_M")


@dataclass(frozen=True)
class DefectiveStructure:
    """Atoms of a crystal with defects, and what was done to it.

    Parameters
    ----------
    atoms_px
        Atom positions, shape ``(M, 2)`` as (y, x); several atoms of a column share one.
    elements
        Element symbol of every atom, shape ``(M,)``.
    column_size
        Number of atoms in the atom's column, shape ``(M,)`` (for the stack factor).
    columns_px
        Occupied columns, shape ``(K, 2)``.
    positions_px
        Defect positions, shape ``(N, 2)``.
    defects, kinds, sublattices
        Of each defect: name (``V_Se``), class of the finder (``V_X``) and sublattice (``Se``).
    """

    atoms_px: NDArray[np.float64]
    elements: NDArray[np.str_]
    column_size: NDArray[np.intp]
    columns_px: NDArray[np.float64]
    positions_px: NDArray[np.float64]
    defects: tuple[str, ...]
    kinds: tuple[str, ...]
    sublattices: tuple[str, ...]


def defect_name(kind: str, element: str, foreign: str = "") -> str:
    """Name of a defect: class of the finder (``V_X`` …) on a sublattice, e.g. ``V_2Se`` or ``Mo_W``."""
    if kind in ("V_X", "V_M"):
        return f"V_{element}"
    if kind == "V_2X":
        return f"V_2{element}"
    return f"{foreign or 'sub'}_{element}"


def plant_defects(
    sites: Sites, config: DefectConfig, pixel_size_A: float, rng: np.random.Generator
) -> DefectiveStructure:
    """Draw defects on `sites` and return the atoms that are left.

    Parameters
    ----------
    sites
        The perfect crystal.
    config
        Concentrations and the random displacement of columns.
    pixel_size_A
        Pixel size in Å.
    rng
        Source of every draw.
    """
    jitter = rng.normal(0, config.jitter_A / pixel_size_A, sites.positions_px.shape)
    positions = sites.positions_px + jitter
    kinds = _draw_kinds(sites, config, rng)
    atoms: list[tuple[int, str]] = []
    found: list[tuple[int, str, str, str]] = []
    columns = sites.material.columns
    for site, (index, kind) in enumerate(zip(sites.column, kinds, strict=True)):
        column = columns[index]
        left, name = _apply(column.atoms, column.sublattice, str(kind), rng)
        atoms += [(site, element) for element in left]
        if kind:
            found.append((site, name, str(kind), column.sublattice))
    where = np.array([a[0] for a in atoms], int)
    size = np.bincount(where, minlength=len(sites))
    defect_sites = np.array([f[0] for f in found], int)
    return DefectiveStructure(
        atoms_px=positions[where],
        elements=np.array([a[1] for a in atoms], dtype="<U2"),
        column_size=size[where],
        columns_px=positions[size > 0],
        positions_px=positions[defect_sites].reshape(-1, 2),
        defects=tuple(f[1] for f in found),
        kinds=tuple(f[2] for f in found),
        sublattices=tuple(f[3] for f in found),
    )


def _draw_kinds(sites: Sites, config: DefectConfig, rng: np.random.Generator) -> NDArray[np.str_]:
    """Class of the defect on each site, '' for none."""
    roles = np.array([c.role for c in sites.material.columns])[sites.column]
    pairs = np.array([len(c.atoms) > 1 for c in sites.material.columns])[sites.column]
    draw = rng.random(len(sites))
    kinds = np.full(len(sites), "", dtype="<U4")
    anion, metal = roles == "anion", roles == "metal"
    double = np.where(pairs, config.double_vacancy, 0.0)
    single = np.where(anion, config.single_vacancy, config.metal_vacancy)
    foreign = np.where(anion, config.anion_substitution, config.metal_substitution)
    double = np.where(anion, double, 0.0)
    kinds[anion & (draw < single)] = "V_X"
    kinds[metal & (draw < single)] = "V_M"
    kinds[anion & (draw >= single) & (draw < single + double)] = "V_2X"
    swap = (draw >= single + double) & (draw < single + double + foreign)
    kinds[anion & swap] = "S_X"
    kinds[metal & swap] = "S_M"
    return kinds


def _apply(atoms: tuple[str, ...], element: str, kind: str, rng: np.random.Generator) -> tuple[tuple[str, ...], str]:
    """Atoms left in the column and the defect's name."""
    if kind == "":
        return atoms, ""
    if kind == "V_X":
        return atoms[1:], defect_name(kind, element)
    if kind in ("V_2X", "V_M"):
        return (), defect_name(kind, element)
    table = ANION_FOREIGN if kind == "S_X" else METAL_FOREIGN
    choices = table.get(element, ("N",))
    foreign = str(choices[rng.integers(len(choices))])
    return (foreign, *atoms[1:]), defect_name(kind, element, foreign)
