import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.detect.frame import make_frame
from napari_stem_gan.detect.labels import heat_maps, kind_of, training_example, true_sites
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image


@pytest.mark.parametrize(
    ("defect", "sublattice", "kind"),
    [
        ("V_Se", "Se", "V_X"), ("V_2Se", "Se", "V_2X"), ("V_W", "W", "V_M"), ("S_Se", "Se", "S_X"),
        ("Se_W", "W", "S_M"), ("Mo_W", "W", "S_M"), ("Mo_S", "S", "S_X"), ("V_S", "S", "V_X"), ("V_C", "C", "V_X"),
        ("ad_W", "hollow", "A"),
    ],
)  # fmt: skip
def test_the_class_follows_from_the_name(defect, sublattice, kind):
    assert kind_of(defect, sublattice) == kind


def test_heat_maps_peak_at_the_true_places_of_their_class(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, metal_vacancy=0.05, pixel_size_A=0.15)
    frame = make_frame(drawn.image.shape, 3.282 / 0.15)
    maps = heat_maps(drawn, frame)
    kinds = np.array(drawn.parameters["kinds"])
    assert {"V_X", "V_M"} == set(kinds)
    for index, name in enumerate(FINDER_CLASSES):
        places = np.rint(frame.to_network(drawn.positions_px[kinds == name])).astype(int).reshape(-1, 2)
        places = np.clip(places, 0, np.array(maps.shape[1:]) - 1)
        assert (maps[index, places[:, 0], places[:, 1]] > 0.85).all()
        assert maps[index].any() == bool(len(places))


def test_labels_without_classes_get_them_from_their_names(draw_crystal):
    drawn = draw_crystal(single_vacancy=0.05, metal_vacancy=0.05)
    frame = make_frame(drawn.image.shape, 16.41)
    with_kinds = heat_maps(drawn, frame)
    del drawn.parameters["kinds"]
    np.testing.assert_array_equal(heat_maps(drawn, frame), with_kinds)


def test_true_sites_are_where_the_columns_were_drawn(draw_crystal):
    drawn = draw_crystal()
    sites = true_sites(drawn, margin_px=2.0)
    assert cKDTree(sites.positions_px).query(drawn.columns_px)[0].max() < 1e-6


def test_site_errors_stay_below_the_match_s_own(draw_crystal):
    drawn = draw_crystal()
    exact, _ = training_example(drawn, np.random.default_rng(0), site_error=0.0)
    inputs, target = training_example(drawn, np.random.default_rng(0), site_error=0.025)
    assert inputs.shape == exact.shape
    assert target.shape == (len(FINDER_CLASSES), *inputs.shape[1:])
    assert 0.001 < np.abs(inputs[2:] - exact[2:]).max() < 0.6  # moved, but by less than two network pixels
    np.testing.assert_array_equal(inputs[:2], exact[:2])


def test_adatoms_have_a_map_of_their_own():
    material, size = get_material("WSe2"), 0.2
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, size, 5.0), origin_px=(0.0, 0.0), shape=(128, 128),
        pixel_size_A=size,
    )  # fmt: skip
    defects = DefectConfig(planted="adatom W 1 /nm2", jitter_A=0.0)
    drawn = ideal_image(field, OpticsConfig(), defects, np.random.default_rng(0))
    assert set(drawn.parameters["kinds"]) == {"A"}
    *others, adatoms = heat_maps(drawn, make_frame(drawn.image.shape, 3.282 / size))
    assert adatoms.max() > 0.9
    assert not np.any(others)


def test_the_sites_of_a_strained_specimen_are_where_its_columns_are():
    material, size = get_material("WSe2"), 0.2
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, size, 5.0), origin_px=(0.0, 0.0), shape=(128, 128),
        pixel_size_A=size,
    )  # fmt: skip
    specimen = SpecimenConfig(strain_xx_percent=4.0, grain_boundary_deg=20.0, edge=0.2)
    perfect = DefectConfig(planted="V_Se 0 %", jitter_A=0.0)
    drawn = ideal_image(field, OpticsConfig(), perfect, np.random.default_rng(0), specimen=specimen)
    sites = true_sites(drawn, margin_px=2.0)
    assert cKDTree(sites.positions_px).query(drawn.columns_px)[0].max() < 1e-6
    assert training_example(drawn, np.random.default_rng(0))[0].shape[0] == 4


def test_sites_are_where_a_wandering_scan_shows_the_columns():
    material, size = get_material("WSe2"), 0.2
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, size, 5.0), origin_px=(0.0, 0.0), shape=(160, 160),
        pixel_size_A=size,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    ideal = ideal_image(field, OpticsConfig(), DefectConfig(single_vacancy=0.0, jitter_A=0.0), rng)
    drawn = degrade(ideal, Degradation(scan=ScanConfig(wander_px=1.5, wander_rows=25.0)), rng)
    moved = cKDTree(true_sites(ideal).positions_px).query(drawn.columns_px)[0]
    assert moved.max() > 0.8
    assert cKDTree(true_sites(drawn, margin_px=3.0).positions_px).query(drawn.columns_px)[0].max() < 0.05
