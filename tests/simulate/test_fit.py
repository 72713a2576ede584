from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.simulate.fit import fit_session

SCAN = {"jitter_x_px": 0.4, "jitter_y_px": 0.2, "jitter_correlation": 0.5}


@pytest.fixture
def fitted(degraded):
    image, found = degraded(scan=SCAN, amount=0.25, tail_px=0.6, gain=200.0, offset=700.0, source=0.9)
    return image, found, fit_session(image, found)


def test_everything_that_was_drawn_is_found(fitted):
    _, _, fit = fitted
    assert fit.dose_e_per_A2 == pytest.approx(5e4, rel=0.1)
    assert fit.gain == pytest.approx(200, rel=0.1)
    assert fit.offset == pytest.approx(700, abs=4 * fit.errors["offset"])
    assert fit.tail_px == pytest.approx(0.6, abs=0.03)
    assert fit.optics.source_size_fwhm_A == pytest.approx(0.9, abs=0.03)
    assert fit.scan.jitter_x_px == pytest.approx(0.4, rel=0.15)
    assert fit.scan.jitter_y_px == pytest.approx(0.2, rel=0.15)
    assert fit.scan.jitter_correlation == pytest.approx(0.5, abs=0.15)
    assert fit.detector.row_noise < 0.005


def test_every_fitted_number_has_a_standard_error(fitted):
    _, _, fit = fitted
    names = {"dose_e_per_A2", "gain", "offset", "tail_px", "row_noise", "row_offset_e", "source_size_fwhm_A"}
    names |= {"jitter_x_px", "jitter_y_px", "jitter_correlation", "contamination_amount"}
    assert names <= set(fit.errors)
    assert all(np.isfinite(e) and e > 0 for e in fit.errors.values())
    assert fit.to_dict()["errors"] == fit.errors


def test_the_fit_keeps_the_image_s_brightness(fitted):
    image, _, fit = fitted
    scaled = replace(image, data=7 * image.data + 300)
    other = fit_session(scaled, match(scaled, MatchConfig(material="WSe2")))
    assert other.gain == pytest.approx(7 * fit.gain, rel=0.02)
    assert other.dose_e_per_A2 == pytest.approx(fit.dose_e_per_A2, rel=0.02)
    assert other.offset == pytest.approx(7 * fit.offset + 300, abs=0.01 * float(np.ptp(scaled.data)))


def test_jitter_and_tail_are_not_taken_for_source_size(degraded):
    sharp, blurred = (
        fit_session(*degraded(scan=scan, tail_px=tail, dose_e_per_A2=2e5))
        for scan, tail in (({}, 0.0), ({"jitter_x_px": 0.8, "jitter_y_px": 0.8}, 1.0))
    )
    assert sharp.optics.source_size_fwhm_A == pytest.approx(0.8, abs=0.02)
    assert blurred.optics.source_size_fwhm_A == pytest.approx(0.8, abs=0.04)


def test_columns_as_bright_as_simulated_have_a_ratio_of_one(fitted):
    _, _, fit = fitted
    assert fit.column_ratios["W"] == 1.0
    assert fit.column_ratios["Se"] == pytest.approx(1.0, abs=0.04)


def test_an_image_without_a_match_is_not_fitted(fitted):
    image, found, _ = fitted
    with pytest.raises(ValueError, match="must be matched before it can be simulated: nothing there"):
        fit_session(image, replace(found, accepted=False, reason="nothing there"))


@pytest.mark.parametrize("shape", [(96, 160), (176, 112)])
def test_small_and_oblong_images_are_fitted_too(draw_crystal, shape):
    drawn = draw_crystal(shape=shape, dose_e_per_A2=1e5)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    assert found.accepted
    fit = fit_session(drawn.image, found)
    assert fit.dose_e_per_A2 == pytest.approx(1e5, rel=0.4)
    assert fit.optics.source_size_fwhm_A == pytest.approx(0.8, abs=0.1)


def test_an_image_without_noise_is_fitted_too(draw_crystal):
    drawn = draw_crystal()
    fit = fit_session(drawn.image, match(drawn.image, MatchConfig(material="WSe2")))
    assert fit.dose_e_per_A2 > 1e6
    assert fit.tail_px == 0 or fit.errors["tail_px"] > 0
