"""Write the atoms of a simulated image as CIF or extended XYZ, e.g. for a multislice check.

Axes: x is the image's x (right), y the image's y (down, from row to row), z runs along the beam from the source into
the specimen. Right, down and away from the viewer are right-handed, so nothing is mirrored: a program whose beam
travels along +z, as abTEM's does, makes the same image with its rows along +y. A viewer that draws y upwards and z
towards the eye shows the crystal turned by 180° about x, from below. The cell is the field, edges of pixels included,
by the thickness and vacuum on both sides.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.defects import DefectiveStructure
from napari_stem_gan.io import atomic_write

if TYPE_CHECKING:
    from ase import Atoms

FORMATS = {".cif": "cif", ".xyz": "extxyz", ".extxyz": "extxyz"}
NO_DEFECT = "-"


def to_atoms(
    structure: DefectiveStructure, pixel_size_A: float, shape: tuple[int, int], *, vacuum_A: float = 3.0
) -> Atoms:
    """Atoms of a field for ASE.

    Parameters
    ----------
    structure
        What was planted.
    pixel_size_A
        Pixel size in Å.
    shape
        Height and width of the field in pixels; atoms outside are left out.
    vacuum_A
        Empty space above and below the specimen in Å.

    Returns
    -------
    Atoms
        With the arrays ``site`` (index of the column site, −1 for adatoms) and ``defect`` (its name on foreign atoms
        and adatoms, else ``-``), and in ``info`` the pixel size and ``defects``, JSON of ``[name, y_px, x_px]`` of
        every defect in the field; vacancies are found there.

    Raises
    ------
    ValueError
        If no atom lies in the field, or `vacuum_A` is negative.
    """
    from ase import Atoms

    if vacuum_A < 0:
        raise ValueError(f"vacuum_A must not be negative, got {vacuum_A}; try 3")
    inside = _inside(structure.atoms_px, shape)
    if not inside.any():
        raise ValueError(f"the field must hold atoms to be written, got none in {shape[0]}×{shape[1]} px; move it")
    heights = structure.heights_A[inside]
    flat = (structure.atoms_px[inside][:, ::-1] + 0.5) * pixel_size_A  # (x, y)
    depth = heights.max() - heights + vacuum_A
    names = np.array([*structure.defects, NO_DEFECT])
    atoms = Atoms(
        symbols=list(structure.elements[inside]),
        positions=np.concatenate([flat, depth[:, None]], 1),
        cell=(shape[1] * pixel_size_A, shape[0] * pixel_size_A, np.ptp(heights) + 2 * vacuum_A),
        pbc=(True, True, False),
    )
    atoms.set_array("site", structure.site[inside])
    atoms.set_array("defect", names[structure.atom_defect[inside]])
    seen = _inside(structure.positions_px, shape)
    rows = zip(np.array(structure.defects, dtype=object)[seen], structure.positions_px[seen].tolist(), strict=True)
    atoms.info = {"pixel_size_A": pixel_size_A, "defects": json.dumps([[name, y, x] for name, (y, x) in rows])}
    return atoms


def positions_px(atoms: Atoms, pixel_size_A: float) -> NDArray[np.float64]:
    """Where the atoms of a written structure lie on the image, shape ``(N, 2)`` as (y, x) in pixels."""
    return np.asarray(atoms.positions[:, 1::-1] / pixel_size_A - 0.5)


def write_structure(
    path: str | Path,
    structure: DefectiveStructure,
    pixel_size_A: float,
    shape: tuple[int, int],
    *,
    vacuum_A: float = 3.0,
) -> Path:
    """Write the atoms of a field; see `to_atoms` for the parameters and the module for the axes.

    Parameters
    ----------
    path
        File to write: ``.cif``, ``.xyz`` or ``.extxyz`` (both extended XYZ, with the arrays).
    structure, pixel_size_A, shape, vacuum_A
        As in `to_atoms`.

    Raises
    ------
    ValueError
        If the suffix is another, or the field is empty.
    OutputError
        If the file cannot be written.
    """
    from ase.io import write

    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"a structure must be written as {', '.join(FORMATS)}, got {path.name!r}; change the suffix")
    atoms = to_atoms(structure, pixel_size_A, shape, vacuum_A=vacuum_A)
    atomic_write(path, lambda part: write(part, atoms, format=kind))
    return path


def _inside(points_px: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether points lie on pixels of the field."""
    return np.asarray(((points_px >= -0.5) & (points_px < np.array(shape) - 0.5)).all(1))
