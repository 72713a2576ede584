import numpy as np
import pytest

from napari_stem_gan.crystal.cell import average_cell, column_brightness, fit_cell
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.warp import measure_warp


def fitted(labelled):
    vectors = np.array(labelled.parameters["vectors_px"])
    data = labelled.image.data
    warp = measure_warp(data, vectors)
    return warp, vectors, fit_cell(average_cell(data, vectors, warp), get_material("WSe2"), vectors, 0.2)


def test_the_origin_of_the_cell_is_found_within_0_15_pixels(draw_crystal):
    drawn = draw_crystal(origin_px=(3.3, 7.8))
    warp, vectors, cell = fitted(drawn)
    origin = cell.origin @ vectors
    origin = origin + warp.at(np.array([[112.0, 128.0]]))[0]
    away = (origin - [3.3, 7.8]) @ np.linalg.inv(vectors)
    assert np.hypot(*((away - np.rint(away)) @ vectors)) < 0.15
    assert not cell.turned
    assert cell.correlation > 0.97


def test_a_crystal_turned_by_60_degrees_is_seen_as_turned(draw_crystal):
    drawn = draw_crystal(rotation_deg=12.0)
    turned = draw_crystal(rotation_deg=72.0)
    vectors = np.array(drawn.parameters["vectors_px"])  # the same lattice, another sense
    warp = measure_warp(turned.image.data, vectors)
    cell = fit_cell(average_cell(turned.image.data, vectors, warp), get_material("WSe2"), vectors, 0.2)
    assert cell.turned


def test_contrast_is_that_of_the_image(draw_crystal):
    drawn = draw_crystal()
    _, _, cell = fitted(drawn)
    assert cell.contrast == pytest.approx(float(np.ptp(drawn.image.data)), rel=0.15)


def test_brightness_follows_the_atomic_number():
    assert column_brightness(("W",)) == pytest.approx(74**1.5)
    assert column_brightness(("Se", "Se")) == pytest.approx(2 * 34**1.5)
