"""Counting on known areas: exact intervals, regions, stacks, decisions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.crystal.warp import Warp
from napari_stem_gan.detect import points as points_room
from napari_stem_gan.detect.area import CrystalArea, crystal_area, grid_regions, polygon_region
from napari_stem_gan.detect.intervals import binomial_interval, poisson_interval
from napari_stem_gan.detect.statistics import ALL_DEFECTS, ALL_IMAGES, WHOLE, Density, densities, homogeneity
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable

CONFIG = StatisticsConfig()


def bare_area(shape=(100, 200), *, size_nm=0.1, image="a", frame=0, inside=None) -> CrystalArea:
    inside = np.ones(shape, bool) if inside is None else inside
    return CrystalArea(image, frame, shape, size_nm, inside, np.zeros((0, 2)), np.zeros(0, str))


def table_of(positions, *, image="a", frame=0, confidence=1.0, defect="V_Se", decision=None) -> PointTable:
    count = len(positions)
    table = PointTable.build(
        image=image, frame=frame, positions_px=np.array(positions, float), pixel_size_nm=0.1, defects=[defect] * count,
        sublattices=["Se"] * count, confidence=np.broadcast_to(confidence, count),
    )  # fmt: skip
    return table if decision is None else PointTable({**table.columns, "decision": np.array(decision)})


def row(rows: list[Density], defect="V_Se", region=WHOLE, image="a") -> Density:
    (one,) = (d for d in rows if (d.defect, d.region, d.image) == (defect, region, image))
    return one


def wse2(*, warp=None, accepted=True) -> LatticeMatch:
    vectors = lattice_vectors_px(get_material("WSe2"), 0.2, 12.0)
    return LatticeMatch(
        accepted=accepted, reason="", material="WSe2", pixel_size_A=0.2, nominal_pixel_size_A=None,
        lattice_vectors_px=vectors, origin_px=np.array([3.0, 7.0]), warp=warp,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.390), (100, 81.364, 121.627)]
)
def test_poisson_intervals_are_those_of_garwoods_table(count: int, low: float, high: float) -> None:
    assert poisson_interval(count) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_binomial_intervals_are_those_of_clopper_and_pearson() -> None:
    low, high = binomial_interval([0, 2, 10], [10, 10, 10])
    np.testing.assert_allclose(low, [0, 0.02521, 0.69150], atol=1e-5)
    np.testing.assert_allclose(high, [0.30850, 0.55610, 1], atol=1e-5)


def test_the_density_is_the_number_over_the_crystals_area() -> None:
    inside = np.ones((100, 200), bool)
    inside[:, 150:] = False  # vacuum: 50 of 200 columns
    table = table_of([(10, 10), (20, 30), (50, 180)])
    found = row(densities([bare_area(inside=inside)], table, CONFIG, threshold=0.5))
    assert (found.count, found.area_nm2) == (2, pytest.approx(150.0))
    assert found.per_nm2 == pytest.approx(2 / 150)
    assert (found.low_per_nm2, found.high_per_nm2) == (
        pytest.approx(0.2422 / 150, rel=1e-3), pytest.approx(7.2247 / 150, rel=1e-3),
    )  # fmt: skip


def test_confidences_are_summed_beside_the_count() -> None:
    table = table_of([(10, 10), (20, 20), (30, 30)], confidence=[0.9, 0.6, 0.3])
    found = row(densities([bare_area()], table, CONFIG, threshold=0.5))
    assert (found.count, found.expected_count) == (2, pytest.approx(1.8))
    assert found.expected_spread == pytest.approx(np.sqrt(0.09 + 0.24 + 0.21))


def test_the_users_word_counts_more_than_the_confidence() -> None:
    decision = ["accepted", "rejected", "", "added"]
    table = table_of([(9, 9), (19, 19), (29, 29), (39, 39)], confidence=[0.1, 0.9, 0.8, 1.0], decision=decision)
    found = row(densities([bare_area()], table, CONFIG, threshold=0.5))
    assert (found.count, found.expected_count) == (3, pytest.approx(2.8))


def test_regions_divide_points_and_area_without_rest() -> None:
    area = bare_area()
    positions = np.random.default_rng(0).uniform((-0.5, -0.5), (99.5, 199.5), (200, 2))
    rows = densities([area], table_of(positions), CONFIG, threshold=0.5, regions=[grid_regions(area, 3)])
    parts = [d for d in rows if d.region != WHOLE and d.defect == "V_Se"]
    assert [d.region for d in parts] == ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "C3"]
    assert sum(d.count for d in parts) == 200
    assert sum(d.area_nm2 for d in parts) == pytest.approx(200.0)


def test_a_polygon_has_the_area_and_points_of_its_inside() -> None:
    area = bare_area()
    region = polygon_region(area, "mine", np.array([(-0.5, -0.5), (49.5, -0.5), (49.5, 99.5), (-0.5, 99.5)]))
    rows = densities([area], table_of([(10, 10), (60, 10), (10, 150)]), CONFIG, threshold=0.5, regions=[[region]])
    assert row(rows, region="mine").area_nm2 == pytest.approx(50.0)
    assert row(rows, region="mine").count == 1


def test_a_polygon_beside_the_image_is_no_region() -> None:
    area = bare_area()
    region = polygon_region(area, "away", np.array([(200.0, 0.0), (300.0, 0.0), (300.0, 90.0)]))
    rows = densities([area], table_of([(10, 10)]), CONFIG, threshold=0.5, regions=[[region]])
    assert {d.region for d in rows} == {WHOLE}


def test_regions_of_a_stack_take_no_more_memory_than_its_masks() -> None:
    area = bare_area((400, 400))
    assert sum(region.part.nbytes for region in grid_regions(area, 5)) == area.inside.nbytes


def test_a_kind_found_nowhere_has_an_upper_limit() -> None:
    found = row(densities([bare_area()], PointTable.empty(), CONFIG, threshold=0.5), ALL_DEFECTS)
    assert (found.count, found.low_per_nm2, found.high_per_nm2) == (0, 0, pytest.approx(3.689 / 200, abs=1e-5))


def test_two_images_count_together() -> None:
    table = PointTable.concat([table_of([(1, 1), (2, 2)]), table_of([(3, 3)], image="b")])
    rows = densities([bare_area(), bare_area(image="b")], table, CONFIG, threshold=0.5)
    both = row(rows, image=ALL_IMAGES)
    assert (both.count, both.area_nm2) == (3, pytest.approx(400.0))


def test_frames_of_a_stack_do_not_narrow_the_interval() -> None:
    frames = range(4)
    table = PointTable.concat([table_of([(1, 1), (50, 60)], frame=k) for k in frames])
    rows = densities([bare_area(frame=k) for k in frames], table, CONFIG, threshold=0.5)
    both = row(rows, image=ALL_IMAGES)
    alone = densities([bare_area()], table_of([(1, 1), (50, 60)]), CONFIG, threshold=0.5)
    assert (both.count, both.high_per_nm2) == (2, pytest.approx(row(alone).high_per_nm2))


def test_equal_regions_are_told_from_unequal_ones() -> None:
    area, rng = bare_area(), np.random.default_rng(1)
    even, crowded = rng.uniform(0, (99, 199), (90, 2)), rng.uniform(0, (30, 60), (60, 2))
    regions = [grid_regions(area, 3)]
    p = [
        homogeneity([area], table_of(where), "V_Se", CONFIG, threshold=0.5, regions=regions)
        for where in (even, np.concatenate([even, crowded]))
    ]
    assert p[0] > 0.05
    assert p[1] == pytest.approx(1 / (1 + 10 * CONFIG.simulations))


def test_only_crystal_counts_and_its_sites_are_known() -> None:
    grid = np.linspace(0, 255, 33)
    crystal = np.broadcast_to(np.where(grid < 127.5, 1.0, 0.0), (33, 33))
    area = crystal_area("a", 0, (256, 256), wse2(warp=Warp(np.zeros((2, 33, 33)), crystal, grid, grid)))
    assert area.area_nm2 == pytest.approx(256 * 124 * 0.02**2, rel=0.03)  # nearly half of the image
    per_nm2 = 1 / (abs(np.linalg.det(get_material("WSe2").cell)) / 100)
    assert len(area.sites_of("Se")) / area.area_nm2 == pytest.approx(per_nm2, rel=0.03)
    assert area.sites_px[:, 1].max() < 131


def test_the_share_of_sites_is_told() -> None:
    area = crystal_area("a", 0, (256, 256), wse2())
    sites = area.sites_of("Se")
    found = row(densities([area], table_of(sites[::10]), CONFIG, threshold=0.5))
    assert found.sites == len(sites)
    assert found.percent_of_sites == pytest.approx(100 * len(sites[::10]) / len(sites))
    assert found.low_percent < found.percent_of_sites < found.high_percent


def test_without_a_lattice_the_whole_image_was_searched() -> None:
    area = crystal_area("a", 0, (64, 128), wse2(accepted=False))
    assert area.area_nm2 == pytest.approx(64 * 128 * 0.02**2)
    assert len(area.sites_px) == 0


def test_an_unknown_pixel_size_is_refused() -> None:
    match = LatticeMatch(accepted=False, reason="", material="WSe2", pixel_size_A=None, nominal_pixel_size_A=None)
    with pytest.raises(ValueError, match="pixel size of 'a' must be known"):
        crystal_area("a", 0, (64, 64), match)


def test_the_crystal_ends_where_the_finder_stops_to_report() -> None:
    grid, limit = np.linspace(0, 127, 9), points_room.LEAST_CRYSTALLINITY
    areas = [
        crystal_area("a", 0, (128, 128), wse2(warp=Warp(np.zeros((2, 9, 9)), np.full((9, 9), share), grid, grid)))
        for share in (limit + 0.01, limit - 0.01)
    ]
    assert [a.area_nm2 for a in areas] == [pytest.approx((128 * 0.02) ** 2), 0]


@pytest.mark.parametrize("wrong", [{"level_percent": 5}, {"regions": 0}, {"simulations": 3}, {"bin_nm": -1}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        StatisticsConfig(**wrong)
