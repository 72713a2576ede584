from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.simulate.channelling import brightness_of_repeats
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2, wavelength_A

OPTICS = OpticsConfig(
    energy_keV=200.0, convergence_semi_angle_mrad=22.0, adf_inner_mrad=80.0, adf_outer_mrad=180.0, thermal_rms_A=0.08
)


@pytest.mark.parametrize(
    ("atoms", "period_A", "repeats", "factor"),
    [
        (("Si",), 3.840, 20, 20.8), (("Sr",), 3.905, 20, 24.5), (("Ti", "O"), 3.905, 20, 28.8),
        (("As",), 3.997, 20, 24.3), (("Ga",), 3.997, 20, 23.0), (("Au",), 4.078, 10, 10.7),
    ],
)  # fmt: skip
def test_columns_grow_as_frozen_phonon_multislice_says(atoms, period_A, repeats, factor):
    """abTEM, 8 configurations, 200 kV, 22 mrad, 80-180 mrad, 0.08 Å (benchmarks/thickness.py)."""
    assert brightness_of_repeats(atoms, period_A, repeats, OPTICS).sum() == pytest.approx(factor, rel=0.08)


def test_the_first_repeats_draw_the_beam_in_and_heavy_columns_lose_it_first():
    silicon, gold = (brightness_of_repeats((a,), 4.0, 40, OPTICS) for a in ("Si", "Au"))
    assert silicon[:8].mean() > 1.1
    assert gold[:4].mean() > 1.3
    assert gold[20:].mean() < 0.1 < 0.5 < silicon[20:].mean()


def test_atoms_nearly_without_potential_see_the_probe_spread():
    optics = replace(OPTICS, source_size_fwhm_A=0.0, thermal_rms_A=0.04)
    depths_A = 10.0 * np.arange(12)
    edge = 22e-3 / wavelength_A(200.0)
    half = np.pi * wavelength_A(200.0) * depths_A * edge**2 / 2
    on_axis = np.sinc(half / np.pi) ** 2  # a focused disc of waves
    light = brightness_of_repeats(("H",), 10.0, 12, optics)
    np.testing.assert_allclose(light[2:6] / light[1], on_axis[2:6] / on_axis[1], atol=0.08)


def test_only_motion_larger_than_that_at_zero_temperature_changes_anything():
    still, cold, warm = (
        brightness_of_repeats(("Sr",), 3.9, 20, replace(OPTICS, thermal_rms_A=u)) for u in (0.0, 0.04, 0.08)
    )
    np.testing.assert_array_equal(still, cold)
    assert not np.allclose(cold, warm, rtol=0.05)


def test_the_order_of_the_atoms_in_a_repeat_does_not_matter():
    one, other = (brightness_of_repeats(atoms, 3.9, 10, OPTICS) for atoms in (("Ti", "O"), ("O", "Ti")))
    np.testing.assert_allclose(one, other)


def test_a_repeat_without_length_is_refused():
    with pytest.raises(ValueError, match="period_A must be positive"):
        brightness_of_repeats(("Si",), 0.0, 10, OPTICS)


def test_diffuse_scattering_is_a_part_that_grows_with_thermal_motion():
    parts = [partial_cross_section_A2("Sr", 200.0, 40.0, 180.0, diffuse_rms_A=u) for u in (0.0, 0.04, 0.08, 2.0)]
    assert parts[0] == 0
    assert np.all(np.diff(parts) > 0)
    assert parts[-1] == pytest.approx(partial_cross_section_A2("Sr", 200.0, 40.0, 180.0))
