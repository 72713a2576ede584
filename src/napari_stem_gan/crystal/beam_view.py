"""A crystal structure in the frame of the beam: its projected lattice, and its atoms across and along the beam.

Lattices are reduced by ASE (Minkowski), primitive cells come from spglib.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.geometry.minkowski_reduction import minkowski_reduce
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import StructureError
from napari_stem_gan.crystal.symmetry import TOLERANCE_A
from napari_stem_gan.crystal.zone_axis import ZoneAxis, zone_axis_text

VACUUM_A = 6.0  # the widest empty slab in a bulk crystal is the van der Waals gap, about 3.5 Å
LONGEST_PERIOD_A = 120.0
SQUASH = 1e-4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A structure seen along the beam.

    Parameters
    ----------
    cell
        Rows a1 and a2 of the projected lattice as (x, y) in Å, x to the right and y down, seen from the source.
    positions
        Atoms, shape ``(N, 2)`` as (x, y) in Å.
    heights
        Towards the source in Å, shape ``(N,)``.
    symbols
        Element of each atom, length N.
    period
        Repeat along the beam in Å, 0 for a layer.
    rise
        Height of the lattice vectors a1 and a2 in Å, shape ``(2,)``.
    """

    cell: Array
    positions: Array
    heights: Array
    symbols: tuple[str, ...]
    period: float
    rise: Array


def view_along(atoms: Atoms, zone_axis: ZoneAxis) -> View:
    """Turn a structure into the frame of the beam.

    Parameters
    ----------
    atoms
        Bulk, or a layer: not periodic, or with more than 6 Å of vacuum, along one vector of its cell.
    zone_axis
        Points to the source, in units of the vectors of the cell of `atoms`; for a layer its normal.

    Raises
    ------
    StructureError
        If the structure is not periodic across the beam, or repeats only after more than 12 nm along it.
    """
    periodic = periodic_axes(atoms)
    return _bulk(atoms, zone_axis) if all(periodic) else _layer(atoms, zone_axis, periodic)


def periodic_axes(atoms: Atoms) -> list[bool]:
    """Whether the structure repeats along each vector of its cell, rather than ends in vacuum."""
    complete = atoms.cell.complete()
    scaled = np.sort(complete.scaled_positions(atoms.positions) % 1.0, axis=0)
    gaps = np.diff(scaled, axis=0, append=scaled[:1] + 1).max(0)
    depth = 1 / np.linalg.norm(complete.reciprocal()[:], axis=1)
    filled = (gaps * depth <= VACUUM_A) & (atoms.cell.lengths() > 0)
    return [bool(p and f) for p, f in zip(atoms.pbc, filled, strict=True)]


def _bulk(atoms: Atoms, zone_axis: ZoneAxis) -> View:
    """View of a bulk crystal; squashed along the beam, its lattice's shortest vector is the repeat along the beam."""
    lattice, positions, symbols = _primitive(atoms)
    beam = np.array(zone_axis, float) @ atoms.cell[:]
    up = beam / np.linalg.norm(beam)
    squashed = lattice - (1 - SQUASH) * np.outer(lattice @ up, up)
    _, basis = minkowski_reduce(squashed)
    repeat, *rows = basis @ lattice
    period = float(np.linalg.norm(repeat))
    if period > LONGEST_PERIOD_A or np.linalg.norm(np.cross(repeat, up)) > 1e-3 * period:
        raise StructureError(
            f"the crystal must repeat within {LONGEST_PERIOD_A / 10:g} nm along the beam, which it does not along "
            f"{zone_axis_text(zone_axis)}; choose a zone axis with lower indices"
        )
    return _seen(np.array(rows), positions, symbols, up, period)


def _primitive(atoms: Atoms) -> tuple[Array, Array, tuple[str, ...]]:
    """Vectors and atoms of the primitive cell, in the orientation of `atoms`."""
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=TOLERANCE_A)
    if found is None:
        return atoms.cell[:], atoms.positions, tuple(atoms.symbols)
    _, first = np.unique(found.mapping_to_primitive, return_index=True)
    return found.primitive_lattice, atoms.positions[first], tuple(atoms.symbols[i] for i in first)


def _layer(atoms: Atoms, zone_axis: ZoneAxis, periodic: list[bool]) -> View:
    """View of a layer along its normal."""
    free = [axis for axis in range(3) if not periodic[axis]]
    if len(free) != 1:
        raise StructureError(
            f"the structure must be periodic in the plane, got one that repeats along {3 - len(free)} of its axes; "
            "give a crystal, or a layer with its cell"
        )
    axis = free[0]
    if [i for i in range(3) if zone_axis[i]] != [axis]:
        normal = zone_axis_text((int(axis == 0), int(axis == 1), int(axis == 2)))
        raise StructureError(
            f"zone axis of a layer must be its normal {normal}, got {zone_axis_text(zone_axis)}; "
            "tilt the specimen instead"
        )
    complete = atoms.cell.complete()[:]
    rows = np.delete(complete, axis, axis=0)
    across = np.cross(*rows)
    up = across * np.sign(across @ complete[axis]) * zone_axis[axis] / np.linalg.norm(across)
    return _seen(rows, _in_one_piece(atoms, axis), tuple(atoms.symbols), up, 0.0)


def _in_one_piece(atoms: Atoms, axis: int) -> Array:
    """Positions of a layer's atoms, also where the cell's boundary cuts the layer in two."""
    if not atoms.pbc[axis]:
        return np.asarray(atoms.positions)
    scaled = atoms.get_scaled_positions(wrap=True)
    along = np.sort(scaled[:, axis])
    below = along[int(np.diff(along, append=along[0] + 1).argmax())]  # the last atom under the vacuum
    scaled[scaled[:, axis] <= below, axis] += 1
    return np.asarray(scaled @ atoms.cell[:])


def _seen(rows: Array, positions: Array, symbols: tuple[str, ...], up: Array, period: float) -> View:
    """Turn vectors and atoms into the frame of the beam."""
    across = rows[0] - (rows[0] @ up) * up
    right = across / np.linalg.norm(across)
    frame = np.stack([right, -np.cross(up, right)], 1)
    return View(rows @ frame, positions @ frame, positions @ up, symbols, period, rows @ up)
