import math

import numpy as np
import pytest

from napari_stem_gan.simulate.aberrations import ABERRATIONS, optics_with, read_aberrations
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", {}),
        ("C23=50 nm, phi23=0.3", {"C23": 500.0, "phi23": 0.3}),
        ("C23a = 10; C23b: −5 pm", {"C23a": 10.0, "C23b": -0.05}),
        ("A2=0.05µm\nphiA2=20 deg", {"A2": 500.0, "phiA2": math.radians(20)}),
        ("defocus=-3e1 Å, C30=1 mm, phi12=5 mrad", {"defocus": -30.0, "C30": 1e7, "phi12": 0.005}),
        ('{"C23": 500, "phi23": "17 °", "C12": "2 nm"}', {"C23": 500.0, "phi23": math.radians(17), "C12": 20.0}),
    ],
)
def test_a_line_of_aberrations_is_read_with_its_units(text, meant):
    assert read_aberrations(text) == pytest.approx(meant)


def test_a_line_may_name_a_file(tmp_path):
    file = tmp_path / "titan.JSON"
    file.write_text('{"C12a": 12, "C23": "40 nm"}')
    assert read_aberrations(str(file)) == {"C12a": 12.0, "C23": 400.0}
    config = SimulateConfig(optics=OpticsConfig(C30=5e3, C23=7.0), aberrations=str(file))
    assert (config.probe.C12, config.probe.C23, config.probe.C30) == (12.0, 400.0, 5e3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("C99=3", "aberration must be one of C10, .*, got 'C99'; rename it"),
        ("C23=50 rad", "the unit of C23 must be one of Å, pm, nm, um, mm, got 'rad'; write C23=50 nm"),
        ("phi23=5 nm", "the unit of phi23 must be one of rad, mrad, deg, got 'nm'; write phi23=0.3 rad"),
        ("C23=many", "aberration C23 must be a number, got 'many'; write it as C23=50 nm"),
        ("C23=nan", "aberration C23 must be a number, got 'nan'"),
        ("C23 50 nm", "aberrations must be written as C23=50 nm, .*, got 'C23 50 nm'; rewrite it"),
        ("C23=1, C23=2", "aberration C23 must be given once, got it twice; drop one"),
        ("C23=1, A2=2", "aberration C23 must be given once, got 'A2' beside another name; drop one"),
        ('{"C23": true}', "aberration C23 must be a number, got 'True'"),
        ('{"C23": 1, "C23": 2}', "aberration C23 must be given once"),
        ('{"C23": ', "the line of aberrations must hold JSON such as"),
    ],
)
def test_a_line_that_cannot_be_understood_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        SimulateConfig(aberrations=text)


def test_a_file_that_cannot_be_used_is_refused_when_it_is_needed(tmp_path):
    missing = SimulateConfig(aberrations=str(tmp_path / "gone.json"))  # settings outlive their files
    with pytest.raises(ValueError, match=r"must come from a readable file, got '.*gone.json' \(No such file"):
        _ = missing.probe
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"the file '.*list.json' must hold one dictionary .*, got \[1, 2\]"):
        read_aberrations(str(tmp_path / "list.json"))
