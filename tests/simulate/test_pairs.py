import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, anion_peak, degrade, ideal_image


def brightness(image, positions):
    """Brightness of the image at positions, bilinear."""
    return ndimage.map_coordinates(image.image.data, positions.T, order=1, mode="nearest")


def test_columns_are_bright_and_lie_inside_the_image(draw_crystal):
    drawn = draw_crystal()
    inner = ((drawn.columns_px > 5) & (drawn.columns_px < np.array(drawn.image.shape) - 6)).all(1)
    assert brightness(drawn, drawn.columns_px[inner]).min() > np.quantile(drawn.image.data, 0.6)
    assert (drawn.columns_px >= -0.5).all()
    assert (drawn.columns_px < np.array(drawn.image.shape) - 0.5).all()


def test_a_planted_vacancy_is_darker_than_its_neighbours_where_it_is_said_to_be(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05)
    perfect = draw_crystal()
    assert len(drawn.defects) > 10
    assert set(drawn.defects) == {"V_Se"}
    assert set(drawn.sublattices) == {"Se"}
    ratio = brightness(drawn, drawn.positions_px) / brightness(perfect, drawn.positions_px)
    assert ratio.max() < 0.75
    others = perfect.columns_px[cKDTree(drawn.positions_px).query(perfect.columns_px)[0] > 25]
    np.testing.assert_allclose(brightness(drawn, others), brightness(perfect, others), rtol=0.02)


def test_an_empty_metal_site_and_a_double_vacancy_are_no_columns(draw_crystal):
    drawn = draw_crystal(double_vacancy=0.05, metal_vacancy=0.05)
    assert set(drawn.defects) == {"V_2Se", "V_W"}
    assert cKDTree(drawn.columns_px).query(drawn.positions_px)[0].min() > 5


def test_the_drawn_values_make_the_same_image_again(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, seed=9)
    told = drawn.parameters
    field = Field(
        material=get_material(told["material"]), vectors_px=np.array(told["vectors_px"]),
        origin_px=tuple(told["origin_px"]), shape=drawn.image.shape, pixel_size_A=drawn.image.pixel_size_A,
    )  # fmt: skip
    optics, defects = OpticsConfig(**told["optics"]), DefectConfig(**told["defects"])
    again = ideal_image(field, optics, defects, np.random.default_rng(9), stack_factor=told["stack_factor"])
    np.testing.assert_array_equal(again.image.data, drawn.image.data)
    assert again.defects == drawn.defects


def test_the_crystal_ends_where_the_mask_ends():
    material, mask = get_material("WSe2"), np.zeros((120, 120), bool)
    mask[:, :60] = True
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, 0.2, 5.0), origin_px=(0.0, 0.0),
        shape=mask.shape, pixel_size_A=0.2,
    )  # fmt: skip
    drawn = ideal_image(field, OpticsConfig(), DefectConfig(), np.random.default_rng(0), mask=mask)
    assert drawn.columns_px[:, 1].max() < 61
    assert drawn.image.data[:, 75:110].max() < 0.05 * drawn.image.data.max()


def test_counting_keeps_the_mean_and_the_labels(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05)
    detector = DetectorConfig(dose_e_per_A2=1e5)
    noisy = degrade(drawn, Degradation(detector=detector), np.random.default_rng(0))
    assert noisy.image.data.mean() == pytest.approx(1e5 * 0.04 * drawn.image.data.mean(), rel=0.01)
    assert noisy.defects == drawn.defects
    np.testing.assert_array_equal(noisy.positions_px, drawn.positions_px)
    assert noisy.parameters["degradation"]["detector"]["dose_e_per_A2"] == 1e5


def test_a_given_background_is_added_in_units_of_the_contrast(draw_crystal):
    drawn = draw_crystal()
    ramp = np.ones(drawn.image.shape, np.float32)
    options = {"degradation": Degradation(detector=DetectorConfig(dose_e_per_A2=1e9))}
    with_, without = (
        degrade(drawn, rng=np.random.default_rng(0), background=b, **options).image.data for b in (ramp, 0 * ramp)
    )
    assert (with_ - without).mean() / (1e9 * 0.04) == pytest.approx(anion_peak(drawn.image.data), rel=0.01)
