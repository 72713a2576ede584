"""The simulated session: labelled images with what was fitted to today's, and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.io import prepare_folder, write_image


@dataclass(frozen=True)
class SimulatedSession(Sequence[LabelledImage]):
    """Simulated images as a sequence.

    Parameters
    ----------
    images
        The labelled images.
    fits
        What was fitted to each of today's images, as plain numbers (`SessionFit.to_dict`).
    """

    images: tuple[LabelledImage, ...]
    fits: tuple[Mapping[str, Any], ...] = ()

    @overload
    def __getitem__(self, index: int) -> LabelledImage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LabelledImage, ...]: ...
    def __getitem__(self, index: int | slice) -> LabelledImage | tuple[LabelledImage, ...]:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)


def plain_name(material: str) -> str:
    """Letters and digits of a material, for files: ``Si_110``, and ``CdTe_110`` of ``/data/CdTe.cif [110]``."""
    from napari_stem_gan.crystal.materials import get_material

    return re.sub(r"[^A-Za-z0-9]+", "_", get_material(material).label).strip("_")


def truth_table(labelled: LabelledImage) -> PointTable:
    """True defects of a simulated image as a table with confidence 1."""
    return PointTable.build(
        image=labelled.image.name,
        frame=labelled.image.frame,
        positions_px=labelled.positions_px,
        pixel_size_nm=labelled.image.pixel_size_nm,
        defects=labelled.defects,
        sublattices=labelled.sublattices,
        confidence=np.ones(len(labelled.defects)),
    )


def write_simulated(drawn: Sequence[LabelledImage], folder: str | Path) -> list[Path]:
    """Write simulated images: TIFF, true defects as CSV, every drawn value as JSON, and the atoms as CIF and extxyz.

    Parameters
    ----------
    drawn
        The images; their names become file names.
    folder
        Made if it is not there.

    Returns
    -------
    list of Path
        The TIFF of each image; ``.truth.csv``, ``.truth.json``, ``.cif`` and ``.xyz`` lie beside it.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    folder = prepare_folder(Path(folder))
    files = []
    for labelled in drawn:
        path = folder / f"{labelled.image.name}.tif"
        write_image(path, labelled.image)
        truth_table(labelled).to_csv(path.with_suffix(".truth.csv"), provenance=labelled.parameters)
        _write_atoms(path, labelled)
        files.append(path)
    return files


def _write_atoms(path: Path, labelled: LabelledImage) -> None:
    """Write the atoms beside an image, where they are known."""
    from napari_stem_gan.crystal.export import write_structure

    if labelled.structure is None or labelled.image.pixel_size_A is None:
        return
    for suffix in (".cif", ".xyz"):
        write_structure(
            path.with_suffix(suffix), labelled.structure, labelled.image.pixel_size_A, shape=labelled.image.shape
        )
