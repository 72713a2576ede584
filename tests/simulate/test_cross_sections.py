import pytest

from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2, wavelength_A

# Molière values in 1e-3 Å² for C, O, S, Se, Mo, W (docs: SCIENCE 2.4), by (keV, inner, outer).
TABLE = {
    (60.0, 60.0, 200.0): (1.18, 2.15, 6.81, 23.59, 30.31, 58.47),
    (80.0, 63.0, 200.0): (0.66, 1.19, 4.13, 14.87, 19.44, 39.71),
    (80.0, 25.0, 200.0): (3.23, 5.20, 14.77, 44.20, 62.39, 113.4),
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
