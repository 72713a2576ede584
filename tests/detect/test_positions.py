import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.detect import positions
from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.detect.positions import fit_columns

FWHM_PX = 1.15 / 0.2  # of the drawn probe at 0.2 Å a pixel


def fitted(drawn, fwhm_px=FWHM_PX):
    """Sites, their fit, the true places of the columns that are still there, and which sites those are."""
    sites = true_sites(drawn, margin_px=fwhm_px)
    fit = fit_columns(drawn.image.data, sites, fwhm_px)
    true = drawn.columns_px
    true = true[((true > 3 * fwhm_px) & (true < np.array(drawn.image.shape) - 3 * fwhm_px)).all(1)]
    return sites, fit, true, cKDTree(sites.positions_px).query(true)[1]


def test_displaced_columns_are_found_to_a_hundredth_of_a_pixel(draw_crystal):
    drawn = draw_crystal(jitter_A=0.04, single_vacancy=0.05, seed=3)
    sites, fit, true, index = fitted(drawn)
    assert np.sqrt(((sites.positions_px[index] - true) ** 2).mean()) > 0.15  # they did move
    assert np.sqrt(((fit.positions_px[index] - true) ** 2).mean()) < 0.01


def test_errors_are_as_large_as_they_say(draw_crystal):
    drawn = draw_crystal(jitter_A=0.04, dose_e_per_A2=1e5, shape=(384, 384), seed=3)
    _, fit, true, index = fitted(drawn)
    pull = (fit.positions_px[index] - true) / fit.errors_px[index]
    assert 0.9 < pull.std() < 1.1
    assert np.hypot(*fit.errors_px[index].T).mean() * 20 < 2.0  # pm


def test_noise_along_rows_widens_the_errors(draw_crystal):
    rng = np.random.default_rng(0)
    drawn = draw_crystal(shape=(320, 320), jitter_A=0.04)
    noise = rng.normal(0, 0.03 * drawn.image.data.max(), (320, 324))
    data = drawn.image.data + (noise[:, 4:] + noise[:, 3:-1] + noise[:, 2:-2]).astype(np.float32)
    sites = true_sites(drawn, margin_px=6)
    fit = fit_columns(data, sites, FWHM_PX)
    inner = ((drawn.columns_px > 18) & (drawn.columns_px < 302)).all(1)
    index = cKDTree(sites.positions_px).query(drawn.columns_px[inner])[1]
    pull = (fit.positions_px[index] - drawn.columns_px[inner]) / fit.errors_px[index]
    assert 0.8 < pull.std() < 1.2


def test_a_single_vacancy_keeps_its_share_and_an_empty_site_has_no_place(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.06, metal_vacancy=0.04, seed=1)
    sites, fit, *_ = fitted(drawn)
    kinds = np.array(drawn.parameters["kinds"])
    inner = ((drawn.positions_px > 16) & (drawn.positions_px < np.array(drawn.image.shape) - 16)).all(1)
    single, empty = (
        cKDTree(sites.positions_px).query(drawn.positions_px[inner & (kinds == k)])[1] for k in ("V_X", "V_M")
    )
    usual = np.median(fit.amplitude[sites.column == sites.column[single[0]]])
    np.testing.assert_allclose(fit.amplitude[single] / usual, 1 / (2 * 1.17), atol=0.05)  # SCIENCE 2.4: 0.43
    assert np.abs(fit.amplitude[empty] / usual).max() < 0.05
    assert fit.errors_px[empty].min() > 5 * np.median(fit.errors_px)


def test_fine_pixels_are_averaged_without_moving_columns(draw_crystal):
    drawn = draw_crystal(pixel_size_A=0.07, shape=(500, 521), jitter_A=0.04)
    _, fit, true, index = fitted(drawn, 1.15 / 0.07)
    assert len(true) > 60
    assert np.sqrt(((fit.positions_px[index] - true) ** 2).mean()) < 0.03


def test_parts_do_not_show(draw_crystal, monkeypatch):
    drawn = draw_crystal(jitter_A=0.04, dose_e_per_A2=1e5)
    _, whole, _, index = fitted(drawn)
    monkeypatch.setattr(positions, "PART_PX", 100)
    _, parts, _, _ = fitted(drawn)
    assert np.abs(parts.positions_px - whole.positions_px)[index].max() < 0.02
    np.testing.assert_allclose(parts.errors_px[index], whole.errors_px[index], rtol=0.05)


def test_brightness_and_offset_do_not_matter(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=1e5)
    sites = true_sites(drawn)
    first = fit_columns(drawn.image.data, sites, FWHM_PX)
    second = fit_columns(1000 * drawn.image.data + 2e4, sites, FWHM_PX)
    np.testing.assert_allclose(first.positions_px, second.positions_px, atol=2e-3)
    assert np.median(second.amplitude / first.amplitude) == pytest.approx(1000, rel=1e-3)
    assert np.median(second.background - 1000 * first.background) == pytest.approx(2e4, rel=0.02)


def test_a_width_of_zero_is_refused(draw_crystal):
    drawn = draw_crystal()
    with pytest.raises(ValueError, match="fwhm_px must be positive"):
        fit_columns(drawn.image.data, true_sites(drawn), 0.0)
