"""Structure files, read by ASE: CIF, POSCAR, xyz and whatever else it knows."""

from __future__ import annotations

import os
import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

from napari_stem_gan.crystal.materials import Material, StructureError, shorten
from napari_stem_gan.crystal.projection import MOST_ATOMS, material_from_atoms
from napari_stem_gan.crystal.zone_axis import parse_zone_axis, split_zone_axis, zone_axis_text

NEAREST_A = 0.5
LEAST_VOLUME_A3 = 1.0
FULL = 0.995  # an occupancy that is 1 but for rounding


def material_from_spec(spec: str) -> Material | None:
    """Crystal of a spec like ``CdTe.cif [110]``, or None if it does not look like a file.

    Raises
    ------
    StructureError
        If the file or the zone axis cannot be used.
    """
    if _is_file(_path(spec)):  # its name may end in brackets
        return material_from_file(spec)
    loose = re.fullmatch(r"(.+?)\s*[\s(<{]([-\d\s,]+)[)>}]?", spec, re.DOTALL)
    if loose and _is_file(_path(loose[1])):
        raise StructureError(f"zone axis must stand in square brackets, got {spec!r}; write {loose[1]} [{loose[2]}]")
    name, axis = split_zone_axis(spec)
    meant = _is_file(_path(name)) or re.search(r"[/\\]|\.\w{2,}$", name)
    return material_from_file(name, axis or "[001]") if meant else None


def material_from_file(name: str, zone_axis: str = "[001]") -> Material:
    """Read a structure and project it; kept until the file changes.

    Parameters
    ----------
    name
        Path of the file, ``~`` for the home folder.
    zone_axis
        As in ``[1 -1 0]``.

    Raises
    ------
    StructureError
        If the file or the zone axis cannot be used.
    """
    path = _path(name)
    if not _is_file(path):
        raise StructureError(f"structure file must exist, got {shorten(name)!r}; check the path")
    stamp = path.stat()
    return _projected(path.resolve(), zone_axis, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=64)
def _projected(path: Path, zone_axis: str, changed_ns: int, size: int) -> Material:
    atoms = read_structure(path)
    a, b, _, alpha, beta, gamma = atoms.cell.cellpar()
    hexagonal = abs(a - b) < 0.02 and np.allclose((alpha, beta, gamma), (90, 90, 120), atol=0.2)
    indices = parse_zone_axis(zone_axis, hexagonal=hexagonal)
    return material_from_atoms(atoms, indices, key=f"{path} {zone_axis_text(indices)}")


def read_structure(path: str | Path) -> Atoms:
    """Read one crystal structure.

    Parameters
    ----------
    path
        A file of any format that ASE reads; the last structure of several.

    Returns
    -------
    ase.Atoms
        With every site fully occupied by a known element, and no two atoms in one place.

    Raises
    ------
    StructureError
        If there is no such file, it is no structure, or not one that can be projected.
    """
    file = _path(path)
    if not _is_file(file):
        raise StructureError(f"structure file must exist, got {shorten(str(path))!r}; check the path")
    try:
        atoms = _read(file)
    except Exception as error:  # ASE's readers raise everything from KeyError to AssertionError
        raise StructureError(
            "structure file must be a CIF, POSCAR, xyz or another format that ASE reads, "
            f"got {file.name}: {_reason(error)}; check the file"
        ) from error
    _check_occupancy(atoms, file.name)
    _check_atoms(atoms, file.name)
    return atoms


def _reason(error: Exception) -> str:
    """What a reader of ASE says in words, or that it says nothing of use."""
    from ase.io.formats import UnknownFileTypeError

    if isinstance(error, UnknownFileTypeError):
        return "it is empty" if "Empty" in str(error) else "its format is not known"
    if isinstance(error, (ValueError, RuntimeError, OSError)) and str(error):
        return " ".join(str(error).split())[:120]
    return "its contents are not understood"


def _path(name: str | Path) -> Path:
    """Path of a name, ``~`` expanded where there is such a home folder."""
    return Path(os.path.expanduser(name))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file system can hold is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read(file: Path) -> Atoms:
    import ase.io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ASE remarks on space-group settings that do not concern a projection
        atoms: Any = ase.io.read(file, do_not_split_by_at_sign=True)
    if not isinstance(atoms, Atoms):
        raise TypeError("it holds no structure")
    return atoms


def _check_occupancy(atoms: Atoms, name: str) -> None:
    """Refuse sites that are partly empty or shared, which have no single column brightness."""
    sites = [{k: _share(v) for k, v in site.items()} for site in (atoms.info.get("occupancy") or {}).values()]
    for column in ("occupancy", "occupancies"):
        values = np.atleast_1d(atoms.arrays.get(column, []))
        sites += [{atoms.symbols[i]: _share(v)} for i, v in enumerate(values)]
    for site in sites:
        if len(site) > 1 or min(site.values(), default=1.0) < FULL:
            parts = " + ".join(f"{element} {share:g}" for element, share in site.items())
            raise StructureError(
                f"every site must be fully occupied, got {parts} in {name}; give an ordered structure or a supercell"
            )


def _share(value: Any) -> float:
    """An occupancy as a number; ``?`` and ``.`` stand for 1 in a CIF."""
    return float(re.sub(r"\(.*", "", str(value)).replace("?", "1") if str(value) != "." else 1.0)


def _check_atoms(atoms: Atoms, name: str) -> None:
    """Refuse what cannot be a crystal."""
    if not 0 < len(atoms) <= MOST_ATOMS:
        raise StructureError(f"{name} must hold 1 to {MOST_ATOMS} atoms, got {len(atoms)}; give the unit cell")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell[:]).all()):
        raise StructureError(f"positions and cell must be numbers, got one that is not in {name}; check the file")
    if atoms.numbers.min() < 1 or atoms.numbers.max() >= len(chemical_symbols):
        raise StructureError(f"every atom must be a known element, got one that is none in {name}; check the file")
    if atoms.cell.rank < 2:
        raise StructureError(f"the structure must be periodic in the plane, got no cell in {name}; give a crystal")
    if atoms.cell.complete().volume < LEAST_VOLUME_A3:
        raise StructureError(f"the cell must have a volume, got a flat one in {name}; check the file")
    _check_distances(atoms, name)


def _check_distances(atoms: Atoms, name: str) -> None:
    i, j, distance = neighbor_list("ijd", atoms, NEAREST_A)
    if len(i):
        first, second, near = atoms.symbols[i[0]], atoms.symbols[j[0]], distance[0]
        raise StructureError(
            f"atoms must be at least {NEAREST_A} Å apart, got {first} and {second} at {near:.2f} Å in {name}; "
            "check for a site that is listed twice or split"
        )
