"""Images in ampere, 1e-12 and less, give what the same images give in counts."""

from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.restore.cgrdn import CGRDN
from napari_stem_gan.restore.config import CGRDNConfig
from napari_stem_gan.restore.restorer import Restorer
from napari_stem_gan.simulate.fit import fit_session

WSE2 = MatchConfig(material="WSe2")


@pytest.fixture
def crystal(draw_crystal):
    """A WSe2 image with vacancies and noise, its largest pixel 0.75."""
    image = draw_crystal(single_vacancy=0.08, dose_e_per_A2=5e4, seed=1).image
    return replace(image, data=image.data * np.float32(0.75 / image.data.max()))


def times(image, factor):
    return replace(image, data=(image.data * np.float64(factor)).astype(np.float32))


def test_ordinary_images_keep_their_unit(crystal):
    for factor in (1.0, 65535.0, 4e9):
        image = times(crystal, factor)
        assert image.brightness_unit == 1.0
        assert image.in_brightness_unit() is image


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**-48, 2.0**45])
def test_very_small_and_large_pixels_come_back_exactly(crystal, unit):
    image = times(crystal, unit)
    assert image.brightness_unit == unit
    np.testing.assert_array_equal(image.in_brightness_unit().data, crystal.data)


def test_an_image_in_ampere_has_the_same_lattice_and_points(crystal):
    finder = Finder.load(device="cpu")
    points = []
    for image in (crystal, times(crystal, 2.0**-40), times(crystal, 1e-12)):
        found = match(image, WSE2)
        points.append(finder.find(image, found, DetectConfig(average_flips=False)).points)
    counts, exact, ampere = points
    assert len(counts) > 5
    for name in counts.columns:
        np.testing.assert_array_equal(exact[name], counts[name])
    sure = [p.filter(0.5).positions_px for p in (counts, ampere)]
    np.testing.assert_allclose(*sure, atol=0.05)


def test_a_fit_to_an_image_in_ampere_is_in_ampere(crystal):
    unit = 2.0**-40
    image = times(crystal, unit)
    fit, small = (fit_session(one, match(crystal, WSE2)) for one in (crystal, image))
    assert small.dose_e_per_A2 == fit.dose_e_per_A2
    assert (small.gain, small.offset) == (unit * fit.gain, unit * fit.offset)
    assert small.errors["offset"] == unit * fit.errors["offset"]


def test_a_restored_image_stays_in_ampere(crystal):
    restorer = Restorer(CGRDN(CGRDNConfig(features=8, growth=4, layers=1, blocks=1, groups=1)))
    restored, small = (restorer.restore(image).image.data for image in (crystal, times(crystal, 2.0**-40)))
    np.testing.assert_array_equal(small, restored * np.float32(2.0**-40))
