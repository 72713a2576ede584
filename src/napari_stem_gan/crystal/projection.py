"""A crystal structure seen along a zone axis: the smallest cell of the projection and its atomic columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import spglib
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_stem_gan.crystal.beam_view import View, view_along
from napari_stem_gan.crystal.materials import Family, Material, StructureError
from napari_stem_gan.crystal.roles import CHALCOGENS, anions
from napari_stem_gan.crystal.setting import Projection, Site, standard_setting
from napari_stem_gan.crystal.symmetry import LONG_A, TOLERANCE_A, flat_cell
from napari_stem_gan.crystal.zone_axis import ZoneAxis, zone_axis_text

COLUMN_A = 0.1  # atoms nearer than this in projection share a column
WIDEST_COLUMN_A = 0.25
THICKNESS_A = 100.0
MOST_ATOMS = 2000


def material_from_atoms(
    atoms: Atoms, zone_axis: ZoneAxis = (0, 0, 1), *, key: str, label: str = "", layers: int | None = None
) -> Material:
    """Project a crystal along a zone axis.

    Parameters
    ----------
    atoms
        Bulk (periodic along three axes) or a layer (along two, or with more than 6 Å of vacuum along the third).
    zone_axis
        Points from the specimen to the source, in units of the vectors of the cell of `atoms`; for a layer its normal.
    key, label
        Names of the material; without `label` its formula and zone axis.
    layers
        Repeats along the beam; None: 1 for a layer, about 10 nm for bulk.

    Returns
    -------
    Material
        In the standard setting. Where the projection repeats in a smaller cell than the crystal, as under a glide
        plane across the beam, the heights are those of one of the cells.

    Raises
    ------
    StructureError
        If the structure is not periodic across the beam, too large, or its columns overlap in this view.
    """
    if not 0 < len(atoms) <= MOST_ATOMS:
        raise StructureError(f"the structure must have 1 to {MOST_ATOMS} atoms, got {len(atoms)}; give the unit cell")
    view = view_along(atoms, zone_axis)
    cell, columns, rise = standard_setting(_smallest(_columns(view, zone_axis)))
    formula = _formula(atoms)
    material = Material(
        key=key,
        family="other",
        cell_A=((cell[0, 0], cell[0, 1]), (cell[1, 0], cell[1, 1])),
        columns=columns,
        zone_axis=zone_axis_text(zone_axis),
        layers=layers or (max(1, round(THICKNESS_A / view.period)) if view.period else 1),
        period_A=view.period,
        label=label or (f"{formula} {zone_axis_text(zone_axis)}" if view.period else formula),
        rise_A=rise,
    )
    return replace(material, family=_family(material))


def _formula(atoms: Atoms) -> str:
    """Reduced formula with the anions last, ``SiC`` and ``SrTiO3``."""
    counts = atoms.symbols.formula.convert("metal").reduce()[0].count()
    negative = anions(counts)
    ordered = sorted(counts, key=lambda element: element in negative)
    return "".join(f"{element}{counts[element] if counts[element] > 1 else ''}" for element in ordered)


def _columns(view: View, zone_axis: ZoneAxis) -> Projection:
    """Group the atoms that lie above each other."""
    flat = Atoms(view.symbols, positions=np.pad(view.positions, ((0, 0), (0, 1))), pbc=(True, True, False))
    flat.cell = np.pad(view.cell, ((0, 1), (0, 1))) + np.diag([0, 0, 1])  # low: bins of the neighbour list fill it
    i, j = neighbor_list("ij", flat, COLUMN_A)
    count, which = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(len(flat), len(flat))))
    sites = tuple(_site(view, np.flatnonzero(which == column), zone_axis) for column in range(count))
    return Projection(view.cell, view.rise, view.period, sites)


def _site(view: View, members: NDArray[np.intp], zone_axis: ZoneAxis) -> Site:
    """Mean position and atoms of one column."""
    fractions = view.positions[members] @ np.linalg.inv(view.cell)
    cells = np.rint(fractions - fractions[0])
    fractions -= cells
    spread = (fractions - fractions.mean(0)) @ view.cell
    if np.hypot(*spread.T).max() > WIDEST_COLUMN_A:
        raise StructureError(
            f"atomic columns must stand apart, got atoms that run into each other along {zone_axis_text(zone_axis)}; "
            "choose a zone axis with lower indices"
        )
    return Site(fractions.mean(0), tuple(view.symbols[i] for i in members), view.heights[members] - cells @ view.rise)


def _smallest(projection: Projection) -> Projection:
    """Keep one column of each set that a translation of the projection carries into each other."""
    contents = [tuple(sorted(site.atoms)) for site in projection.sites]
    numbers = [1 + sorted(set(contents)).index(c) for c in contents]
    fractions = np.array([site.fraction for site in projection.sites])
    found = spglib.get_symmetry_dataset(flat_cell(projection.cell[:, ::-1], fractions, numbers), symprec=TOLERANCE_A)
    if found is None or len(set(found.mapping_to_primitive)) == len(projection.sites):
        return projection
    in_plane = np.abs(found.primitive_lattice[:, 2]) < LONG_A / 2
    lattice = found.primitive_lattice[in_plane][:, :2]
    first = np.unique(found.mapping_to_primitive, return_index=True)[1]
    kept = replace(projection, sites=tuple(projection.sites[i] for i in first))
    return kept.recast(lattice @ np.linalg.inv(projection.cell))


def _family(material: Material) -> Family:
    """Kind of crystal: what the finder knows, and which columns are too faint to see."""
    contents = sorted(set(column.atoms) for column in material.columns)
    turns = len(material.rotations)
    if {a for content in contents for a in content} == {"C"} and (material.period_A, turns) == (0.0, 6):
        return "graphene"
    if not material.period_A and turns == 3 and [len(c.atoms) for c in material.columns] == [1, 2]:
        metal, anion = material.columns
        if metal.role == "metal" and len(set(anion.atoms)) == 1 and set(anion.atoms) <= CHALCOGENS:
            return "tmd"
    elements = [a for column in material.columns for a in column.atoms]
    return "oxide" if anions(elements) == {"O"} else "other"
