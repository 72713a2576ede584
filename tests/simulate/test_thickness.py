import numpy as np
import pytest

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.thickness import depth_factor, projected_weights, thickness_factor


def test_a_single_layer_has_its_own_brightness():
    assert thickness_factor(1) == 1.0


def test_thin_columns_grow_with_their_atoms_and_thick_ones_saturate():
    factors = [thickness_factor(n) for n in (1, 2, 5, 25, 100, 1000)]
    assert factors[1] == pytest.approx(1 + np.exp(-1 / 25))
    assert np.all(np.diff(factors) > 0)
    assert factors[-1] == pytest.approx(1 / (1 - np.exp(-1 / 25)))


def test_the_factor_of_a_column_is_the_sum_over_its_repeats():
    assert depth_factor(np.arange(40)).sum() == pytest.approx((1 - np.exp(-40 / 25)) / (1 - np.exp(-1 / 25)))


def test_atoms_of_an_untilted_column_are_rendered_as_one_point_of_their_summed_weight(draw_crystal):
    made = draw_crystal("SrTiO3", shape=(64, 64)).structure
    points, weights = projected_weights(made, OpticsConfig())
    assert len(points) == len(made.columns_px)
    single = {
        name: partial_cross_section_A2(name, 80.0, OpticsConfig().adf_inner_mrad, OpticsConfig().adf_outer_mrad)
        for name in ("Sr", "Ti", "O")
    }
    columns = [single["Sr"], single["Ti"] + single["O"], single["O"]]
    expected = {round(thickness_factor(made.sites.thickness_repeats) * c, 9) for c in columns}
    assert set(np.round(weights, 9)) == expected
