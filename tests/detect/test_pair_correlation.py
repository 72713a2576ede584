"""Known arrangements: full lattices, clusters, chance; and the map of an even density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.detect.area import CrystalArea
from napari_stem_gan.detect.density_map import density_map
from napari_stem_gan.detect.pair_correlation import LEAST_POINTS, PairCorrelation, global_envelope, pair_correlations
from napari_stem_gan.detect.places import ANYWHERE, SITES, Anywhere, OnSites
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

SIDE, SIZE_NM, SPACING_PX = 240, 0.05, 6
CONFIG = StatisticsConfig(simulations=99, bin_nm=0.2, largest_distance_nm=3.0)


def square(*, hole=False, image="a", with_sites=True) -> CrystalArea:
    """12 nm × 12 nm of a square lattice with 0.3 nm spacing, perhaps with a hole."""
    inside = np.ones((SIDE, SIDE), bool)
    if hole:
        inside[60:180, 102:204] = False
    at = np.arange(SPACING_PX // 2, SIDE, SPACING_PX, dtype=float)
    sites = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2) if with_sites else np.zeros((0, 2))
    area = CrystalArea(image, 0, (SIDE, SIDE), SIZE_NM, inside, sites, np.full(len(sites), "X"))
    return area.within(inside)


def table_of(positions, *, image="a") -> PointTable:
    count = len(positions)
    return PointTable.build(
        image=image, frame=0, positions_px=np.array(positions), pixel_size_nm=SIZE_NM, defects=["V_X"] * count,
        sublattices=["X"] * count, confidence=np.ones(count),
    )  # fmt: skip


def correlation(areas, table, config=CONFIG) -> PairCorrelation:
    *_, found = pair_correlations(areas, table, "V_X", config, threshold=0.5)
    return found


@pytest.mark.parametrize("hole", [False, True])
def test_a_lattice_with_every_site_empty_is_neither_clustered_nor_ordered(hole: bool) -> None:
    area = square(hole=hole)
    found = correlation([area], table_of(area.sites_px), replace(CONFIG, simulations=19, largest_distance_nm=1.5))
    np.testing.assert_allclose(found.g, 1.0, atol=1e-12)
    assert found.places == SITES


def test_distances_that_the_lattice_does_not_have_are_left_out() -> None:
    area = square()
    config = StatisticsConfig(simulations=19, bin_nm=0.04, largest_distance_nm=0.48)
    found = correlation([area], table_of(area.sites_px[::3]), config)
    np.testing.assert_allclose(found.distance_nm, [0.30, 0.42])  # around 0.3 and 0.424 nm


def test_planted_pairs_stand_out_at_their_distance() -> None:
    area, rng = square(), np.random.default_rng(0)
    first = rng.choice(len(area.sites_px) - 1, 20, replace=False)
    found = correlation([area], table_of(area.sites_px[np.unique([*first, *(first + 1)])]))
    assert found.g[0] > 5
    assert found.p_value <= 0.01
    assert found.verdict == "closer together than by chance at 0.3 nm"


def test_defects_that_keep_apart_have_no_near_pairs() -> None:
    area = square()
    keep = (np.round(area.sites_px / SPACING_PX - 0.5) % 4 == 0).all(1)  # a superlattice with 1.2 nm spacing
    found = correlation([area], table_of(area.sites_px[keep]))
    assert (found.g[found.distance_nm < 1.1] == 0).all()
    assert found.p_value <= 0.01


def test_random_vacancies_stay_within_the_band_about_as_often_as_told() -> None:
    area, rng = square(), np.random.default_rng(2)
    draws = (area.sites_px[rng.choice(len(area.sites_px), 40, replace=False)] for _ in range(40))
    p = np.array([correlation([area], table_of(where)).p_value for where in draws])
    assert 0.30 < p.mean() < 0.70
    assert (p <= 0.05).sum() <= 6  # 2 expected


def test_images_are_pooled() -> None:
    areas, rng = [square(), square(image="b")], np.random.default_rng(3)
    sites = areas[0].sites_px
    parts = [table_of(sites[rng.choice(len(sites), 30, replace=False)], image=i) for i in "ab"]
    both = correlation(areas, PointTable.concat(parts))
    alone = [correlation([a], t) for a, t in zip(areas, parts, strict=True)]
    np.testing.assert_allclose(both.pairs, alone[0].pairs + alone[1].pairs)


@pytest.mark.parametrize("count", [0, 1, LEAST_POINTS - 1])
def test_a_few_defects_have_no_pair_correlation(count: int) -> None:
    table = table_of(square().sites_px[:count].reshape(-1, 2))
    assert list(pair_correlations([square()], table, "V_X", CONFIG, threshold=0.5)) == []


@pytest.mark.parametrize("hole", [False, True])
def test_off_the_lattice_chance_has_no_correlation_up_to_border_and_hole(hole: bool) -> None:
    area, rng = square(hole=hole, with_sites=False), np.random.default_rng(4)
    points = Anywhere(area).draw(2000, rng) / SIZE_NM
    found = correlation([area], table_of(points), StatisticsConfig(simulations=19, bin_nm=0.3, largest_distance_nm=3))
    assert found.places == ANYWHERE
    np.testing.assert_allclose(found.g, 1.0, atol=0.04)


def test_a_square_lattice_off_the_lattice_has_its_shells() -> None:
    """Four neighbours at a; at random π (b² − c²) / a² of them in a ring from c to b."""
    points = square().sites_px
    config = StatisticsConfig(simulations=19, bin_nm=0.1, largest_distance_nm=0.6)
    found = correlation([square(with_sites=False)], table_of(points + 1e-6), config)
    at = {round(float(r), 2): g for r, g in zip(found.distance_nm, found.g, strict=True)}
    assert at[0.05] == at[0.15] == 0
    rings = at[0.25] * (0.3**2 - 0.2**2) + at[0.35] * (0.4**2 - 0.3**2)  # the shell lies on the edge of two steps
    assert np.pi * rings / 0.3**2 == pytest.approx(4.0, rel=0.03)


def test_the_shares_of_a_square_are_those_of_its_covariance() -> None:
    """The mean area common to a square of side L and its shift by r is L² − 4Lr/π + r²/π."""
    edges = np.linspace(0, 3, 7)
    r, side = (edges[1:] + edges[:-1]) / 2, SIDE * SIZE_NM
    expected = np.pi * np.diff(edges**2) * (side**2 - 4 * side * r / np.pi + r**2 / np.pi) / side**4
    np.testing.assert_allclose(Anywhere(square()).shares(edges), expected, rtol=2e-3)


def test_two_defects_of_a_kind_on_one_site_are_one() -> None:
    places = OnSites(np.array([[0.0, 0.0], [0.0, 0.3]]))
    assert len(places.own(np.array([[0.0, 0.01], [0.02, 0.0]]))) == 1


def test_the_band_leaves_out_the_most_extreme_whole_curves() -> None:
    curves = np.random.default_rng(5).poisson(12.0, size=(400, 30)).astype(float)
    low, high, _ = global_envelope(curves, 0.9)
    outside = ((curves < low) | (curves > high)).any(1)
    assert outside.mean() == pytest.approx(0.1, abs=0.01)
    spike = curves.copy()
    spike[0, 7] = 40.0
    assert global_envelope(spike, 0.9)[2] == 1 / 400


@pytest.mark.parametrize("hole", [False, True])
def test_an_even_density_has_a_flat_map_up_to_border_and_hole(hole: bool) -> None:
    area = square(hole=hole)
    found = density_map(area, table_of(area.sites_px), StatisticsConfig(smoothing_nm=1.0), threshold=0.5)
    known = found.per_nm2[np.isfinite(found.per_nm2)]
    np.testing.assert_allclose(known, 1 / 0.3**2, rtol=0.07)
    assert np.isnan(found.per_nm2).any() == hole


def test_the_maps_gaussian_takes_in_about_ten_defects() -> None:
    area, rng = square(), np.random.default_rng(6)
    found = density_map(area, table_of(rng.uniform(0, 239, (200, 2))), StatisticsConfig(), threshold=0.5)
    assert 4 * np.pi * found.smoothing_nm**2 * 200 / 144 == pytest.approx(10.0)
    assert found.error_percent == pytest.approx(100 / np.sqrt(10))
