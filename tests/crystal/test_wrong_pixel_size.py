"""The sample session, WSe2 at 0.0205 nm per pixel, with a pixel size that no lattice fits."""

from dataclasses import replace

import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.workflow import sample_images


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0, 3.0])
def test_auto_says_what_would_fit_at_which_pixel_size(factor):
    for image in sample_images():
        found = match(replace(image, pixel_size_A=factor * image.pixel_size_A), MatchConfig())
        assert not found.accepted
        assert "WSe2 (0.02049 nm)" in found.reason
        assert found.reason.endswith("would fit: correct the pixel size or choose the material")


def test_a_named_material_is_told_its_pixel_size_before_another_material():
    image = sample_images()[0]
    found = match(replace(image, pixel_size_A=2 * image.pixel_size_A), MatchConfig(material="WSe2"))
    assert not found.accepted
    assert found.best_other == ""
    assert "it would fit at 0.02049 nm per pixel: correct the pixel size" in found.reason
