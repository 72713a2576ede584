import math

import numpy as np
import pytest

from napari_stem_gan.simulate.aberrations import ABERRATIONS, optics_with
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.probe import aberrations, chi

ALPHA, PHI = np.meshgrid(np.linspace(0.001, 0.03, 7), np.linspace(0, 6, 11))


def phase(**coefficients):
    optics = optics_with(OpticsConfig(), coefficients)
    return chi(ALPHA, PHI, aberrations(optics), 0.04)


def test_every_aberration_and_angle_is_a_setting():
    known = {*ABERRATIONS, *(f"phi{n[1:]}" for n, (_, order) in ABERRATIONS.items() if order)}
    assert set(aberrations(OpticsConfig())) == known
    assert len(known) == 14 + 11


@pytest.mark.parametrize("name", [n for n, (_, order) in ABERRATIONS.items() if order])
def test_components_are_the_polar_pair(name):
    power, order = ABERRATIONS[name]
    scale = 2 * np.pi / 0.04 * ALPHA**power / power
    expected = scale * (30.0 * np.cos(order * PHI) - 40.0 * np.sin(order * PHI))
    np.testing.assert_allclose(phase(**{f"{name}a": 30.0, f"{name}b": -40.0}), expected, atol=1e-9)
    optics = optics_with(OpticsConfig(), {f"{name}a": 30.0, f"{name}b": -40.0})
    assert getattr(optics, name) == pytest.approx(50.0)
    assert getattr(optics, f"phi{name[1:]}") == pytest.approx(math.atan2(-40, 30) / order)


@pytest.mark.parametrize(
    ("ceos", "krivanek"),
    [
        ({"A1": 20.0, "phiA1": 0.3}, {"C12": 20.0, "phi12": 0.3}),
        ({"B2": 100.0, "phiB2": 0.2}, {"C21": 300.0, "phi21": 0.2}),
        ({"A2": 500.0}, {"C23": 500.0}),
        ({"S3": 1e3, "phiS3": 1.0}, {"C32": 4e3, "phi32": 1.0}),
        ({"A3": 1e4}, {"C34": 1e4}),
        ({"C1": -50.0, "C3": 1e4}, {"C10": -50.0, "C30": 1e4}),
        ({"defocus": 80.0}, {"C10": -80.0}),
    ],
)
def test_names_of_correctors_mean_the_same_as_ours(ceos, krivanek):
    assert optics_with(OpticsConfig(), ceos) == optics_with(OpticsConfig(), krivanek)


def test_what_the_dictionary_does_not_name_stays():
    optics = optics_with(OpticsConfig(energy_keV=60.0, C30=5e3), {"C12": 10.0})
    assert (optics.energy_keV, optics.C30, optics.C12) == (60.0, 5e3, 10.0)


@pytest.mark.parametrize("key", ["C13", "C24a", "C30a", "phi10", "phiC1", "A9", "Cs", ""])
def test_an_unknown_key_is_named_with_those_that_are_known(key):
    with pytest.raises(ValueError, match=rf"aberration must be one of C10, C12.*A1.*, got '{key}'"):
        optics_with(OpticsConfig(), {key: 1.0})


@pytest.mark.parametrize(
    "mapping",
    [{"C12": 1.0, "A1": 2.0}, {"C12": 1.0, "C12a": 2.0}, {"C12a": 1.0, "phi12": 2.0}, {"C10": 1.0, "defocus": 1.0}],
)
def test_an_aberration_said_twice_is_refused(mapping):
    with pytest.raises(ValueError, match="must be given once"):
        optics_with(OpticsConfig(), mapping)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="must be"):
        optics_with(OpticsConfig(), {"C23": value})
    with pytest.raises(ValueError, match="C23 must be a finite number"):
        OpticsConfig(C23=value)
