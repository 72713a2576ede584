import numpy as np
import pytest

from napari_stem_gan.crystal.cell import average_cell, column_brightness, fit_cell
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.warp import measure_warp


def fitted(labelled, material="WSe2", vectors=None):
    vectors = np.array(labelled.parameters["vectors_px"]) if vectors is None else vectors
    data = labelled.image.data
    warp = measure_warp(data, vectors)
    return warp, vectors, fit_cell(average_cell(data, vectors, warp), get_material(material), vectors, 0.2)


def test_the_origin_of_the_cell_is_found_within_0_05_pixels(draw_crystal):
    drawn = draw_crystal(origin_px=(3.3, 7.8))
    warp, vectors, cell = fitted(drawn)
    origin = cell.origin @ vectors
    origin = origin + warp.at(np.array([[112.0, 128.0]]))[0]
    away = (origin - [3.3, 7.8]) @ np.linalg.inv(vectors)
    assert np.hypot(*((away - np.rint(away)) @ vectors)) < 0.05
    assert cell.correlation > 0.97


def test_the_wrong_sense_fits_worse(draw_crystal):
    drawn = draw_crystal(rotation_deg=12.0)
    vectors = np.array(drawn.parameters["vectors_px"])
    right, turned = (fitted(drawn, vectors=sign * vectors)[2] for sign in (1, -1))
    assert right.correlation - right.misfit > turned.correlation - turned.misfit


def test_contrast_is_that_of_the_image(draw_crystal):
    drawn = draw_crystal()
    _, _, cell = fitted(drawn)
    assert cell.contrast == pytest.approx(float(np.ptp(drawn.image.data)), rel=0.15)


def test_the_brightness_of_columns_is_measured(draw_crystal):
    clean = draw_crystal("MoSe2")
    _, _, cell = fitted(clean, "MoSe2")
    assert cell.brightness["Se"] == 1.0
    assert 0.5 < cell.brightness["Mo"] < 0.75  # 19.4 against 2 × 14.9 × 1.17 (SCIENCE 2.4) is 0.56
    assert cell.misfit == 0.0


def test_columns_of_another_crystal_are_a_misfit(draw_crystal):
    drawn = draw_crystal("WS2")
    assert fitted(drawn, "WS2")[2].misfit == 0.0
    assert fitted(drawn, "MoSe2")[2].misfit > 0.3


def test_brightness_follows_the_atomic_number():
    assert column_brightness(("W",)) == pytest.approx(74**1.5)
    assert column_brightness(("Se", "Se")) == pytest.approx(2 * 34**1.5)
