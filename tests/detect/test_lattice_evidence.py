import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.detect.lattice_evidence import SiteEvidence, site_evidence
from napari_stem_gan.detect.positions import fit_columns

FWHM_PX = 1.2 / 0.2  # of the drawn probe


def evidence_of(drawn):
    sites = true_sites(drawn)
    return sites, site_evidence(fit_columns(drawn.image.data, sites, FWHM_PX * 0.2 / drawn.image.pixel_size_A), sites)


def at_defects(sites, drawn, kind="V_X"):
    """Indices of the sites of planted defects, away from the rim."""
    own = np.array(drawn.parameters["kinds"]) == kind
    places = drawn.positions_px[own]
    places = places[((places > 12) & (places < np.array(drawn.image.shape) - 12)).all(1)]
    return cKDTree(sites.positions_px).query(places)[1]


def inner(sites, drawn):
    return ((sites.positions_px > 12) & (sites.positions_px < np.array(drawn.image.shape) - 12)).all(1)


def test_a_single_vacancy_has_the_brightness_of_one_atom_of_two(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, seed=1)
    sites, evidence = evidence_of(drawn)
    index = at_defects(sites, drawn)
    assert len(index) > 8
    np.testing.assert_allclose(evidence.ratio[index], 1 / (2 * 1.17), atol=0.08)  # SCIENCE 2.4: 0.43
    others = np.setdiff1d(np.flatnonzero(inner(sites, drawn)), index)
    np.testing.assert_allclose(evidence.ratio[others], 1.0, atol=0.12)
    assert evidence.ratio[others].std() < 0.04


def test_empty_sites_are_dark(draw_crystal):
    drawn = draw_crystal(double_vacancy=0.04, metal_vacancy=0.04, seed=1)
    sites, evidence = evidence_of(drawn)
    for kind in ("V_2X", "V_M"):
        assert np.abs(evidence.ratio[at_defects(sites, drawn, kind)]).max() < 0.15


def test_a_vacancy_stands_out_of_noise_and_clouds(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, dose_e_per_A2=5e4, contamination=0.3, seed=1)
    sites, evidence = evidence_of(drawn)
    index = at_defects(sites, drawn)
    others = np.setdiff1d(np.flatnonzero(inner(sites, drawn) & (sites.column == 1)), index)
    assert np.median(evidence.z_score[index]) > 4
    assert np.median(np.abs(evidence.z_score[others])) < 1


def test_what_is_missing_is_counted_in_standard_errors(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, dose_e_per_A2=5e4, seed=1)
    sites, evidence = evidence_of(drawn)
    index = at_defects(sites, drawn)
    whole = np.setdiff1d(np.flatnonzero(inner(sites, drawn) & (sites.column == 1)), index)
    assert np.median(evidence.significance[index]) > 6
    assert np.abs(np.median(evidence.significance[whole])) < 0.5
    assert 0.8 < evidence.significance[whole].std() < 1.25


def test_odds_are_those_of_two_bell_curves():
    ones = np.ones(3)
    evidence = SiteEvidence(np.array([1.0, 0.5, 0.75]), *(ones,) * 2, 0.08 * ones, *(ones,) * 4)
    half = 0.25 / (2 * (0.08**2 + 0.06**2))
    np.testing.assert_allclose(evidence.odds_of(0.5), [-half, half, 0.0], atol=1e-9)


def test_brightness_and_offset_do_not_matter(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, seed=1)
    sites = true_sites(drawn)
    first = site_evidence(fit_columns(drawn.image.data, sites, FWHM_PX), sites)
    second = site_evidence(fit_columns(1000 * drawn.image.data + 20, sites, FWHM_PX), sites)
    np.testing.assert_allclose(first.ratio, second.ratio, atol=0.01)
    assert first.background.mean() == pytest.approx(second.background.mean(), abs=0.02)


def test_surroundings_are_poor_at_a_rim_and_full_inside(draw_crystal):
    drawn = draw_crystal(seed=1)
    light = drawn.image.data.copy()
    light[:, 128:] = 0
    sites = true_sites(drawn)
    evidence = site_evidence(fit_columns(light, sites, FWHM_PX), sites)
    x = sites.positions_px[:, 1]
    assert evidence.surroundings[x < 80].min() > 0.9
    assert evidence.surroundings[np.abs(x - 130) < 8].max() < 0.75


def test_surroundings_are_full_whatever_the_noise(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.03, dose_e_per_A2=3e3, seed=1)
    sites, evidence = evidence_of(drawn)
    assert np.median(evidence.error) > 0.1
    assert np.median(evidence.surroundings[inner(sites, drawn)]) > 0.97


def test_what_is_no_column_is_a_misfit(draw_crystal):
    drawn = draw_crystal(seed=1, dose_e_per_A2=1e5)
    light, sites = drawn.image.data.copy(), true_sites(drawn)
    place = sites.positions_px[np.hypot(*(sites.positions_px - 100).T).argmin()]
    y, x = (int(v) for v in place + 3)
    light[y : y + 2, x : x + 2] += 30 * light.std()
    misfit = site_evidence(fit_columns(light, sites, FWHM_PX), sites).misfit
    far = np.hypot(*(sites.positions_px - place).T) > 30
    assert misfit[~far].max() > 5
    assert 0.7 < np.median(misfit[far]) < 1.3


def test_odds_among_several_are_the_mean_of_their_likelihood_ratios():
    ratio, error = np.array([0.5, 1.0, 1.8]), np.full(3, 0.08)
    blank = np.ones(3)
    evidence = SiteEvidence(ratio, blank, blank, error, blank, blank, blank, blank)
    single = [np.exp(evidence.odds_among([r])) for r in (0.6, 1.8)]
    np.testing.assert_allclose(np.exp(evidence.odds_among([0.6, 1.8])), np.mean(single, 0))
    assert (evidence.odds_among([0.6, 1.8]) > 0).tolist() == [True, False, True]
    np.testing.assert_allclose(evidence.odds_among([1.0]), 0.0, atol=1e-12)
    assert (evidence.odds_among([]) == -np.inf).all()
