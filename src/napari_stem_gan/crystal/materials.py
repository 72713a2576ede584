"""Crystals projected along the beam, by the name of a preset or from a structure file.

Importing this module builds none of them: ASE's builders, its file formats and spglib are imported when a crystal is
asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.mentions import mentioned
from napari_stem_gan.crystal.presets import PRESETS, preset_keys
from napari_stem_gan.crystal.roles import Role

Family = Literal["tmd", "graphene", "oxide", "other"]
Turn = tuple[tuple[int, int], tuple[int, int]]


class UnknownMaterial(ValueError):
    """A material that has no preset; the message lists those that have one."""


class StructureError(ValueError):
    """A structure file or a zone axis that cannot be used; the message says why in one sentence."""


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


class _Presets(Mapping[str, Material]):
    """The named presets, each built when it is asked for."""

    def __getitem__(self, key: str) -> Material:
        name, axis = preset_keys()[key]
        return _build(name, axis, key)

    def __iter__(self) -> Iterator[str]:
        return iter(preset_keys())

    def __len__(self) -> int:
        return len(preset_keys())

    def __contains__(self, key: object) -> bool:
        return key in preset_keys()


MATERIALS: Mapping[str, Material] = _Presets()


def get_material(spec: str) -> Material:
    """Return a preset, or the crystal in a structure file.

    Parameters
    ----------
    spec
        A key of `MATERIALS` (subscripts, blanks and case do not matter: ``wse2``, ``Si110``), a preset along another
        zone axis (``Au [111]``), or a structure file and a zone axis, [001] where there is none: ``CdTe.cif [110]``,
        ``cell.xyz [1 -1 0]``.

    Returns
    -------
    Material
        Its key gives the same crystal again; that of a file has the absolute path.

    Raises
    ------
    UnknownMaterial
        If there is neither such a preset nor such a file.
    StructureError
        If a file or a zone axis cannot be used.
    """
    from napari_stem_gan.crystal.structures import material_from_spec
    from napari_stem_gan.crystal.zone_axis import split_zone_axis

    text = str(spec).strip()
    if text in MATERIALS:
        return MATERIALS[text]
    known, axis = _preset_and_axis(*split_zone_axis(text))
    found = _view(known, axis) if known else material_from_spec(text)
    if found is not None:
        return found
    choices = ", ".join(MATERIALS)
    raise UnknownMaterial(
        f"material must be one of {choices} or a structure file, got {shorten(text)!r}; choose one of them"
    )


def find_material(texts: Iterable[str]) -> Material | None:
    """Return the first preset that is named in `texts` (file names, metadata), or None."""
    for text in texts:
        key = mentioned(str(text))
        if key:
            return MATERIALS[key]
    return None


def _preset_and_axis(name: str, axis: str) -> tuple[str, str]:
    """Name of the preset meant, '' for none, and its zone axis, which may be the three digits at the end of `name`."""
    plain = _plain(name)
    names = {alias: key for key, preset in PRESETS.items() for alias in (_plain(key), *preset.aliases)}
    digits = re.fullmatch(r"(.+?)(\d{3})", plain)
    if not axis and plain not in names and digits and digits[1] in names:
        return names[digits[1]], f"[{digits[2]}]"
    return names.get(plain.removeprefix("2h"), names.get(plain, "")), axis


def _view(name: str, axis: str) -> Material:
    """A preset along a zone axis, under its short key where it has one."""
    from napari_stem_gan.crystal.zone_axis import parse_zone_axis, zone_axis_text

    offered = PRESETS[name].zone_axes
    if not axis and len(offered) > 1:
        choices = " or ".join(f"{name} {one}" for one in offered)
        raise UnknownMaterial(f"material {name} must have a zone axis, got none; choose {choices}")
    if axis:
        axis = zone_axis_text(parse_zone_axis(axis, hexagonal=not offered))
    if not offered and axis == "[001]":
        axis = ""
    axis = axis or "".join(offered)
    key = next((k for k, view in preset_keys().items() if view == (name, axis)), f"{name} {axis}")
    return _build(name, axis, key)


@cache
def _build(name: str, axis: str, key: str) -> Material:
    from napari_stem_gan.crystal.projection import material_from_atoms
    from napari_stem_gan.crystal.zone_axis import parse_zone_axis

    preset = PRESETS[name]
    return material_from_atoms(
        preset.build(),
        parse_zone_axis(axis or "[001]"),
        key=key,
        label=f"{name} {axis}".strip(),
        layers=preset.layers if axis in preset.zone_axes else None,
    )


def shorten(text: str, length: int = 80) -> str:
    """The end of a text that is too long for a message."""
    return text if len(text) <= length else f"…{text[-length:]}"


def _plain(name: str) -> str:
    """Lower case, subscripts as digits, only letters and digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", str(name)).lower() if c.isalnum())
