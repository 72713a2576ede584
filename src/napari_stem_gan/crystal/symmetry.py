"""Rotations that carry a projected crystal, or its bare lattice, into itself (spglib)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import spglib
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material, Turn

TOLERANCE_A = 0.02
LONG_A = 1000.0  # a third axis that no operation can mix with the two in the plane


@lru_cache(maxsize=256)
def rotations(material: Material) -> tuple[Turn, ...]:
    """Matrices M for which ``M @ vectors`` is an equivalent cell of the crystal.

    Parameters
    ----------
    material
        The crystal; what counts is where its columns lie and which atoms they hold, not the heights.

    Returns
    -------
    tuple
        2×2 integer matrices of determinant +1, by angle from 0 to 360°, the identity first.
    """
    return plane_rotations(material.cell, *_columns(material))


@lru_cache(maxsize=256)
def has_mirror(material: Material) -> bool:
    """Whether the projection has a mirror or glide line, so that the crystal turned over looks the same."""
    return any(m[0] * m[3] - m[1] * m[2] == -1 for m in _operations(material.cell, *_columns(material)))


def _columns(material: Material) -> tuple[NDArray[np.float64], list[int]]:
    """Where the columns lie, and a number for each kind of content."""
    kinds: dict[tuple[str, ...], int] = {}
    numbers = [kinds.setdefault(tuple(sorted(c.atoms)), len(kinds) + 1) for c in material.columns]
    return np.array([c.fraction for c in material.columns]), numbers


@lru_cache(maxsize=256)
def lattice_rotations(material: Material) -> tuple[Turn, ...]:
    """Like `rotations`, for the lattice without its atoms: 6 matrices if hexagonal, 4 if square, else 2."""
    return plane_rotations(material.cell, np.zeros((1, 2)), [1])


def flat_cell(
    cell_A: NDArray[np.float64], fractions: NDArray[np.float64], numbers: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """A projected structure as spglib takes it: columns as atoms in one plane of a very tall cell.

    Parameters
    ----------
    cell_A
        Rows a1 and a2 as (y, x) in Å, shape ``(2, 2)``.
    fractions
        Positions of the columns, shape ``(N, 2)``.
    numbers
        Kind of each column, length N.
    """
    lattice = np.diag([0.0, 0.0, LONG_A])
    lattice[:2, :2] = cell_A[:, ::-1]  # (x, y): spglib wants a right-handed cell
    return lattice, np.column_stack([fractions, np.zeros(len(fractions))]), numbers


def plane_rotations(
    cell_A: NDArray[np.float64], fractions: NDArray[np.float64], numbers: list[int]
) -> tuple[Turn, ...]:
    """Rotations of a projected structure, given as for `flat_cell`, by angle from 0 to 360°."""
    proper = [m for m in _operations(cell_A, fractions, numbers) if m[0] * m[3] - m[1] * m[2] == 1]
    ordered = sorted(proper, key=lambda m: _angle(cell_A, m))
    return tuple(((m[0], m[1]), (m[2], m[3])) for m in ordered)


def _operations(
    cell_A: NDArray[np.float64], fractions: NDArray[np.float64], numbers: list[int]
) -> set[tuple[int, ...]]:
    """Rotations and mirrors in the plane, each as the four elements of a matrix."""
    found = spglib.get_symmetry(flat_cell(cell_A, fractions, numbers), symprec=TOLERANCE_A)
    # spglib turns fractions (columns); rows of vectors turn with the transpose
    return {tuple(r[:2, :2].T.ravel().tolist()) for r in found["rotations"] if r[2, 2] == 1}


def _angle(cell_A: NDArray[np.float64], turn: tuple[int, ...]) -> float:
    """Angle in degrees, 0 to 360, by which `turn` turns a1."""
    y, x = np.array(turn[:2]) @ cell_A
    return round(float(np.rad2deg(np.arctan2(y, x) - np.arctan2(*cell_A[0]))) % 360, 3)
