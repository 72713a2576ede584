import numpy as np
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.placing import place_points, unplaced
from napari_stem_gan.detect.points import Points
from napari_stem_gan.detect.positions import fit_columns


def points_at(positions, kinds):
    n = len(kinds)
    kinds = np.array(kinds, dtype="<U4")
    return Points(np.asarray(positions, float), kinds, kinds, np.full(n, "Se"), *np.ones((5, n)))


def put(drawn, found, points):
    """Points of an image at their columns."""
    sites, width = found.sites(drawn.image.shape, margin_px=8.0), found.fwhm_A / found.pixel_size_A
    return place_points(found, sites, fit_columns(drawn.image.data, sites, width), points)


def placed(drawn, found, kind):
    """Points of one kind put on their sites, where they are placed, and their true places."""
    sites = found.sites(drawn.image.shape).positions_px
    true = drawn.positions_px[np.array(drawn.parameters["kinds"]) == kind]
    true = true[((true > 20) & (true < np.array(drawn.image.shape) - 20)).all(1)]
    on = sites[cKDTree(sites).query(true)[1]]
    return on, put(drawn, found, points_at(on, [kind] * len(on))), true


def test_a_single_vacancy_lies_where_its_column_is(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.08, jitter_A=0.05, dose_e_per_A2=1e6, seed=1)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    on, result, true = placed(drawn, found, "V_X")
    assert len(true) > 8
    assert np.sqrt(((on - true) ** 2).mean()) > 0.15
    assert np.sqrt(((result.points.positions_px - true) ** 2).mean()) < 0.06
    assert np.abs((result.points.positions_px - true) / result.error_px[:, None]).mean() < 2


def test_an_empty_site_lies_where_its_neighbours_say(draw_crystal):
    drawn = draw_crystal(metal_vacancy=0.06, strain=[[1.004, 0.0], [0.0, 0.997]], dose_e_per_A2=1e5, seed=1)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    _, result, true = placed(drawn, found, "V_M")
    assert len(true) > 4
    assert np.hypot(*(result.points.positions_px - true).T).max() < 0.15
    assert np.isfinite(result.error_px).all()
    assert np.abs(result.strain.xx).max() < 0.02  # against the mean lattice, which is strained itself


def test_a_point_between_sites_stays_and_has_no_error(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=1e5)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    result = put(drawn, found, points_at([[100.0, 100.5]], ["A"]))
    np.testing.assert_array_equal(result.points.positions_px, [[100.0, 100.5]])
    assert np.isnan(result.error_px[0])
    assert abs(result.strain.yy[0]) < 0.02


def test_without_a_lattice_points_stay_where_they_are():
    result = unplaced(points_at([[1.0, 2.0], [3.0, 4.0]], ["V_X", "V_M"]))
    assert np.isnan(result.error_px).all()
    assert np.isnan(result.strain.site_px).all()
    assert len(result.points.kinds) == 2
