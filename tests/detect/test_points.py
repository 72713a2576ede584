from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.brightness import adatom_ratios, foreign_ratios
from napari_stem_gan.detect.candidates import ADATOM, CERTAIN, Heat, alone, at_sites, between_sites
from napari_stem_gan.detect.frame import CHANNELS, make_frame, paint
from napari_stem_gan.detect.fusion import (
    ADATOM_ODDS,
    CLASSES,
    EMPTY_ODDS,
    FEATURES,
    FOREIGN_ODDS,
    HALF_ODDS,
    fit_fusion,
)
from napari_stem_gan.detect.lattice_evidence import SiteEvidence
from napari_stem_gan.detect.pedestal import HALF
from napari_stem_gan.detect.points import names_of, points_by_evidence, points_of

MATERIAL = get_material("WSe2")


def grid_sites(count=4):
    """Metal (column 0) and anion (column 1) sites in turn along a row."""
    return Sites(MATERIAL, np.array([[20.0, 16.0 * (i + 1)] for i in range(count)]), np.arange(count) % 2)


def evidence(ratio, z=None):
    ratio = np.asarray(ratio, float)
    z = (1 - ratio) / 0.05 if z is None else np.asarray(z, float)
    n = len(ratio)
    return SiteEvidence(ratio, z, np.full(n, 0.05), np.full(n, 0.05), z, np.zeros(n), np.ones(n), np.ones(n))


def heat_of(frame, *, disagreement=0.0):
    """Nothing anywhere."""
    shape = frame.network_shape
    maps = np.zeros((len(FINDER_CLASSES), *shape), np.float32)
    return Heat(maps, np.full(shape, disagreement, np.float32), np.zeros((CHANNELS, *shape), np.float32))


def gathered(heat, frame, sites, found, crystallinity=None):
    return at_sites(heat, frame, sites, found, np.ones(len(sites)) if crystallinity is None else crystallinity)


def test_each_site_reads_the_heat_around_it():
    sites, frame = grid_sites(), make_frame((40, 96), 16.0)
    heat = heat_of(frame)
    heat.maps[0] = 0.8 * paint(frame.network_shape, frame.to_network(sites.positions_px[1:2]) + 1.0)
    found = gathered(heat, frame, sites, evidence([1.0] * 4))
    assert found.scores.shape == (4, len(FINDER_CLASSES))
    assert found.scores[1, 0] == pytest.approx(0.8, abs=0.02)
    assert found.scores[[0, 2, 3]].max() < 0.01
    assert list(found.roles) == ["metal", "anion", "metal", "anion"]


def test_features_are_finite_even_for_certain_scores():
    sites, frame = grid_sites(2), make_frame((40, 96), 16.0)
    heat = heat_of(frame)
    heat.maps[:] = 1.0
    features = gathered(heat, frame, sites, evidence([1.0, np.inf], [0, -1e9]), np.array([1.0, 9.0])).features
    assert features.shape == (2, FEATURES)
    assert np.isfinite(features).all()


def test_the_fusion_reads_the_log_likelihood_ratios_where_they_are():
    frame, found = make_frame((40, 96), 16.0), evidence([0.6, 0.62])
    features = gathered(heat_of(frame), frame, grid_sites(2), found).features
    np.testing.assert_allclose(features[:, HALF_ODDS], found.odds_of(HALF))
    np.testing.assert_allclose(features[:, EMPTY_ODDS], found.odds_of(0.0))
    metal, anion = MATERIAL.columns
    for row, column in enumerate((metal, anion)):
        foreign = found.odds_among(list(foreign_ratios(column).values()))[row]
        adatom = found.odds_among(list(adatom_ratios(column, MATERIAL).values()))[row]
        np.testing.assert_allclose(features[row, [FOREIGN_ODDS, ADATOM_ODDS]], np.clip([foreign, adatom], -20, 20))


def taught(column, low, high, role="anion"):
    """A fusion that has learnt that `low` in one feature is a defect of the first class."""
    rng = np.random.default_rng(0)
    target = (np.arange(300) % 4 == 0).astype(int)
    features = 4 * rng.normal(size=(300, FEATURES))
    features[:, column] = np.where(target == 1, low, high) + rng.normal(0, 0.3, 300)
    return fit_fusion({role: (features, target)}, iterations=120)


def test_a_dark_anion_becomes_a_point_at_its_site_and_the_rest_do_not():
    sites, frame = grid_sites(), make_frame((40, 96), 16.0)
    rng = np.random.default_rng(0)
    target = (np.arange(300) % 4 == 0).astype(int)
    many = Sites(MATERIAL, np.tile([[20.0, 32.0]], (300, 1)), np.ones(300, int))
    ratio = np.where(target == 1, 0.43, 1.0) + rng.normal(0, 0.03, 300)
    features = gathered(heat_of(frame), frame, many, evidence(ratio)).features
    fusion = fit_fusion({"anion": (features, target)}, iterations=120)
    dark = evidence([1.0, 1.0, 1.0, 0.43])
    found = points_of(gathered(heat_of(frame), frame, sites, dark), fusion, MATERIAL)
    np.testing.assert_array_equal(found.positions_px[found.confidence > 0.5], sites.positions_px[3:])
    assert list(found.kinds[found.confidence > 0.5]) == ["V_X"]
    assert list(found.defects[found.confidence > 0.5]) == ["V_Se"]
    beside = points_of(gathered(heat_of(frame), frame, sites, dark, np.zeros(4)), fusion, MATERIAL)
    assert len(beside.kinds) == 0  # where there is no crystal there are no vacancies


def test_views_that_disagree_make_a_point_less_sure():
    sites, frame = grid_sites(), make_frame((40, 96), 16.0)
    fusion = taught(0, 0.0, -3.0)
    spreads, doubtful = [], evidence([0.73] * 4)  # between a whole column and one of two atoms
    for disagreement in (0.0, 0.1):
        heat = heat_of(frame, disagreement=disagreement)
        heat.maps[0] = 0.35
        spreads.append(points_of(gathered(heat, frame, sites, doubtful), fusion, MATERIAL).confidence_spread)
    assert spreads[0].max(initial=0) == 0
    assert spreads[1].max(initial=0) > 0.02


def test_an_adatom_between_columns_is_a_point_and_one_on_a_column_is_the_sites():
    sites, frame = grid_sites(), make_frame((40, 96), 16.0)
    heat = heat_of(frame)
    true = np.array([[20.0, 24.0], [20.0, 48.6]])  # between two columns; on the third
    heat.maps[ADATOM] = 0.9 * paint(frame.network_shape, frame.to_network(true))
    heat.planes[0] = 1.0
    found = between_sites(heat, frame, sites, lambda p: np.ones(len(p)))
    np.testing.assert_allclose(found.positions_px, true[:1], atol=0.3)
    fusion = taught(ADATOM, 2.2, -8.0, "between")
    points = points_of(found, fusion, MATERIAL)
    assert list(points.kinds) == ["A"]
    assert list(points.defects) == ["ad_W"]  # as bright as a metal column
    assert list(points.sublattices) == ["between"]


def test_columns_of_another_lattice_are_no_adatoms():
    sites, frame = grid_sites(), make_frame((120, 120), 16.0)
    heat = heat_of(frame)
    lone = np.array([[100.0, 20.0]])
    grain = np.array([[50.0 + 9 * i, 60.0 + 9 * j] for i in range(4) for j in range(4)])
    heat.maps[ADATOM] = 0.9 * paint(frame.network_shape, frame.to_network(np.concatenate([lone, grain])))
    found = between_sites(heat, frame, sites, lambda p: np.ones(len(p)))
    alive = found.positions_px[found.crystallinity > 0]
    np.testing.assert_allclose(alive, lone, atol=0.3)


def test_evidence_alone_tells_single_from_double_and_metal_vacancies():
    found = points_by_evidence(grid_sites(6), evidence([1.0, 0.43, 0.05, 0.05, 1.0, 1.0]), np.ones(6))
    assert list(found.kinds) == ["V_X", "V_M", "V_2X"]
    assert list(found.sublattices) == ["Se", "W", "Se"]
    assert found.confidence.min() > 0.9


def test_a_column_that_is_missing_where_order_falls_off_is_the_end_of_the_crystal():
    found = points_by_evidence(grid_sites(6), evidence([1.0, 0.43, 0.05, 0.05, 1.0, 1.0]), np.full(6, 0.8))
    assert list(found.kinds) == ["V_X"]


def test_oxygen_columns_are_too_faint_to_be_judged():
    material = get_material("SrTiO3")
    sites = Sites(material, np.array([[20.0, 16.0 * i] for i in range(4)]), np.arange(4))
    found = points_by_evidence(sites, evidence([0.1] * 4), np.ones(4))
    assert set(found.sublattices) == {"Sr", "Ti"}


def test_without_a_lattice_peaks_give_sub_pixel_points():
    frame = make_frame((90, 120), 20.0)
    true = np.array([[30.4, 40.7], [70.2, 90.9]])
    heat = heat_of(frame)
    for channel, place in zip((0, 2), true, strict=True):
        heat.maps[channel] = 0.9 * paint(frame.network_shape, frame.to_network(place[None]))
    found = alone(heat, frame)
    np.testing.assert_allclose(found.positions_px, true, atol=0.35)
    classes = CLASSES["alone"]
    target = np.arange(300) % len(classes)
    features = np.full((300, FEATURES), np.log(CERTAIN))
    features[:, len(FINDER_CLASSES) :] = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    rows = np.flatnonzero(target)
    features[rows, target[rows] - 1] = 2.0
    fusion = fit_fusion({"alone": (features, target)}, iterations=300)
    assert not len(points_of(found, fusion, MATERIAL).kinds)  # an empty picture has no order
    points = points_of(replace(found, crystallinity=np.ones(2)), fusion, MATERIAL)
    assert list(points.defects) == ["V_Se", "V_W"]
    assert list(points.sublattices) == ["Se", "W"]
    assert len(alone(heat_of(frame), frame)) == 0


@pytest.mark.parametrize(
    ("kind", "element", "ratio", "name"),
    [
        ("V_X", "Se", 0.4, "V_Se"), ("V_2X", "Se", 0.0, "V_2Se"), ("V_M", "W", 0.1, "V_W"),
        ("S_M", "W", 19.44 / 39.71, "Mo_W"), ("S_M", "W", 14.87 / 39.71, "Se_W"),
        ("S_M", "W", 0.19, "vanadium_W"),
        ("S_M", "W", 0.0, "S_W"), ("S_M", "W", -0.1, "S_W"), ("S_X", "Se", 0.5 + 0.5 * 39.71 / 14.87, "W_Se"),
        ("S_X", "Se", 0.5 + 0.5 * 4.13 / 14.87, "S_Se"), ("S_X", "Se", np.nan, "S_Se"),
        ("A", "", 0.9, "ad_W"), ("A", "", 0.3, "ad_Se"), ("A", "Se", 1.5, "ad_Se"), ("A", "", np.nan, "ad_W"),
    ],
)  # fmt: skip
def test_a_substitution_is_named_after_the_element_of_its_brightness(kind, element, ratio, name):
    assert list(names_of([kind], [element], np.array([ratio]), MATERIAL)) == [name]
