"""How bright a column with another atom in it or on it is, over the usual one: what tells foreign atoms and adatoms.

From Molière cross-sections of a usual instrument, as the one that took an image is not asked for: at 60 to 300 kV and
inner angles of 60 to 80 mrad W is 8.6 to 14 times as bright as S (here 9.6) and 2.5 to 3.6 times as bright as Se (2.7);
`lattice_evidence.OTHER_SPREAD` allows for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from napari_stem_gan.crystal.fractions import ANION_FOREIGN, METAL_FOREIGN
from napari_stem_gan.crystal.materials import Column, Material
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR

USUAL_keV, USUAL_MRAD = 80.0, (60.0, 200.0)


@lru_cache(maxsize=256)
def brightness(atoms: tuple[str, ...]) -> float:
    """Brightness of a column of these atoms, in Å²; two over each other are brighter than two alone."""
    single = sum(partial_cross_section_A2(atom, USUAL_keV, *USUAL_MRAD) for atom in atoms)
    return single * (PAIR_STACK_FACTOR if len(atoms) == 2 else 1.0)


def foreign_ratios(column: Column) -> Mapping[str, float]:
    """Brightness of a column over the usual one with one of its own atoms replaced, by foreign element.

    Empty where no foreign atoms are known for its sublattice.
    """
    table = {"anion": ANION_FOREIGN, "metal": METAL_FOREIGN}.get(column.role, {})
    rest = list(column.atoms)
    if column.sublattice in rest:
        rest.remove(column.sublattice)
    choices = table.get(column.sublattice, ())
    return {f: brightness((f, *rest)) / brightness(column.atoms) for f in choices}


def adatom_ratios(column: Column, material: Material) -> Mapping[str, float]:
    """Brightness of a column over the usual one with an atom of the crystal on top of it, by element."""
    elements = sorted({atom for one in material.columns for atom in one.atoms})
    return {e: 1 + brightness((e,)) / brightness(column.atoms) for e in elements}
