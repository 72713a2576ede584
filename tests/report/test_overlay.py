from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.image import STEMImage
from napari_stem_gan.report.overlay import BAND_PX, STYLES, defect_class, draw_overlay


def make_image(shape: tuple[int, int] = (64, 128)) -> STEMImage:
    rng = np.random.default_rng(0)
    return STEMImage(data=rng.normal(size=shape).astype(np.float32), pixel_size_A=0.2)


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        ("V_Se", "V_X"), ("V_2Se", "V_2X"), ("V_W", "V_M"), ("O_Se", "S_X"), ("Se_W", "S_M"), ("odd", "other"),
        ("ad_W", "A"), ("V_Ga", "V_M"), ("V_W2", "V_M"), ("V_Te", "V_X"),
    ],
)  # fmt: skip
def test_a_defect_name_has_a_class(defect: str, expected: str) -> None:
    assert defect_class(defect) == expected


def test_every_class_has_its_own_symbol_and_colour() -> None:
    symbols, colours = zip(*STYLES.values(), strict=True)
    assert len(set(symbols)) == len(set(colours)) == len(STYLES)


def test_a_small_image_is_enlarged_beside_its_legend() -> None:
    picture = draw_overlay(make_image((64, 128)), np.zeros((0, 2)), [])
    assert picture.size == (1024 + BAND_PX, 512)


def test_a_symbol_is_drawn_around_its_pixel_centre() -> None:
    image = make_image((64, 64))
    position = np.array([[32.0, 16.0]])
    plain = np.asarray(draw_overlay(image, np.zeros((0, 2)), []), dtype=int)[:, BAND_PX:]
    marked = np.asarray(draw_overlay(image, position, ["V_Se"]), dtype=int)[:, BAND_PX:]
    rows, columns = np.nonzero(np.abs(marked - plain).sum(axis=2))
    assert (rows.mean(), columns.mean()) == pytest.approx((32.5 * 16, 16.5 * 16), abs=1)


def test_a_flat_strip_still_has_room_for_the_legend() -> None:
    picture = draw_overlay(make_image((37, 1021)), np.array([[3.0, 500.0]]), ["V_W"])
    assert picture.height >= 100
