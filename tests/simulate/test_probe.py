from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import wavelength_A
from napari_stem_gan.simulate.probe import (
    aberrations,
    band_limit,
    chi,
    chromatic_spread_fwhm_A,
    defocus_quadrature,
    depth_of_field_A,
    optical_transfer,
    transfer_tensor,
)

IDEAL = OpticsConfig(source_size_fwhm_A=0.0, thermal_rms_A=0.0)
SIZE = 0.05
SHAPE = (512, 512)


def point_spread(optics, shape=SHAPE, size=SIZE):
    return np.fft.fftshift(np.fft.irfft2(optical_transfer(optics, shape, size), s=shape))


def fwhm_A(optics):
    """Full width at half maximum along x through the centre."""
    line = point_spread(optics)[SHAPE[0] // 2]
    x = (np.arange(len(line)) - len(line) // 2) * SIZE
    right = line[len(line) // 2 :] / line.max()
    first = int((right < 0.5).argmax())
    step = (right[first - 1] - 0.5) / (right[first - 1] - right[first])
    return 2 * (x[len(line) // 2 + first - 1] + step * SIZE)


def test_the_probe_integrates_to_one_and_is_nowhere_negative():
    spread = point_spread(replace(IDEAL, C12=20.0, C23=500.0))
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert spread.min() > -1e-6 * spread.max()


@pytest.mark.parametrize(("energy", "angle"), [(60.0, 25.0), (80.0, 25.0), (80.0, 35.0), (200.0, 20.0)])
def test_the_width_of_an_ideal_probe_follows_wavelength_over_angle(energy, angle):
    optics = replace(IDEAL, energy_keV=energy, convergence_semi_angle_mrad=angle)
    airy = 0.5145 * wavelength_A(energy) / (angle * 1e-3)  # full width at half maximum of an Airy disc
    assert fwhm_A(optics) == pytest.approx(airy, rel=0.03)


def test_nothing_is_transferred_beyond_the_band_limit():
    transfer = optical_transfer(OpticsConfig(), SHAPE, SIZE)
    k = np.hypot(np.fft.fftfreq(SHAPE[0], SIZE)[:, None], np.fft.rfftfreq(SHAPE[1], SIZE)[None])
    assert band_limit(OpticsConfig()) == pytest.approx(1.197, abs=2e-3)  # 2 · 25 mrad / 4.176 pm
    assert np.abs(transfer[k > band_limit(OpticsConfig()) + 3 / (SIZE * SHAPE[0])]).max() < 1e-4
    assert transfer[0, 0] == pytest.approx(1.0)


def test_the_source_size_multiplies_the_transfer_by_its_gaussian():
    blurred = optical_transfer(replace(IDEAL, source_size_fwhm_A=0.9), SHAPE, SIZE)
    sharp = optical_transfer(IDEAL, SHAPE, SIZE)
    k = np.fft.rfftfreq(SHAPE[1], SIZE)[10]
    expected = np.exp(-((np.pi * 0.9 * k) ** 2) / (4 * np.log(2)))
    assert abs(blurred[0, 10] / sharp[0, 10]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("defocus", [-100.0, -60.0, 60.0])
def test_defocus_dims_the_centre_as_the_sine_law_says(defocus):
    phase = np.pi * defocus * 0.025**2 / (2 * wavelength_A(80.0))  # half the phase at the aperture's rim
    ratio = point_spread(replace(IDEAL, C10=-defocus))[256, 256] / point_spread(IDEAL)[256, 256]
    assert ratio == pytest.approx((np.sin(phase) / phase) ** 2, abs=0.01)


def test_a_defocus_spread_widens_the_probe():
    assert point_spread(replace(IDEAL, defocus_spread_fwhm_A=100.0)).max() < 0.9 * point_spread(IDEAL).max()


def test_threefold_astigmatism_is_a_thirds_cubic_phase():
    alpha, phi = np.array([0.02, 0.02]), np.array([0.3, 0.3 + np.pi / 3])
    phase = chi(alpha, phi, {"C23": 800.0, "phi23": 0.3}, 0.04176)
    expected = 2 * np.pi / 0.04176 * 800.0 / 3 * 0.02**3
    np.testing.assert_allclose(phase, [expected, -expected], rtol=1e-9)


def test_threefold_astigmatism_turns_with_its_angle():
    # phi23 = π/2 puts the lobe at π/2, π/2 ± 2π/3: the probe of phi23 = 0 turned by a quarter
    first = point_spread(replace(IDEAL, C23=900.0, phi23=0.0))[1:, 1:]
    turned = point_spread(replace(IDEAL, C23=900.0, phi23=np.pi / 2))[1:, 1:]
    np.testing.assert_allclose(first.T, turned, atol=1e-3 * first.max())
    assert np.abs(first - turned).max() > 0.02 * first.max()


@pytest.mark.parametrize("key", ["C13", "phi99", "defocus"])
def test_an_unknown_aberration_is_refused(key):
    with pytest.raises(ValueError, match="aberration must be one of C10, C12"):
        chi(np.array([0.01]), np.array([0.0]), {key: 1.0}, 0.04)


def test_every_aberration_of_the_settings_is_known_to_the_phase():
    values = aberrations(OpticsConfig(C12=1.0, C30=5.0))
    assert values["C30"] == 5.0
    assert np.isfinite(chi(np.array([0.01]), np.array([0.0]), values, 0.04)).all()


@pytest.mark.parametrize(("energy_spread", "nanometres"), [(0.9, 15.7), (0.3, 5.2)])
def test_the_chromatic_spread_is_that_of_the_formula(energy_spread, nanometres):
    spread = chromatic_spread_fwhm_A(80.0, Cc_mm=1.3, energy_spread_eV=energy_spread)
    assert spread / 10 == pytest.approx(nanometres, abs=0.06)


def test_a_negative_energy_spread_is_refused():
    with pytest.raises(ValueError, match="energy_spread_eV at least 0"):
        chromatic_spread_fwhm_A(80.0, Cc_mm=1.3, energy_spread_eV=-1.0)


def test_the_depth_of_field_is_that_of_the_formula():
    assert depth_of_field_A(OpticsConfig()) == pytest.approx(118.0, abs=1.0)  # 11.8 nm at 80 kV, 25 mrad


@pytest.mark.parametrize(("spread", "nodes"), [(50.0, 9), (110.0, 9), (130.0, 15), (400.0, 30)])
def test_more_nodes_where_the_spread_exceeds_the_depth_of_field(spread, nodes):
    quadrature = defocus_quadrature(replace(IDEAL, defocus_spread_fwhm_A=spread))
    assert min(nodes, 20) <= len(quadrature) <= 60
    assert sum(w for w, _ in quadrature) == pytest.approx(1.0, abs=1e-6)
    assert sum(w * s**2 for w, s in quadrature) == pytest.approx((spread / 2.3548) ** 2, rel=1e-3)


@pytest.mark.parametrize("spread", [52.0, 157.0, 300.0])
def test_the_chromatic_average_is_that_of_many_defoci(spread):
    base, shape = replace(IDEAL, C10=-20.0, C30=1e4, C23=300.0), (128, 128)
    defoci = np.linspace(-1.5 * spread, 1.5 * spread, 161)
    weights = np.exp(-4 * np.log(2) * (defoci / spread) ** 2)
    mean = sum(
        w * optical_transfer(replace(base, C10=base.C10 - d), shape, 0.2) for w, d in zip(weights, defoci, strict=True)
    ) / weights.sum()
    result = optical_transfer(replace(base, defocus_spread_fwhm_A=spread), shape, 0.2)
    assert np.abs(result - mean).max() < 2e-3


def test_a_grid_that_just_holds_the_band_limit_has_the_same_transfer():
    optics, field = replace(IDEAL, C23=400.0, phi23=0.3, C12=20.0), (40.0, 44.0)
    fine, coarse = (transfer_tensor(optics, shape, field).numpy() for shape in ((256, 264), (104, 110)))
    np.testing.assert_allclose(coarse[:52, :55], fine[:52, :55], atol=1e-5)


def test_high_orders_turn_with_their_angles():
    values = {"C45": 1e6, "phi45": 0.2, "C54": 1e7, "phi54": 0.1}
    alpha, phi = np.array([0.03]), np.array([0.7])
    expected = 2 * np.pi / 0.04 * (
        1e6 / 5 * 0.03**5 * np.cos(5 * (0.7 - 0.2)) + 1e7 / 6 * 0.03**6 * np.cos(4 * (0.7 - 0.1))
    )
    np.testing.assert_allclose(chi(alpha, phi, values, 0.04), [expected], rtol=1e-9)
