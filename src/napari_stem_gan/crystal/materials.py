"""Preset crystals, projected along the beam: in-plane cell and atomic columns.

In-plane constants: SCIENCE section 2.6 (two independent tables agree on them); SrTiO3 from Schmidbauer et al.,
Acta Cryst. B68 (2012) 8, doi:10.1107/S0108768111046738.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["metal", "anion"]
Family = Literal["tmd", "graphene", "oxide", "other"]
Turn = tuple[tuple[int, int], tuple[int, int]]


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
        Element symbols in the column, per repeat along the beam, the atom that the beam meets first in front.
    sublattice
        Name of the kind of column, that of the element that decides its role, e.g. ``W``, ``Se``, ``Ti``.
    role
        ``metal`` (cation) or ``anion``.
    heights_A
        Height of each atom over the middle of the repeat in Å, positive towards the source; empty: all 0.
    """

    fraction: tuple[float, float]
    atoms: tuple[str, ...]
    sublattice: str
    role: Role
    heights_A: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.heights_A:
            object.__setattr__(self, "heights_A", (0.0,) * len(self.atoms))
        if len(self.heights_A) != len(self.atoms):
            raise ValueError(f"heights_A must have one height per atom, got {self.heights_A} for {self.atoms}")


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
        Repeats along the beam (1 for a monolayer).
    period_A
        Length of a repeat along the beam in Å; 0 for a single layer.
    label
        Short name for users, e.g. ``CdTe [110]``; the key where empty.
    rise_A
        How much higher the atoms of the next cell along a1 and along a2 lie, in Å, modulo `period_A`: a zone axis of a
        centred lattice staggers its columns.
    """

    key: str
    family: Family
    cell_A: tuple[tuple[float, float], tuple[float, float]]
    columns: tuple[Column, ...]
    zone_axis: str = "[001]"
    layers: int = 1
    period_A: float = 0.0
    label: str = ""
    rise_A: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.key)
        if self.layers < 1:
            raise ValueError(f"layers must be 1 or more, got {self.layers}; give the repeats along the beam")

    @property
    def rotations(self) -> tuple[Turn, ...]:
        """Matrices M for which ``M @ vectors`` is an equivalent cell of the crystal, the identity first."""
        from napari_stem_gan.crystal.symmetry import rotations

        return rotations(self)

    @property
    def lattice_rotations(self) -> tuple[Turn, ...]:
        """The same for the lattice without its atoms: 6 for hexagonal, 4 for square, else 2."""
        from napari_stem_gan.crystal.symmetry import lattice_rotations

        return lattice_rotations(self)

    def with_layers(self, layers: int) -> Material:
        """Return the same crystal with `layers` repeats along the beam.

        Raises
        ------
        ValueError
            If `layers` is less than 1.
        """
        return replace(self, layers=layers)

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


def _tmd(metal: str, anion: str, a: float, thickness_A: float) -> Material:
    columns = (
        Column((0.0, 0.0), (metal,), metal, "metal"),
        Column((1 / 3, 1 / 3), (anion, anion), anion, "anion", (thickness_A / 2, -thickness_A / 2)),
    )
    return Material(f"{metal}{anion}2", "tmd", _hexagonal(a), columns)


def _perovskite(a_site: str, b_site: str, a: float) -> Material:
    columns = (
        Column((0.0, 0.0), (a_site,), a_site, "metal"),
        Column((0.5, 0.5), (b_site, "O"), b_site, "metal", (a / 2, 0.0)),
        Column((0.5, 0.0), ("O",), "O", "anion", (a / 2,)),
        Column((0.0, 0.5), ("O",), "O", "anion", (a / 2,)),
    )
    return Material(f"{a_site}{b_site}O3", "oxide", _square(a), columns, layers=25, period_A=a)


def _graphene() -> Material:
    columns = (Column((0.0, 0.0), ("C",), "C", "anion"), Column((1 / 3, 1 / 3), ("C",), "C", "anion"))
    return Material("graphene", "graphene", _hexagonal(2.46), columns)


MATERIALS: dict[str, Material] = {
    m.key: m
    for m in (
        _tmd("Mo", "S", 3.160, 3.13),
        _tmd("W", "S", 3.153, 3.14),
        _tmd("Mo", "Se", 3.289, 3.33),
        _tmd("W", "Se", 3.282, 3.36),
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
