from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.stack import pair_stack_factor

OPTICS = OpticsConfig(thermal_rms_A=0.06)


@pytest.mark.parametrize(("thermal", "multislice"), [(0.06, 1.149), (0.0, 1.098)])
def test_two_selenium_atoms_are_as_bright_as_by_multislice(thermal, multislice):
    factor = pair_stack_factor("Se", 3.36, replace(OPTICS, thermal_rms_A=thermal))
    assert factor == pytest.approx(multislice, rel=0.015)  # abTEM, benchmarks/multislice.py


def test_ratio_of_a_vacancy_column_and_of_the_metal_agree_with_multislice():
    factor = pair_stack_factor("Se", 3.36, OPTICS)
    metal, anion = (partial_cross_section_A2(e, 80, 63, 200) for e in ("W", "Se"))
    assert 2 * factor * anion / metal == pytest.approx(0.851, rel=0.03)
    assert 1 / (2 * factor) == pytest.approx(0.436, rel=0.03)


def test_heavier_atoms_focus_more():
    factors = [pair_stack_factor(e, 3.36, OPTICS) for e in ("O", "S", "Se", "Te")]
    assert np.all(np.diff(factors) > 0)
    assert factors[0] == pytest.approx(1.05, abs=0.05)


@pytest.mark.parametrize(
    ("spacing", "optics", "message"),
    [(0.0, OPTICS, "spacing_A must be positive"), (3.0, replace(OPTICS, adf_outer_mrad=900.0), "smaller outer angle")],
)
def test_what_cannot_be_computed_is_refused(spacing, optics, message):
    with pytest.raises(ValueError, match=message):
        pair_stack_factor("Se", spacing, optics)
