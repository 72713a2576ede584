import pytest

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.image import ImageError


@pytest.mark.parametrize("size", [0.0, -0.02, float("nan"), float("inf")])
def test_a_pixel_size_that_is_not_positive_is_refused(size):
    with pytest.raises(ImageError, match="pixel size must be positive"):
        MatchConfig(pixel_size_nm=size)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_a_pixel_size_of_no_microscope_is_refused(size):
    with pytest.raises(ImageError, match=r"between 0.0001 and 1e\+06 nm, got .* nm; give it in nm"):
        MatchConfig(pixel_size_nm=size)


@pytest.mark.parametrize("material", [None, 3])
def test_a_material_that_is_no_name_is_refused(material):
    with pytest.raises(TypeError, match="material must be a name, got .*; give e.g. 'WSe2'"):
        MatchConfig(material=material)


@pytest.mark.parametrize("values", [{"max_scale_error": 0.5}, {"max_scale_error": 0.0}, {"min_goodness": 1.5}])
def test_impossible_match_settings_are_refused(values):
    with pytest.raises(ValueError, match="must lie between"):
        MatchConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"single_vacancy": -0.1},
        {"single_vacancy": 0.9, "double_vacancy": 0.2},
        {"metal_vacancy": 0.6, "metal_substitution": 0.6},
        {"jitter_A": -0.01},
        {"jitter_A": float("nan")},
        {"single_vacancy": float("nan")},
        {"relaxation_A": 1.0},
        {"planted": "V_Se"},
    ],
)
def test_defects_that_no_crystal_can_hold_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        DefectConfig(**values)
