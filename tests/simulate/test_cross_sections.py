import numpy as np
import pytest

from napari_stem_gan.simulate.cross_sections import (
    _moliere_amplitude,
    _seen_fraction,
    partial_cross_section_A2,
    wavelength_A,
)

# Molière values in 1e-3 Å² for C, O, S, Se, Mo, W (docs: SCIENCE 2.4), by (keV, inner, outer).
TABLE = {
    (60.0, 60.0, 200.0): (1.18, 2.15, 6.81, 23.59, 30.31, 58.47),
    (80.0, 63.0, 200.0): (0.66, 1.19, 4.13, 14.87, 19.44, 39.71),
    (80.0, 25.0, 200.0): (3.23, 5.20, 14.77, 44.20, 62.39, 113.4),
    (200.0, 80.0, 200.0): (0.09, 0.16, 0.61, 2.39, 3.50, 8.29),
    (300.0, 60.0, 200.0): (0.09, 0.15, 0.59, 2.31, 3.40, 8.28),
}
ELEMENTS = ("C", "O", "S", "Se", "Mo", "W")
CASES = [(*angles, e, v) for angles, row in TABLE.items() for e, v in zip(ELEMENTS, row, strict=True)]


@pytest.mark.parametrize(("energy", "inner", "outer", "element", "expected"), CASES)
def test_cross_sections_are_within_two_per_cent_of_the_table(energy, inner, outer, element, expected):
    value = partial_cross_section_A2(element, energy, inner, outer)
    assert value * 1e3 == pytest.approx(expected, rel=0.02, abs=0.006)  # the table has two decimals


@pytest.mark.parametrize(("energy", "picometres"), [(60.0, 4.866), (80.0, 4.176), (200.0, 2.508), (300.0, 1.969)])
def test_the_wavelength_is_relativistic(energy, picometres):
    assert wavelength_A(energy) * 100 == pytest.approx(picometres, abs=6e-4)


def test_a_wider_detector_collects_the_sum_of_its_parts():
    parts = partial_cross_section_A2("Se", 80, 63, 120) + partial_cross_section_A2("Se", 80, 120, 200)
    assert parts == pytest.approx(partial_cross_section_A2("Se", 80, 63, 200), rel=1e-3)


def test_an_unknown_element_is_refused():
    with pytest.raises(ValueError, match="element must be a symbol"):
        partial_cross_section_A2("Xx", 80, 63, 200)


@pytest.mark.parametrize(
    ("element", "multislice"), [("C", 0.77), ("S", 4.58), ("Se", 16.39), ("Mo", 21.57), ("Te", 28.98), ("W", 42.64)]
)
def test_the_mean_over_the_probes_directions_is_the_multislice_value_of_an_atom(element, multislice):
    value = partial_cross_section_A2(element, 80, 63, 200, convergence_mrad=25)
    assert value * 1e3 == pytest.approx(multislice, rel=0.02)  # SCIENCE 2.4, abTEM, 25 mrad


def test_a_narrow_probe_sees_the_scattering_angles_themselves():
    narrow = partial_cross_section_A2("W", 80, 63, 200, convergence_mrad=1e-3)
    assert narrow == pytest.approx(partial_cross_section_A2("W", 80, 63, 200), rel=1e-4)


@pytest.mark.parametrize("convergence", [10.0, 25.0, 70.0])
def test_the_mean_over_directions_is_that_of_drawn_directions(convergence):
    rng = np.random.default_rng(0)
    angle, turn = rng.uniform(0, 0.4, 200_000), rng.uniform(0, 2 * np.pi, (2, 200_000))
    radius = 1e-3 * convergence * np.sqrt(rng.uniform(0, 1, 200_000))
    final = np.abs(radius * np.exp(1j * turn[0]) + angle * np.exp(1j * turn[1]))
    seen = ((final >= 0.063) & (final <= 0.2)).mean()
    expected = np.trapezoid(_seen_fraction(np.linspace(0, 0.4, 4001), 0.063, 0.2, 1e-3 * convergence), dx=1e-4) / 0.4
    assert expected == pytest.approx(seen, abs=0.004)


@pytest.mark.parametrize("angles", [(80.0, 63.0, 200.0), (300.0, 10.0, 300.0), (30.0, 0.0, 150.0)])
def test_the_quadrature_is_exact_to_one_in_ten_thousand(angles):
    energy, inner, outer = angles
    nodes, weights = np.polynomial.legendre.leggauss(300)
    theta = 1e-3 * (0.5 * (outer + inner) + 0.5 * (outer - inner) * nodes)
    amplitude = _moliere_amplitude("Mo", energy, theta / wavelength_A(energy))
    exact = 0.5e-3 * (outer - inner) * (weights * 2 * np.pi * np.abs(amplitude) ** 2 * theta).sum()
    assert partial_cross_section_A2("Mo", *angles) == pytest.approx(exact, rel=1e-4)
