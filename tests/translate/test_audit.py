"""The label audit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_stem_gan.image import LabelledImage
from napari_stem_gan.translate.audit import audit, lattice_translations

MakeCrystal = Callable[..., LabelledImage]


def fill(image: np.ndarray, positions: np.ndarray, height: float) -> np.ndarray:
    """Return the image with a Gaussian column added at each position."""
    rows, columns = np.indices(image.shape)
    out = image.copy()
    for y, x in positions:
        out += height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 1.8**2))
    return out.astype(np.float32)


def test_gain_and_offset_keep_every_label(make_crystal: MakeCrystal) -> None:
    labelled = make_crystal()
    result = audit([labelled], [3 * labelled.image.data - 500])
    assert result.passed
    assert result.planted == len(labelled.positions_px)
    assert result.erased == result.invented == 0


def test_filled_vacancies_are_found(make_crystal: MakeCrystal) -> None:
    labelled = make_crystal()
    result = audit([labelled], [fill(labelled.image.data, labelled.positions_px[:4], 480.0)])
    assert result.erased == 4
    assert not result.passed
    assert "4 of" in result.reason


def test_dug_vacancies_are_found(make_crystal: MakeCrystal) -> None:
    labelled = make_crystal()
    taken = {tuple(position) for position in labelled.positions_px}
    intact = [c for c in labelled.columns_px if tuple(c) not in taken and (c > 30).all() and (c < 120).all()]
    result = audit([labelled], [fill(labelled.image.data, np.array(intact[::20]), -600.0)])
    assert result.invented == len(intact[::20])
    assert result.invented_per_nm2 == pytest.approx(result.invented / (160 * 0.02) ** 2)


def test_translations_of_a_two_column_lattice_skip_the_other_sublattice() -> None:
    axis = np.arange(0.0, 100.0, 10.0)
    corners = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    vectors, spacing = lattice_translations(np.concatenate([corners, corners + (3.0, 4.0)]))
    assert spacing == pytest.approx(5.0)
    assert {tuple(np.round(v)) for v in vectors} == {(10, 0), (-10, 0), (0, 10), (0, -10)}


def test_image_without_columns_passes_with_nothing_planted(make_crystal: MakeCrystal) -> None:
    labelled = make_crystal()
    empty = LabelledImage(image=labelled.image, positions_px=np.zeros((0, 2)), defects=(), sublattices=())
    assert audit([empty], [labelled.image.data]).planted == 0
