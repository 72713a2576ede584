import numpy as np
import pytest
import torch

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.fast_scan import fast_scan_kernel
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit import fit_session
from napari_stem_gan.simulate.fit_aberrations import FITTED
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image
from napari_stem_gan.simulate.probe_problem import decay_transfer

ORDER = {"C12": 2, "C21": 1, "C23": 3}


def fitted(material, optics, *, dose=5e4, side=640, start=None, known=(), **scan):
    rng = np.random.default_rng(0)
    crystal = get_material(material)
    place = Field(
        material=crystal, vectors_px=lattice_vectors_px(crystal, 0.18, 11.0), origin_px=(3.0, 7.0),
        shape=(side, side), pixel_size_A=0.18,
    )  # fmt: skip
    ideal = ideal_image(place, optics, DefectConfig(), rng)
    drawn = Degradation(scan=ScanConfig(**scan), detector=DetectorConfig(dose_e_per_A2=dose))
    image = degrade(ideal, drawn, rng).image
    return fit_session(image, match(image, MatchConfig(material=material)), start, known)


def components(optics, name):
    value = getattr(optics, name) * np.exp(1j * ORDER[name] * getattr(optics, f"phi{name[1:]}"))
    return np.array([value.real, value.imag])


@pytest.mark.parametrize("material", ["WSe2", "MoS2", "SrTiO3"])
def test_drawn_aberrations_are_found_within_their_errors(material):
    optics = OpticsConfig(C10=-30.0, C12=12.0, phi12=0.5, C21=150.0, phi21=2.0, C23=300.0, phi23=1.0)
    fit = fitted(material, optics)
    assert abs(fit.optics.C10 + 30) < 3 * fit.errors["C10"] + 1
    assert fit.optics.source_size_fwhm_A == pytest.approx(0.8, abs=3 * fit.errors["source_size_fwhm_A"] + 0.01)
    for name in ORDER:
        np.testing.assert_allclose(
            components(fit.optics, name), components(optics, name), atol=3 * fit.errors[name]
        )
    assert fit.errors["C23"] < 100
    assert fit.errors["C12"] < 4


def test_three_fold_astigmatism_is_not_taken_for_bright_columns():
    fit = fitted("WSe2", OpticsConfig(C23=400.0, phi23=0.3))
    assert fit.column_ratios["Se"] / fit.column_ratios["W"] == pytest.approx(1.0, abs=0.05)


def test_of_two_probes_that_look_alike_the_underfocused_one_is_taken():
    over, under = (
        fitted("WSe2", OpticsConfig(C10=sign * 30.0, C12=12.0, phi12=0.5 if sign < 0 else 0.5 + np.pi / 2)).optics
        for sign in (1, -1)
    )
    assert over.C10 == pytest.approx(under.C10, abs=2) == pytest.approx(-30, abs=3)
    np.testing.assert_allclose(components(over, "C12"), components(under, "C12"), atol=2)


def test_the_probe_nearer_to_the_given_one_is_taken():
    start = OpticsConfig(C10=20.0)
    assert abs(fitted("WSe2", OpticsConfig(C10=30.0), start=start).optics.C10 - 30) < 4


def test_what_a_faint_image_cannot_tell_stays_as_given_with_a_large_error():
    fit = fitted("WSe2", OpticsConfig(C21=100.0, C23=100.0), dose=300.0, side=320)
    for name in ("C21", "C23"):
        assert fit.errors[name] > 150
        if fit.errors[name] > 0.6 * FITTED[name]:
            assert getattr(fit.optics, name) == 0


@pytest.mark.parametrize(("length", "share"), [(1.5, 0.2), (1.0, 0.9)])
def test_smear_of_the_signal_is_found_with_its_shape(length, share):
    fit = fitted("MoS2", OpticsConfig(), smear_px=length, smear_lorentzian=share)
    assert fit.scan.smear_px == pytest.approx(length, abs=3 * fit.errors["smear_px"])
    assert fit.scan.smear_lorentzian == pytest.approx(share, abs=3 * fit.errors["smear_lorentzian"])
    assert fit.errors["smear_px"] < 0.3
    assert fit.tail_px == 0


def test_coma_is_not_taken_for_smear():
    fit = fitted("WSe2", OpticsConfig(C21=400.0, phi21=0.0))
    assert fit.scan.smear_px == 0
    assert components(fit.optics, "C21")[0] == pytest.approx(400, abs=3 * fit.errors["C21"])


def test_the_decay_is_the_one_that_images_are_smeared_with():
    values = (torch.tensor([v], dtype=torch.float64).view(1, 1, 1, 1) for v in (1.3, 0.4, 0.0))
    kernel = fast_scan_kernel(*values)[0].numpy()
    at, frequency = np.arange(len(kernel)), np.array([0.0, 0.1, 0.37])
    expected = np.exp(-2j * np.pi * frequency[:, None] * (at - kernel @ at)) @ kernel
    np.testing.assert_allclose(decay_transfer(1.3, 0.4, frequency), expected, atol=1e-12)


def test_what_is_known_exactly_stays_and_the_source_size_belongs_to_it():
    truth = OpticsConfig(C10=-30.0, C12=12.0, phi12=0.5, C23=300.0, phi23=1.0, source_size_fwhm_A=0.9)
    fit = fitted("WSe2", truth, start=OpticsConfig(C23=300.0, phi23=1.0), known=("C23",))
    assert (fit.optics.C23, fit.optics.phi23) == (pytest.approx(300.0), pytest.approx(1.0))
    assert fit.errors["C23"] == 0
    np.testing.assert_allclose(components(fit.optics, "C12"), components(truth, "C12"), atol=3 * fit.errors["C12"])
    assert fit.optics.source_size_fwhm_A == pytest.approx(0.9, abs=0.05)
