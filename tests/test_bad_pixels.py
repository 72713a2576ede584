import dataclasses

import numpy as np
import pytest

from napari_stem_gan.bad_pixels import bad_pixels, filled, mended
from napari_stem_gan.image import STEMImage


@pytest.fixture
def crystal(draw_crystal):
    """WSe2 with its usual noise at 0.2 Å a pixel."""
    return draw_crystal(dose_e_per_A2=5e4, single_vacancy=0.05, seed=1).image


def spoiled(image, where, value):
    data = image.data.copy()
    data[where] = value
    return dataclasses.replace(image, data=data)


@pytest.mark.parametrize("dose", [None, 1e3, 1e4, 1e5, 1e6])
@pytest.mark.parametrize("pixel_size_A", [0.1, 0.24])
def test_an_image_without_bad_pixels_is_returned_as_it_is(draw_crystal, dose, pixel_size_A):
    defects = {"single_vacancy": 0.05, "metal_vacancy": 0.02, "metal_substitution": 0.02, "adatom": 0.02}
    image = draw_crystal(pixel_size_A=pixel_size_A, dose_e_per_A2=dose, contamination=0.2, **defects).image
    assert mended(image) is image


def test_one_atom_far_brighter_than_all_columns_is_no_bad_pixel(crystal):
    y, x = np.mgrid[:224, :256]
    sharp = np.exp(-4 * np.log(2) * ((y - 100) ** 2 + (x - 90) ** 2) / 2**2)  # two pixels wide
    data = (crystal.data + 50 * crystal.data.max() * sharp).astype(np.float32)
    assert not bad_pixels(data).any()


@pytest.mark.parametrize("value", [1e7, -1e7, 65535.0])
def test_hot_and_dead_pixels_are_found_and_filled(crystal, value):
    where = (np.array([0, 40, 41, 100, 223]), np.array([0, 70, 70, 90, 255]))  # corners, and two together
    mend = mended(spoiled(crystal, where, value))
    right = np.ones(crystal.shape, bool)
    right[where] = False
    np.testing.assert_array_equal(mend.data[right], crystal.data[right])
    assert np.abs(mend.data - crystal.data)[where].max() < 3 * crystal.data.std()


def test_the_light_that_a_zinger_leaves_along_its_row_goes_too(crystal):
    data = crystal.data.copy()
    data[50, 60:68] += 1e6 * 0.3 ** np.arange(8)
    mend = filled(data, bad_pixels(data))
    assert np.abs(mend - crystal.data).max() < 6 * crystal.data.std()


@pytest.mark.parametrize("where", [np.s_[80], np.s_[80:83], np.s_[:, 120], np.s_[80, 30:90], np.s_[0]])
@pytest.mark.parametrize("value", [0.0, 1e6])
def test_dead_lines_are_found_and_filled(draw_crystal, where, value):
    ideal = draw_crystal(pixel_size_A=0.1).image
    data = spoiled(ideal, where, value * ideal.data.mean()).data
    bad = bad_pixels(data)
    expected = np.zeros(ideal.shape, bool)
    expected[where] = True
    np.testing.assert_array_equal(bad, expected)
    assert np.abs(filled(data, bad) - ideal.data).max() < 0.2 * np.ptp(ideal.data)


@pytest.mark.parametrize("times", [1.0, 1e6])
def test_a_saturated_corner_becomes_even(crystal, times):
    y, x = np.mgrid[:224, :256]
    corner = y + 255 - x < 70
    mend = mended(spoiled(crystal, corner, times * crystal.data.max()))
    np.testing.assert_array_equal(mend.data[~corner], crystal.data[~corner])
    assert mend.data[:10, -10:].std() < 0.1 * crystal.data.std()
    assert abs(mend.data[corner].mean() - np.median(crystal.data)) < crystal.data.std()


def test_vacuum_is_no_bad_part(crystal):
    data = crystal.data.copy()
    data[:90, :110] = 0.0
    assert not bad_pixels(data).any()


def test_columns_that_the_detector_clips_stay(draw_crystal):
    data = draw_crystal(pixel_size_A=0.1).image.data
    assert not bad_pixels(np.minimum(data, 0.6 * data.max())).any()


def test_what_is_drawn_in_one_value_stays():
    stripes = np.zeros((64, 64), np.float32)
    stripes[:, ::4] = stripes[:, 1::4] = 1.0
    line = np.zeros((64, 64), np.float32)
    line[30] = 1.0
    for data in (stripes, line):
        image = STEMImage(data=data)
        assert mended(image) is image
