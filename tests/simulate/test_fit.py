from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.detector import apply_detector
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit import Background, fit_session, measure_background, noise_level


@pytest.fixture
def session(draw_crystal):
    drawn = draw_crystal(shape=(256, 256), pixel_size_A=0.15, dose_e_per_A2=5e4)
    return drawn, match(drawn.image, MatchConfig(material="WSe2"))


def test_the_drawn_dose_and_source_size_are_found(session):
    drawn, found = session
    fit = fit_session(drawn.image, found)
    assert fit.dose_e_per_A2 == pytest.approx(5e4, rel=0.25)
    assert fit.optics.source_size_fwhm_A == pytest.approx(OpticsConfig().source_size_fwhm_A, abs=0.2)
    assert fit.gain == pytest.approx(1.0, rel=0.2)
    assert fit.tail_px < 0.3


def test_the_fit_keeps_the_image_s_brightness(session):
    drawn, found = session
    fit = fit_session(drawn.image, found)
    scaled = replace(drawn.image, data=7 * drawn.image.data + 300)
    other = fit_session(scaled, match(scaled, MatchConfig(material="WSe2")))
    assert other.gain == pytest.approx(7 * fit.gain, rel=0.02)
    assert other.dose_e_per_A2 == pytest.approx(fit.dose_e_per_A2, rel=0.02)
    assert other.offset == pytest.approx(7 * fit.offset + 300, abs=0.02 * 7 * float(np.ptp(drawn.image.data)))


def test_an_image_without_a_match_is_not_fitted(session):
    drawn, found = session
    with pytest.raises(ValueError, match="must be matched before it can be simulated: nothing there"):
        fit_session(drawn.image, replace(found, accepted=False, reason="nothing there"))


def test_white_noise_has_its_level_and_no_tail():
    noise = np.random.default_rng(0).normal(0, 3.0, (256, 256)).astype(np.float32)
    level, tail = noise_level(noise, 0.2)
    assert level == pytest.approx(3.0, rel=0.05)
    assert tail < 0.1


@pytest.mark.parametrize("tail_px", [0.4, 0.8, 1.2])
def test_the_detector_s_decay_and_the_noise_before_it_are_found(tail_px):
    detector = DetectorConfig(dose_e_per_A2=1e5, tail_px=tail_px)
    flat = np.full((256, 256), 0.1, np.float32)  # 400 electrons a pixel: noise of 20
    counted = apply_detector(flat, 0.2, detector, np.random.default_rng(0))
    level, tail = noise_level(counted, 0.3)
    assert tail == pytest.approx(tail_px, rel=0.1)
    assert level == pytest.approx(20.0, rel=0.05)


def test_a_drawn_background_has_the_measured_quantiles():
    quantiles = np.linspace(0, 2, 201) ** 2
    frequency = np.linspace(0, 0.3, 40)
    background = Background(frequency, np.exp(-((frequency / 0.02) ** 2)), quantiles)
    field = background.draw((128, 128), 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(np.quantile(field, [0.1, 0.5, 0.9]), np.quantile(quantiles, [0.1, 0.5, 0.9]), rtol=0.05)
    assert np.abs(np.diff(field, axis=0)).mean() < 0.1 * field.std()  # slow, as its spectrum says


def test_contamination_widens_the_measured_background(draw_crystal):
    spreads = []
    for amount in (0.0, 0.5):
        drawn = draw_crystal(dose_e_per_A2=2e5, contamination=amount, seed=2)
        found = match(drawn.image, MatchConfig(material="WSe2"))
        spreads.append(np.ptp(measure_background(drawn.image.data, found).quantiles[10:-10]))
    assert spreads[1] > 4 * spreads[0]
