"""Every step begins with the same image: bad pixels filled, brightness in a unit that squares well."""

from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.bad_pixels import mended
from napari_stem_gan.prepare import prepare

HOT = (40, 70)


@pytest.fixture
def crystal(draw_crystal):
    return draw_crystal(dose_e_per_A2=5e4, seed=1).image


def spoiled(image, value, factor=1.0):
    data = image.data.copy()
    data[HOT] = value
    return replace(image, data=data * np.float32(factor))


def test_an_image_with_nothing_to_mend_goes_on_as_the_same_object(crystal):
    ready = prepare(crystal)
    assert ready.image is crystal
    assert ready.unit == 1.0


def test_a_hot_pixel_does_not_set_the_unit_of_an_image_in_ampere(crystal):
    image = spoiled(crystal, 1e12, 2.0**-40)  # the hot pixel alone looks like counts
    assert image.brightness_unit == 1.0

    ready = prepare(image)

    assert 0.5 <= ready.image.data.max() < 1.0
    np.testing.assert_array_equal(ready.image.data * np.float32(ready.unit), mended(image).data)


def test_the_users_image_is_left_as_it_is(crystal):
    image = spoiled(crystal, 1e7)
    prepare(image)
    assert image.data[HOT] == np.float32(1e7)
