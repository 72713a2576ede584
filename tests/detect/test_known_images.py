from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.known_images import Today, middle_of, planted, take_apart, without_defects
from napari_stem_gan.detect.lattice_evidence import site_evidence
from napari_stem_gan.detect.positions import fit_columns
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.fit import fit_session


def table_of(drawn) -> PointTable:
    """The truth as a table of sure points."""
    count = len(drawn.positions_px)
    return PointTable.build(
        image="a", frame=0, positions_px=drawn.positions_px, pixel_size_nm=0.02, defects=drawn.defects,
        sublattices=drawn.sublattices, confidence=np.ones(count), extra={"intensity_ratio": np.full(count, 0.43)},
    )  # fmt: skip


@pytest.fixture
def today(vacancies) -> Today:
    drawn, found = vacancies
    return take_apart(drawn.image, found, fit_session(drawn.image, found), table_of(drawn))


def ratios(image: STEMImage, today: Today) -> tuple[np.ndarray, np.ndarray]:
    """Sites on an image and how bright their columns are against their neighbours."""
    sites = today.match.sites(image.shape)
    return sites.positions_px, site_evidence(fit_columns(image.data, sites, today.match.fwhm_A / 0.2), sites).ratio


def inner(today: Today, count: int) -> np.ndarray:
    """Some anion sites in the middle, apart from defects."""
    place = today.sites.positions_px
    anion = np.array([c.role == "anion" for c in today.sites.material.columns])[today.sites.column]
    free = ((place > 30) & (place < np.array(today.image.shape) - 30)).all(1) & anion
    free &= cKDTree(place[today.filled]).query(place)[0] > 20
    return np.flatnonzero(free)[:: max(1, int(free.sum()) // count)]


def test_brightness_missing_at_a_vacancy_is_that_of_one_of_two_atoms(today):
    ratio = 1 + today.excess / today.weights(today.filled)
    assert np.median(ratio) == pytest.approx(0.5 / 1.15, abs=0.05)


def test_a_planted_vacancy_is_as_dark_as_a_real_one(today):
    chosen = inner(today, 8)
    positions, ratio = ratios(planted(today, chosen, 1 - 0.5 / 1.15, np.random.default_rng(0)), today)
    there = cKDTree(positions).query(today.sites.positions_px[chosen])[1]
    real = cKDTree(positions).query(today.sites.positions_px[today.filled])[1]
    assert np.median(ratio[there]) == pytest.approx(np.median(ratio[real]), abs=0.08)


def test_planting_leaves_the_rest_of_the_image_alone(today):
    chosen = inner(today, 4)
    change = np.abs(planted(today, chosen, 0.5, np.random.default_rng(0)).data - today.image.data)
    pixels = np.argwhere(np.ones_like(change))
    far = cKDTree(today.sites.positions_px[chosen]).query(pixels)[0].reshape(change.shape) > 15
    assert change[far].sum() < 0.05 * change.sum()
    assert (change > 0).mean() < 0.2


def test_thinned_counts_have_the_noise_of_fewer_counts(today):
    expected, chosen = 50.0, inner(today, 20)
    counts = np.random.default_rng(1).poisson(expected, today.image.shape).astype(np.float32)
    detector = replace(today.fit.detector, gain=1.0, offset=0.0, tail_px=0.0, pmt_spread=0.0)
    flat = replace(
        today, image=replace(today.image, data=counts), fit=replace(today.fit, detector=detector),
        lattice=np.zeros_like(counts), rest=np.full_like(counts, expected),
        units={name: 0.01 * unit * today.gain**-1 for name, unit in today.units.items()},
    )  # fmt: skip
    peak = flat.columns(flat.sites.positions_px[chosen], flat.weights(chosen))
    flat = replace(flat, units={name: unit * 0.6 * expected / float(peak.max()) for name, unit in flat.units.items()})
    left = expected - peak * 0.6 * expected / float(peak.max())
    there = left < 0.8 * expected
    data = planted(flat, chosen, 1.0, np.random.default_rng(2)).data
    assert data[there].mean() == pytest.approx(left[there].mean(), rel=0.02)
    assert ((data - left) ** 2 / left)[there].mean() == pytest.approx(1.0, abs=0.2)


def test_the_filled_image_has_no_dark_columns_but_the_same_noise(today):
    filled = without_defects(today, np.random.default_rng(0))
    positions, ratio = ratios(filled, today)
    real = cKDTree(positions).query(today.sites.positions_px[today.filled])[1]
    assert np.median(ratio[real]) == pytest.approx(1.0, abs=0.1)
    assert np.diff(filled.data, 2).std() == pytest.approx(np.diff(today.image.data, 2).std(), rel=0.03)


def test_the_middle_of_a_large_image_has_the_same_lattice(draw_crystal):
    image = draw_crystal(shape=(1100, 1056), dose_e_per_A2=1e5).image
    found = match(image, MatchConfig(material="WSe2"))
    part, lattice, corner = middle_of(image, found)
    assert part.shape == (1024, 1024)
    whole = cKDTree(found.sites(image.shape).positions_px)
    assert whole.query(lattice.sites(part.shape).positions_px + np.array(corner))[0].max() < 1e-6
