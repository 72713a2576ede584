"""Preset crystals, projected along the beam: in-plane cell and atomic columns.

In-plane constants: SCIENCE section 2.6 (two independent tables agree on them); SrTiO3 from Schmidbauer et al.,
Acta Cryst. B68 (2012) 8, doi:10.1107/S0108768111046738.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["metal", "anion"]
Family = Literal["tmd", "graphene", "oxide"]


class UnknownMaterial(ValueError):
    """A material that has no preset; the message lists those that have one."""


@dataclass(frozen=True)
class Column:
    """One projected atomic column of the cell.

    Parameters
    ----------
    fraction
        Position in the cell as fractions of (a1, a2).
    atoms
        Element symbols in the column, per unit cell along the beam.
    sublattice
        Name of the column, e.g. ``W`` or ``Se``.
    role
        ``metal`` (cation) or ``anion``.
    """

    fraction: tuple[float, float]
    atoms: tuple[str, ...]
    sublattice: str
    role: Role


@dataclass(frozen=True)
class Material:
    """A crystal seen along one zone axis.

    Parameters
    ----------
    key
        Name, e.g. ``WSe2``.
    family
        Which defects exist and which finder looks for them.
    cell_A
        Rows a1 and a2 as (y, x) in Å, with a1 along +x.
    columns
        Atomic columns of the cell.
    zone_axis
        Beam direction, for display.
    layers
        Unit cells along the beam (1 for a monolayer).
    """

    key: str
    family: Family
    cell_A: tuple[tuple[float, float], tuple[float, float]]
    columns: tuple[Column, ...]
    zone_axis: str = "[001]"
    layers: int = 1

    @property
    def cell(self) -> NDArray[np.float64]:
        """The cell as an array, rows a1 and a2 as (y, x) in Å."""
        return np.array(self.cell_A, float)

    @property
    def constant_A(self) -> float:
        """Length of a1 in Å."""
        return float(np.hypot(*self.cell_A[0]))

    @property
    def neighbour_distance_A(self) -> float:
        """Smallest projected distance of two columns in Å."""
        fractions = np.array([c.fraction for c in self.columns])
        shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)], float)
        vectors = (fractions[:, None, None] - fractions[None, :, None] + shifts) @ self.cell
        lengths = np.hypot(vectors[..., 0], vectors[..., 1])
        return float(lengths[lengths > 1e-6].min())


def _hexagonal(a: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (0.0, a), (a * np.sqrt(3) / 2, a / 2)


def _square(a: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (0.0, a), (a, 0.0)


def _tmd(metal: str, anion: str, a: float) -> Material:
    columns = (
        Column((0.0, 0.0), (metal,), metal, "metal"),
        Column((1 / 3, 1 / 3), (anion, anion), anion, "anion"),
    )
    return Material(f"{metal}{anion}2", "tmd", _hexagonal(a), columns)


def _perovskite(a_site: str, b_site: str, a: float) -> Material:
    columns = (
        Column((0.0, 0.0), (a_site,), a_site, "metal"),
        Column((0.5, 0.5), (b_site, "O"), b_site, "metal"),
        Column((0.5, 0.0), ("O",), "O", "anion"),
        Column((0.0, 0.5), ("O",), "O", "anion"),
    )
    return Material(f"{a_site}{b_site}O3", "oxide", _square(a), columns, layers=25)


def _graphene() -> Material:
    columns = (Column((0.0, 0.0), ("C",), "C", "anion"), Column((1 / 3, 1 / 3), ("C",), "C", "anion"))
    return Material("graphene", "graphene", _hexagonal(2.46), columns)


MATERIALS: dict[str, Material] = {
    m.key: m
    for m in (
        _tmd("Mo", "S", 3.160),
        _tmd("W", "S", 3.153),
        _tmd("Mo", "Se", 3.289),
        _tmd("W", "Se", 3.282),
        _graphene(),
        _perovskite("Sr", "Ti", 3.905),
        _perovskite("Ba", "Ti", 3.994),
    )
}


def get_material(name: str) -> Material:
    """Return the preset called `name`; subscripts, spaces and case do not matter.

    Raises
    ------
    UnknownMaterial
        If there is no such preset.
    """
    plain = _plain(name)
    for key, material in MATERIALS.items():
        if _plain(key) == plain:
            return material
    raise UnknownMaterial(f"material must be one of {', '.join(MATERIALS)}, got {name!r}; choose one of them")


def find_material(texts: Iterable[str]) -> Material | None:
    """Return the first preset whose name occurs in `texts` (file names, metadata), or None."""
    for text in texts:
        plain = _plain(text)
        for key in sorted(MATERIALS, key=len, reverse=True):
            if _plain(key) in plain:
                return MATERIALS[key]
    return None


def _plain(name: str) -> str:
    """Lower case, subscripts as digits, only letters and digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", str(name)).lower() if c.isalnum())
