import numpy as np
import pytest

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.frame import make_frame, paint
from napari_stem_gan.detect.fusion import FEATURES, fit_fusion
from napari_stem_gan.detect.lattice_evidence import SiteEvidence
from napari_stem_gan.detect.points import (
    Points,
    names_of,
    points_at_peaks,
    points_at_sites,
    points_by_evidence,
    site_features,
    site_scores,
)

MATERIAL = get_material("WSe2")


def grid_sites(count=4):
    """Metal (column 0) and anion (column 1) sites in turn along a row."""
    return Sites(MATERIAL, np.array([[20.0, 16.0 * (i + 1)] for i in range(count)]), np.arange(count) % 2)


def evidence(ratio, z=None):
    ratio = np.asarray(ratio, float)
    z = (1 - ratio) / 0.05 if z is None else np.asarray(z, float)
    n = len(ratio)
    return SiteEvidence(ratio, z, np.full(n, 0.05), np.zeros((n, 2)), np.zeros(n))


def test_each_site_reads_the_heat_around_it():
    sites, frame = grid_sites(), make_frame((40, 96), 16.0)
    heat = np.zeros((len(FINDER_CLASSES), *frame.network_shape), np.float32)
    heat[0] = 0.8 * paint(frame.network_shape, frame.to_network(sites.positions_px[1:2]) + 1.0)
    scores = site_scores(heat, frame, sites)
    assert scores.shape == (4, len(FINDER_CLASSES))
    assert scores[1, 0] == pytest.approx(0.8, abs=0.02)
    assert scores[[0, 2, 3]].max() < 0.01


def test_features_are_finite_even_for_certain_scores():
    scores = np.array([[0.0] * 5, [1.0] * 5])
    features = site_features(scores, evidence([1.0, np.inf], [0, -1e9]), np.array([1.0, 9.0]))
    assert features.shape == (2, FEATURES)
    assert np.isfinite(features).all()


def test_a_dark_anion_becomes_a_point_at_its_site_and_the_rest_do_not():
    rng = np.random.default_rng(0)
    target = (np.arange(300) % 4 == 0).astype(int)
    ratio = np.where(target == 1, 0.43, 1.0) + rng.normal(0, 0.03, 300)
    features = site_features(np.full((300, 5), 0.1), evidence(ratio), np.ones(300))
    fusion = fit_fusion({"anion": (features, target), "metal": (features, 0 * target)}, iterations=120)
    sites = grid_sites()
    found = points_at_sites(sites, np.full((4, 5), 0.1), evidence([1.0, 1.0, 1.0, 0.43]), np.ones(4), fusion)
    np.testing.assert_array_equal(found.positions_px[found.confidence > 0.5], sites.positions_px[3:])
    assert list(found.kinds[found.confidence > 0.5]) == ["V_X"]
    assert names_of(found)[-1] == "V_Se"
    beside = points_at_sites(sites, np.full((4, 5), 0.1), evidence([1.0, 1.0, 1.0, 0.43]), np.zeros(4), fusion)
    assert len(beside.kinds) == 0  # where there is no crystal there are no vacancies


def test_evidence_alone_tells_single_from_double_and_metal_vacancies():
    found = points_by_evidence(grid_sites(6), evidence([1.0, 0.43, 0.05, 0.05, 1.0, 1.0]), np.ones(6))
    assert list(found.kinds) == ["V_X", "V_M", "V_2X"]
    assert list(found.sublattices) == ["Se", "W", "Se"]
    assert found.confidence.min() > 0.9


def test_oxygen_columns_are_too_faint_to_be_judged():
    material = get_material("SrTiO3")
    sites = Sites(material, np.array([[20.0, 16.0 * i] for i in range(4)]), np.arange(4))
    found = points_by_evidence(sites, evidence([0.1] * 4), np.ones(4))
    assert set(found.sublattices) == {"Sr", "Ti"}


def test_without_a_lattice_peaks_give_sub_pixel_points():
    frame = make_frame((90, 120), 20.0)
    true = np.array([[30.4, 40.7], [70.2, 90.9]])
    heat = np.zeros((len(FINDER_CLASSES), *frame.network_shape), np.float32)
    for channel, place in zip((0, 2), true, strict=True):
        heat[channel] = 0.9 * paint(frame.network_shape, frame.to_network(place[None]))
    found = points_at_peaks(heat, frame, MATERIAL)
    np.testing.assert_allclose(found.positions_px, true, atol=0.35)
    assert list(found.kinds) == ["V_X", "V_M"]
    assert list(found.sublattices) == ["Se", "W"]
    assert len(points_at_peaks(0 * heat, frame, MATERIAL).kinds) == 0


@pytest.mark.parametrize(
    ("kind", "element", "ratio", "name"),
    [
        ("V_X", "Se", 0.4, "V_Se"), ("V_2X", "Se", 0.0, "V_2Se"), ("V_M", "W", 0.1, "V_W"),
        ("S_M", "W", (42 / 74) ** 1.5, "Mo_W"), ("S_M", "W", (34 / 74) ** 1.5, "Se_W"),
        ("S_X", "Se", 0.5 + 0.5 * (74 / 34) ** 1.5, "W_Se"), ("S_X", "Se", 0.5 + 0.5 * (16 / 34) ** 1.5, "S_Se"),
    ],
)  # fmt: skip
def test_a_substitution_is_named_after_the_element_of_its_brightness(kind, element, ratio, name):
    one, blank = np.array([ratio]), np.zeros(1)
    points = Points(np.zeros((1, 2)), np.array([kind]), np.array([element]), blank, blank, one, blank)
    assert names_of(points) == [name]
