"""Numbers by hand take the place of fitted ones, exactly; the rest is drawn around the fit."""

from dataclasses import fields, replace

import numpy as np
import pytest

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.degrade.config import ContaminationConfig, DetectorConfig, ScanConfig
from napari_stem_gan.simulate.background import Background
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.simulate.fit import SessionFit
from napari_stem_gan.simulate.instrument import InstrumentConfig, fitted_values
from napari_stem_gan.simulate.session import session_pairs

FITTED = DetectorConfig(
    dose_e_per_A2=1e4, gain=2.0, offset=100.0, pmt_spread=0.5, row_offset_e=3.0, saturation_e=900.0
)
MEASURED = {
    "contamination_amount": 0.5, "contamination_skew": 1.0, "contamination_patch_length_nm": 1.7,
    "contamination_grain_amount": 0.2, "contamination_grain_length_nm": 0.3,
}  # fmt: skip


@pytest.fixture
def match():
    vectors = 16.4 * np.array([[0.0, 1.0], [np.sqrt(3) / 2, 0.5]])
    return LatticeMatch(accepted=True, reason="", material="WSe2", pixel_size_A=0.2, nominal_pixel_size_A=0.2,
                        lattice_vectors_px=vectors)


@pytest.fixture
def fit():
    frequency = np.linspace(0.005, 1.0, 64)
    field = Background(frequency, np.exp(-((20 * frequency) ** 2)), 0.1 + np.linspace(0, 0.8, 201) ** 2)
    return SessionFit(OpticsConfig(), FITTED, ScanConfig(jitter_x_px=0.3, jitter_y_px=0.2), 0.02, field)


def drawn(match, fit, *, size_px=96, **settings):
    (pair,) = session_pairs([match], [fit], SimulateConfig(count=1, size_px=size_px, **settings))
    return pair


def test_everything_that_is_drawn_can_be_set():
    names = {field.name for field in fields(InstrumentConfig)}
    ours = {field.name for kind in (ScanConfig, DetectorConfig) for field in fields(kind)} - {"frames"}
    more = {f"contamination_{f.name}" for f in fields(ContaminationConfig)} - {"contamination_clusters_per_100nm2"}
    assert names == ours | more | {"clusters_per_100nm2"}
    assert {name for section in InstrumentConfig.SECTIONS.values() for name in section} == names


@pytest.mark.parametrize(
    ("name", "value"),
    [("jitter_x_px", -1.0), ("gain", 0.0), ("dose_e_per_A2", float("nan")), ("contamination_amount", -0.1),
     ("contamination_fine_nm", 0.0), ("clusters_per_100nm2", -2.0), ("ringing", 1.0), ("wander_rows", 0.0)],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_in_the_words_of_its_own_config(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {value}; "):
        InstrumentConfig(**{name: value})


def test_a_lag_is_compared_with_its_own_length_or_the_fitted_one():
    far = InstrumentConfig(flyback_px=20.0)
    with pytest.raises(ValueError, match="flyback_length_px must exceed flyback_px, got 12.0 and 20.0"):
        far.scan(ScanConfig())
    assert far.scan(ScanConfig(flyback_length_px=40.0)).flyback_px == 20.0
    with pytest.raises(ValueError, match="flyback_length_px must exceed"):
        InstrumentConfig(flyback_px=20.0, flyback_length_px=3.0)


def test_a_dose_alone_changes_the_noise_and_not_the_brightness():
    near = replace(FITTED, dose_e_per_A2=1.1e4)
    made = InstrumentConfig(dose_e_per_A2=500.0).detector(near, FITTED)
    assert made.dose_e_per_A2 == 500.0
    assert made.dose_e_per_A2 * made.gain == pytest.approx(FITTED.dose_e_per_A2 * FITTED.gain)
    for name in ("row_offset_e", "saturation_e"):
        assert getattr(made, name) * made.gain == pytest.approx(getattr(FITTED, name) * FITTED.gain)
    assert (made.offset, made.pmt_spread) == (FITTED.offset, FITTED.pmt_spread)


def test_dose_and_gain_by_hand_are_both_exact():
    made = InstrumentConfig(dose_e_per_A2=500.0, gain=7.0).detector(FITTED, FITTED)
    assert (made.dose_e_per_A2, made.gain, made.row_offset_e) == (500.0, 7.0, FITTED.row_offset_e)


def test_a_spread_alone_keeps_brightness_and_noise():
    made = InstrumentConfig(pmt_spread=0.0).detector(FITTED, FITTED)
    assert made.gain * made.dose_e_per_A2 == pytest.approx(FITTED.gain * FITTED.dose_e_per_A2)
    assert made.gain == pytest.approx(FITTED.gain * (1 + FITTED.pmt_spread**2))  # variance = gain² electrons (1 + s²)


def test_empty_numbers_of_contamination_come_from_the_fit():
    made = InstrumentConfig(contamination_amount=0.3).contamination(MEASURED)
    assert (made.amount, made.coarse_nm, made.fine_nm, made.fine_fraction) == (0.3, 1.7, 0.3, 0.4)
    assert InstrumentConfig(gain=2.0).contamination(MEASURED) is None


@pytest.mark.parametrize("skew", [0.0, 0.4, 1.2])
def test_a_fitted_skewness_becomes_the_setting_that_draws_it(skew):
    s = 0.6 * skew  # of a log-normal distribution: its skewness by the textbook
    skewness = (np.exp(s * s) + 2) * np.sqrt(np.exp(s * s) - 1)
    made = InstrumentConfig(contamination_amount=0.1).contamination({**MEASURED, "contamination_skew": skewness})
    assert made.skew == pytest.approx(skew, abs=0.01)


def test_fitted_values_stand_for_the_empty_fields(fit):
    values = fitted_values(fit.to_dict())
    assert (values["dose_e_per_A2"], values["jitter_x_px"], values["bad_pixel_fraction"]) == (1e4, 0.3, 0.0)
    assert values["contamination_amount"] == pytest.approx(fit.background.amount)
    assert "clusters_per_100nm2" not in values  # part of the fitted field
    assert fitted_values({"errors": {}}) == {}


def test_numbers_by_hand_are_drawn_without_spread_and_stored(match, fit):
    by_hand = {"jitter_x_px": 0.9, "ringing": 0.2, "row_noise": 0.01, "offset": -5.0}
    found = drawn(match, fit, instrument=InstrumentConfig(**by_hand)).parameters
    degradation = found["degradation"]
    assert found["by_hand"] == by_hand
    assert (degradation["scan"]["jitter_x_px"], degradation["scan"]["ringing"]) == (0.9, 0.2)
    assert (degradation["detector"]["row_noise"], degradation["detector"]["offset"]) == (0.01, -5.0)
    assert degradation["scan"]["jitter_y_px"] not in (0.0, 0.2)  # drawn around the fit


def test_nothing_by_hand_is_today_s_instrument(match, fit):
    parameters = drawn(match, fit).parameters
    assert "by_hand" not in parameters
    assert parameters["contamination"]["contamination_amount"] == pytest.approx(fit.background.amount)


def test_a_low_dose_by_hand_is_noisier_and_as_bright(match, fit):
    few, many = (drawn(match, fit, instrument=InstrumentConfig(dose_e_per_A2=d)).image.data for d in (200.0, 1e6))
    assert few.mean() == pytest.approx(many.mean(), rel=0.02)
    assert few.std() > 1.5 * many.std()


def test_contamination_by_hand_replaces_today_s_field_over_its_even_brightness(match, fit):
    exact = InstrumentConfig(contamination_amount=0.0, dose_e_per_A2=1e7, offset=0.0)
    clean = drawn(match, fit, instrument=exact)
    heavy = drawn(match, fit, instrument=replace(exact, contamination_amount=0.6))
    assert clean.parameters["degradation"]["contamination"]["amount"] == 0.0
    assert heavy.parameters["contamination"]["even"] == pytest.approx(0.1)
    assert heavy.image.data.std() > 1.2 * clean.image.data.std()
    none = replace(fit, background=fit.background.lifted(-0.1))
    lower = drawn(match, none, instrument=exact).image.data.mean()
    unit = fit.contrast * FITTED.gain * FITTED.dose_e_per_A2 * 0.2**2  # in image units
    assert clean.image.data.mean() - lower == pytest.approx(0.1 * unit, rel=0.05)


def test_known_aberrations_are_drawn_exactly_and_the_others_around_the_fit(match, fit):
    parameters = drawn(match, fit, aberrations="C23=50 nm, phi23=0.3").parameters
    assert parameters["by_hand"] == {"C23": pytest.approx(500.0), "phi23": 0.3}
    optics = parameters["optics"]
    assert (optics["C23"], optics["phi23"]) == (pytest.approx(500.0), 0.3)
    assert optics["C21"] > 0
    ideal = drawn(match, fit, aberrations="A2=20 nm", degrade=False).parameters["optics"]
    assert ideal["C23"] == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("", ()), ("C23=50 nm, phi23=0.3", ("C23",)), ("A2=20 nm, C1=3 nm", ("C10", "C23")),
        ("C23a=5 nm", ("C23",)), ("phi23=0.3", ()),
    ],
)  # fmt: skip
def test_an_aberration_is_known_when_its_size_is(text, known):
    assert SimulateConfig(aberrations=text).known_aberrations == known
