import numpy as np
import pytest

from napari_stem_gan.crystal.materials import MATERIALS, get_material
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.thickness import depth_factors, projected_weights, thickness_factor

OPTICS = OpticsConfig(energy_keV=200.0, convergence_semi_angle_mrad=22.0, adf_inner_mrad=80.0, adf_outer_mrad=180.0)


@pytest.mark.parametrize("name", ["Au [001]", "SrTiO3", "WSe2"])
def test_a_single_layer_has_its_own_brightness(name):
    material = get_material(name)
    assert [thickness_factor(material, c, 1, OPTICS) for c in range(len(material.columns))] == pytest.approx(
        [1.0] * len(material.columns)
    )


@pytest.mark.parametrize("name", [k for k, m in MATERIALS.items() if m.period_A])
def test_columns_brighten_with_every_repeat_and_never_by_more_than_channelling_can(name):
    factors = depth_factors(get_material(name), 60, OPTICS)
    assert factors.shape == (len(get_material(name).columns), 60)
    assert factors.min() > 0
    assert factors.max() < 3


def test_the_factor_of_a_column_is_the_sum_over_its_repeats():
    gold = get_material("Au [001]")
    assert thickness_factor(gold, 0, 40, OPTICS) == pytest.approx(depth_factors(gold, 40, OPTICS)[0].sum())


def test_layers_of_a_two_dimensional_crystal_count_fully():
    np.testing.assert_array_equal(depth_factors(get_material("WSe2"), 3, OpticsConfig()), np.ones((2, 3)))


def test_atoms_of_an_untilted_column_are_rendered_as_one_point_of_their_summed_weight(draw_crystal):
    made = draw_crystal("SrTiO3", shape=(64, 64)).structure
    optics, material = OpticsConfig(), get_material("SrTiO3")
    points, weights = projected_weights(made, optics)
    assert len(points) == len(made.columns_px)
    angles = (optics.energy_keV, optics.adf_inner_mrad, optics.adf_outer_mrad)
    single = [sum(partial_cross_section_A2(a, *angles) for a in c.atoms) for c in material.columns]
    factors = [thickness_factor(material, i, made.sites.thickness_repeats, optics) for i in range(len(single))]
    expected = {round(f * s, 9) for f, s in zip(factors, single, strict=True)}
    assert set(np.round(weights, 9)) == expected


def test_a_monolayer_keeps_the_weights_of_its_atoms(draw_crystal):
    made = draw_crystal("WSe2", shape=(64, 64)).structure
    weights = projected_weights(made, OpticsConfig())[1]
    single = {a: partial_cross_section_A2(a, 80.0, 63.0, 200.0) for a in ("W", "Se")}
    assert set(np.round(weights, 9)) == {round(single["W"], 9), round(2 * single["Se"], 9)}
