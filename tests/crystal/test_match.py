import json
import threading

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import indexed_spots, match, snap
from napari_stem_gan.crystal.materials import UnknownMaterial, get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px, rotation_matrix
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.pairs import Degradation, degrade


def calibrated(labelled, factor=1.0, size=True):
    image = labelled.image
    return STEMImage(data=image.data, pixel_size_A=image.pixel_size_A * factor if size else None, name="drawn")


def site_error_px(found, labelled, sublattice):
    """Largest distance of the matched sites of a sublattice from the true ones, away from the rim."""
    drawn, shape = labelled.parameters, labelled.image.shape
    material, vectors, origin = get_material(drawn["material"]), drawn["vectors_px"], drawn["origin_px"]
    true = fill_field(material, np.array(vectors), shape, origin_px=np.array(origin), margin_px=30)
    sites = found.sites(shape)
    own = [np.array([c.sublattice == sublattice for c in material.columns])[s.column] for s in (true, sites)]
    placed = sites.positions_px[own[1]]
    inner = ((placed > 25) & (placed < np.array(shape) - 25)).all(1)
    assert inner.sum() > 20
    return cKDTree(true.positions_px[own[0]]).query(placed[inner])[0].max()


@pytest.mark.parametrize("rotation", [-47.0, -12.0, 0.0, 25.0, 55.0])
def test_a_drawn_hexagonal_crystal_is_recovered(draw_crystal, rotation):
    drawn = draw_crystal("WSe2", rotation_deg=rotation)
    found = match(calibrated(drawn), MatchConfig(material="WSe2"))
    assert found.accepted, found.reason
    assert found.rotation_deg == pytest.approx(rotation, abs=0.3)
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)
    assert site_error_px(found, drawn, "W") < 0.3
    assert site_error_px(found, drawn, "Se") < 0.3


@pytest.mark.parametrize("rotation", [-30.0, 0.0, 41.0])
def test_a_drawn_square_crystal_is_recovered(draw_crystal, rotation):
    drawn = draw_crystal("SrTiO3", rotation_deg=rotation)
    found = match(calibrated(drawn), MatchConfig(material="SrTiO3"))
    assert found.accepted, found.reason
    assert found.rotation_deg == pytest.approx(rotation, abs=0.3)
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)
    assert site_error_px(found, drawn, "Sr") < 0.3
    assert site_error_px(found, drawn, "Ti") < 0.3


@pytest.mark.parametrize("error", [-0.06, 0.06])
def test_a_pixel_size_that_is_six_per_cent_wrong_is_corrected(draw_crystal, error):
    found = match(calibrated(draw_crystal(), 1 + error), MatchConfig(material="WSe2"))
    assert found.accepted
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)
    assert found.scale_error == pytest.approx(error, abs=0.004)
    assert f"too {'large' if error > 0 else 'small'}" in found.reason


def test_the_pixel_size_of_the_settings_goes_before_that_of_the_file(draw_crystal):
    found = match(calibrated(draw_crystal(), 3.0), MatchConfig(material="WSe2", pixel_size_nm=0.0205))
    assert found.accepted
    assert found.nominal_pixel_size_A == pytest.approx(0.205)
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)


def test_without_a_pixel_size_it_is_taken_from_the_lattice(draw_crystal):
    found = match(calibrated(draw_crystal(), size=False), MatchConfig(material="WSe2"))
    assert found.accepted
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)
    assert "taken from the lattice" in found.reason


def test_a_scan_shear_of_two_per_cent_is_measured(draw_crystal):
    drawn = draw_crystal(strain=[[1.0, 0.02], [0.0, 1.0]])
    found = match(calibrated(drawn), MatchConfig(material="WSe2"))
    assert found.accepted
    assert found.shear == pytest.approx(0.02, abs=0.003)
    assert site_error_px(found, drawn, "W") < 0.3


def test_a_scan_that_wanders_does_not_hide_the_lattice(draw_crystal):
    clean = draw_crystal(shape=(384, 384))
    how = Degradation(scan=ScanConfig(wander_px=2.0, wander_rows=20.0), detector=DetectorConfig(dose_e_per_A2=1e4))
    wandered = degrade(clean, how, np.random.default_rng(3))
    found = match(calibrated(wandered), MatchConfig(material="WSe2"))
    assert found.accepted, found.reason
    assert found.goodness > 0.8
    assert found.rotation_deg == pytest.approx(12.0, abs=0.5)


def test_noise_and_contamination_do_not_hide_the_lattice(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=2e4, contamination=0.4, seed=3)
    found = match(calibrated(drawn), MatchConfig(material="WSe2"))
    assert found.accepted, found.reason
    assert found.rotation_deg == pytest.approx(12.0, abs=0.5)
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.005)
    assert site_error_px(found, drawn, "Se") < 1.0


def test_the_material_is_found_where_none_is_given(draw_crystal):
    found = match(calibrated(draw_crystal("SrTiO3")), MatchConfig(material="auto"))
    assert found.accepted
    assert found.material == "SrTiO3"
    assert found.best_other == "BaTiO3"


def test_errors_are_stated_and_hold(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=2e4, contamination=0.2, seed=5)
    found = match(calibrated(drawn), MatchConfig(material="WSe2"))
    assert 0 < found.errors["pixel_size_A"] < 0.001
    assert abs(found.pixel_size_A - 0.2) < 5 * found.errors["pixel_size_A"]
    assert abs(found.rotation_deg - 12.0) < 5 * found.errors["rotation_deg"] + 0.02
    assert set(found.errors) == {"pixel_size_A", "rotation_deg", "shear", "stretch", "fwhm_A"}


def test_a_wrong_pixel_size_that_another_material_explains_is_said(draw_crystal):
    found = match(calibrated(draw_crystal("MoS2")), MatchConfig(material="MoTe2"))
    assert found.accepted, found.reason
    assert found.best_other in ("MoS2", "WS2")
    assert "as given" in found.reason


def test_without_material_and_pixel_size_twins_are_refused_and_named(draw_crystal):
    found = match(calibrated(draw_crystal("WSe2"), size=False), MatchConfig(material="auto"))
    assert not found.accepted
    assert "choose the material" in found.reason


@pytest.mark.parametrize(("turn", "scale"), [(4.0, 1.06), (-4.0, 0.94)])
def test_snap_pulls_a_lattice_placed_by_hand_onto_the_image(draw_crystal, turn, scale):
    drawn = draw_crystal()
    truth = np.array(drawn.parameters["vectors_px"])
    placed = truth @ rotation_matrix(turn) * scale
    image = calibrated(drawn)
    found = snap(
        image, MatchConfig(), material="WSe2", lattice_vectors_px=placed, origin_px=np.array([100.0, 90.0])
    )
    assert found.accepted, found.reason
    assert found.rotation_deg == pytest.approx(12.0, abs=0.3)
    assert np.hypot(*(found.origin_px - [100.0, 90.0])) < np.hypot(*truth[0])
    assert site_error_px(found, drawn, "W") < 0.3


def test_snap_on_noise_is_refused():
    noise = STEMImage(data=np.random.default_rng(0).normal(size=(224, 256)), pixel_size_A=0.2)
    vectors = lattice_vectors_px(get_material("WSe2"), 0.2, 5.0)
    found = snap(noise, MatchConfig(), material="WSe2", lattice_vectors_px=vectors, origin_px=np.array([9.0, 9.0]))
    assert not found.accepted


def test_snap_of_another_crystal_is_refused_with_its_goodness(draw_crystal):
    image = calibrated(draw_crystal())
    vectors = lattice_vectors_px(get_material("graphene"), image.pixel_size_A, 0.0)
    found = snap(
        image, MatchConfig(), material="graphene", lattice_vectors_px=vectors, origin_px=np.array([100.0, 90.0])
    )
    assert not found.accepted
    assert found.pixel_size_A == image.pixel_size_A


@pytest.mark.parametrize("vectors", [np.zeros((2, 2)), [[1.0, 2.0], [2.0, 4.0]], np.full((2, 2), np.nan), [1.0, 2.0]])
def test_a_placed_lattice_that_does_not_span_the_image_is_refused(draw_crystal, vectors):
    with pytest.raises(ValueError, match="span the image"):
        snap(
            calibrated(draw_crystal()), MatchConfig(), material="WSe2", lattice_vectors_px=np.array(vectors),
            origin_px=np.array([9.0, 9.0]),
        )  # fmt: skip


def test_spots_are_where_the_reciprocal_lattice_is(draw_crystal):
    found = match(calibrated(draw_crystal()), MatchConfig(material="WSe2"))
    hk, frequency = indexed_spots(found)
    np.testing.assert_allclose(frequency @ found.lattice_vectors_px.T, hk, atol=1e-9)
    assert {(1, 0), (0, 1), (-1, 0)} <= {tuple(i) for i in hk}


def test_noise_is_refused_with_a_reason():
    noise = np.random.default_rng(0).normal(size=(224, 256))
    found = match(STEMImage(data=noise, pixel_size_A=0.2), MatchConfig(material="WSe2"))
    assert not found.accepted
    assert "lattice" in found.reason or "periodic" in found.reason
    assert found.pixel_size_A == 0.2
    with pytest.raises(ValueError, match="must be matched first"):
        found.sites((224, 256))


def test_a_wrong_symmetry_is_refused_and_the_right_one_is_named(draw_crystal):
    found = match(calibrated(draw_crystal("SrTiO3")), MatchConfig(material="WSe2"))
    assert not found.accepted
    assert found.best_other in ("SrTiO3", "BaTiO3")
    assert "would fit" in found.reason


@pytest.mark.parametrize("factor", [0.05, 0.1, 10.0, 1e4])
def test_a_pixel_size_that_is_far_off_is_refused_and_the_right_one_named(draw_crystal, factor):
    found = match(calibrated(draw_crystal(), factor), MatchConfig(material="WSe2"))
    assert not found.accepted
    assert "it would fit at 0.0200" in found.reason


def test_an_image_of_few_cells_is_refused_in_words(draw_crystal):
    found = match(calibrated(draw_crystal(shape=(74, 74))), MatchConfig(material="WSe2"))
    assert not found.accepted
    assert "4.8 × 4.8 cells of WSe2, too few to measure" in found.reason


def test_an_unknown_material_is_refused(draw_crystal):
    with pytest.raises(UnknownMaterial, match="choose one"):
        match(calibrated(draw_crystal()), MatchConfig(material="cheese"))


def test_stop_ends_the_search(draw_crystal):
    stop = threading.Event()
    stop.set()
    found = match(calibrated(draw_crystal()), MatchConfig(), stop=stop)
    assert not found.accepted
    assert found.reason == "stopped"


def test_the_match_goes_into_json_in_nm(draw_crystal):
    found = match(calibrated(draw_crystal()), MatchConfig(material="WSe2"))
    told = json.loads(json.dumps(found.to_dict()))
    assert told["accepted"] is True
    assert told["pixel_size_nm"] == pytest.approx(0.02, rel=0.003)
    assert np.array(told["lattice_vectors_px"]).shape == (2, 2)


def test_sites_are_displaced_with_the_warp(draw_crystal):
    found = match(calibrated(draw_crystal()), MatchConfig(material="WSe2"))
    moved = found.sites((224, 256))
    raw = fill_field(
        get_material("WSe2"), found.lattice_vectors_px, (224, 256), origin_px=found.origin_px, margin_px=20.0
    ).positions_px
    wanted = raw + found.warp.at(raw)
    assert cKDTree(wanted).query(moved.positions_px)[0].max() < 1e-9
    assert (moved.positions_px >= 0).all()
