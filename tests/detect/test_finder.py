import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.frame import make_frame
from napari_stem_gan.detect.table import COLUMNS
from napari_stem_gan.models import ModelFileError, save_model
from napari_stem_gan.training import Stopped

FAST = DetectConfig(average_flips=False)


def inside(positions, shape, rim=20):
    """Whether positions are at least `rim` pixels away from the rim, where evidence is weak."""
    return ((positions > rim) & (positions < np.array(shape) - rim)).all(1)


def test_the_result_lies_on_the_image(vacancies, new_finder):
    drawn, found = vacancies
    detection = new_finder.find(drawn.image, found, FAST)
    assert detection.classes == FINDER_CLASSES
    assert detection.probability.shape == (len(FINDER_CLASSES), *drawn.image.shape)
    assert 0 <= detection.probability.min() <= detection.probability.max() <= 1
    assert tuple(detection.points.columns)[: len(COLUMNS)] == COLUMNS
    sites = found.sites(drawn.image.shape).positions_px
    on_site = detection.points["sublattice"] != "between"
    assert cKDTree(sites).query(detection.points.positions_px[on_site])[0].max() < 0.5  # where its column is
    assert np.isfinite(detection.points["position_error_nm"][on_site]).all()
    assert np.isfinite(detection.points["strain_xx_percent"]).all()
    np.testing.assert_allclose(detection.points["y_nm"], detection.points["y_px"] * drawn.image.pixel_size_nm)


def test_a_planted_graphene_vacancy_is_found_within_half_a_pixel(draw_crystal, new_finder):
    drawn = draw_crystal("graphene", single_vacancy=0.02, pixel_size_A=0.12, seed=4)
    found = match(drawn.image, MatchConfig(material="graphene"))
    points = new_finder.find(drawn.image, found, FAST).points.filter(0.5)
    places, true = (p[inside(p, drawn.image.shape)] for p in (points.positions_px, drawn.positions_px))
    assert len(places) == len(true) == 3
    assert cKDTree(places).query(true)[0].max() < 0.5
    assert set(points["defect"]) == {"V_C"}


def test_averaging_over_turns_gives_the_same_heat_for_a_turned_image(new_finder):
    image = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    frame = make_frame((128, 128), 16.0)
    heat = new_finder.heat(image, frame, None, DetectConfig(tile_px=256)).maps
    turned = np.ascontiguousarray(image[::-1, ::-1])
    half_turn = new_finder.heat(turned, frame, None, DetectConfig(tile_px=256)).maps
    np.testing.assert_allclose(half_turn[:, ::-1, ::-1], heat, atol=0.02)
    one_way = new_finder.heat(image, frame, None, FAST)
    assert np.abs(one_way.maps - heat).max() > 1e-4
    assert not one_way.disagreement.any()


def test_tiles_do_not_show(vacancies, new_finder):
    drawn, found = vacancies
    frame, sites = make_frame(drawn.image.shape, 16.41), found.sites(drawn.image.shape)
    whole = new_finder.heat(drawn.image.data, frame, sites, FAST).maps
    tiled = new_finder.heat(drawn.image.data, frame, sites, replace(FAST, tile_px=160)).maps
    assert np.abs(whole - tiled).mean() < 0.01


def test_stop_ends_detection(vacancies, new_finder):
    drawn, found = vacancies
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        new_finder.find(drawn.image, found, FAST, stop=stop)


def test_without_a_lattice_the_network_works_alone_at_the_known_pixel_size(vacancies, new_finder):
    drawn, found = vacancies
    lost = replace(found, accepted=False, reason="no lattice")
    detection = new_finder.find(drawn.image, lost, FAST)
    assert "alone" in detection.note
    assert detection.probability.shape[1:] == drawn.image.shape
    blind = replace(drawn.image, pixel_size_A=None)
    with pytest.raises(ValueError, match="must have a lattice or a pixel size"):
        new_finder.find(blind, replace(lost, pixel_size_A=None), FAST)


def test_an_oxide_without_a_match_is_refused(vacancies, new_finder):
    drawn, found = vacancies
    with pytest.raises(ValueError, match="SrTiO3 must be matched before"):
        new_finder.find(drawn.image, replace(found, accepted=False, reason="no", material="SrTiO3"), FAST)


def test_a_saved_finder_comes_back_and_another_model_is_refused(tmp_path, new_finder):
    saved = save_model(tmp_path / "mine.safetensors", new_finder.state(), kind="finder", card={}, half=False)
    again = Finder.load(saved.path, "cpu")
    torch.testing.assert_close(again.state(), new_finder.state())
    other = save_model(tmp_path / "other.safetensors", {"a": torch.ones(2)}, kind="cyclegan", card={})
    with pytest.raises(ModelFileError, match="cyclegan model but a finder is needed"):
        Finder.load(other.path, "cpu")


def test_a_finder_whose_fusion_is_of_another_version_is_refused(tmp_path, new_finder):
    state = {name: tensor for name, tensor in new_finder.state().items() if not name.endswith(".limit")}
    assert len(state) < len(new_finder.state())
    old = save_model(tmp_path / "old.safetensors", state, kind="finder", card={}, half=False)
    with pytest.raises(ModelFileError, match="'old.safetensors' does not fit this version's finder; adapt again"):
        Finder.load(old.path, "cpu")


def test_a_new_fusion_leaves_the_network_alone(new_finder):
    fusion = replace(new_finder.fusion, weights={k: v + 1 for k, v in new_finder.fusion.weights.items()})
    other = new_finder.with_fusion(fusion)
    assert other.fusion is fusion
    torch.testing.assert_close(other.network_state, new_finder.network_state)
