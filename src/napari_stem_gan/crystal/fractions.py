"""Defects drawn by the fractions of `DefectConfig`: the recipe that networks are trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.atoms import Atoms
from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defect_names import Defect
from napari_stem_gan.crystal.materials import Column
from napari_stem_gan.crystal.planting import Change, main_element
from napari_stem_gan.crystal.structure import Sites

ANION_FOREIGN = {
    "S": ("Se", "Te", "Mo", "W"), "Se": ("S", "Te", "Mo", "W"), "Te": ("S", "Se", "Mo", "W"), "O": ("F",),
    "C": ("N", "B", "Si"), "N": ("C", "O"), "As": ("P", "Sb"), "P": ("As",),
}  # fmt: skip
METAL_FOREIGN = {
    "W": ("Mo", "Cr", "V", "Se", "S"), "Mo": ("W", "Cr", "V", "Se", "S"),
    "Sr": ("Ba", "Ca"), "Ti": ("Nb", "Mn"), "Ba": ("Sr",), "Si": ("Ge",), "Ge": ("Si",), "Ga": ("In", "Al"),
    "Au": ("Ag", "Cu"), "Ce": ("Zr", "Gd"), "Cd": ("Zn", "Hg"), "B": ("C",),
}  # fmt: skip


def defect_name(kind: str, element: str, foreign: str = "") -> str:
    """Name of a defect: class of the finder (``V_X`` …) on a sublattice, e.g. ``V_2Se`` or ``Mo_W``."""
    if kind in ("V_X", "V_M"):
        return f"V_{element}"
    if kind == "V_2X":
        return f"V_2{element}"
    return Defect("substitution", element, 1, foreign or "sub").name


def draw_fractions(atoms: Atoms, config: DefectConfig, rng: np.random.Generator) -> list[Change]:
    """Draw a class for each column from the fractions of `config`, then the atoms that are changed.

    The order of the draws is that behind the shipped finder: a number per column, then an element per substitution,
    then, in bulk crystals, the repeat that is changed.
    """
    material, repeats = atoms.sites.material, atoms.sites.thickness_repeats
    kinds = _draw_kinds(atoms.sites, config, rng)
    found = np.flatnonzero(kinds != "")
    foreign = [_draw_foreign(material.columns[atoms.sites.column[i]], str(kinds[i]), rng) for i in found]
    repeat = rng.integers(repeats, size=len(found)) if repeats > 1 else np.zeros(len(found), int)
    first = np.searchsorted(atoms.site, found)
    changes = []
    for site, start, r, element in zip(found, first, repeat, foreign, strict=True):
        column, kind = material.columns[atoms.sites.column[site]], str(kinds[site])
        own = main_element(column)
        slots = [k for k, atom in enumerate(column.atoms) if atom == own][: 2 if kind == "V_2X" else 1]
        hit = tuple(int(start + r * len(column.atoms) + k) for k in slots)
        name = defect_name(kind, own, element)
        changes.append(Change(hit, (element,) if element else ("",) * len(hit), name, kind, own))
    return changes


def _draw_kinds(sites: Sites, config: DefectConfig, rng: np.random.Generator) -> NDArray[np.str_]:
    """Class of the defect on each site, '' for none."""
    columns = sites.material.columns
    roles = np.array([c.role for c in columns])[sites.column]
    pairs = np.array([c.atoms.count(main_element(c)) > 1 for c in columns])[sites.column]
    draw = rng.random(len(sites))
    kinds = np.full(len(sites), "", dtype="<U4")
    anion, metal = roles == "anion", roles == "metal"
    single = np.where(anion, config.single_vacancy, config.metal_vacancy)
    foreign = np.where(anion, config.anion_substitution, config.metal_substitution)
    double = np.where(pairs & anion, config.double_vacancy, 0.0)
    kinds[anion & (draw < single)] = "V_X"
    kinds[metal & (draw < single)] = "V_M"
    kinds[anion & (draw >= single) & (draw < single + double)] = "V_2X"
    swap = (draw >= single + double) & (draw < single + double + foreign)
    kinds[anion & swap] = "S_X"
    kinds[metal & swap] = "S_M"
    return kinds


def _draw_foreign(column: Column, kind: str, rng: np.random.Generator) -> str:
    """Element of a substitution, '' for a vacancy."""
    if kind not in ("S_X", "S_M"):
        return ""
    table = ANION_FOREIGN if kind == "S_X" else METAL_FOREIGN
    choices = table.get(main_element(column), ("N",))
    return str(choices[rng.integers(len(choices))])
