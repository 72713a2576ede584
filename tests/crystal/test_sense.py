import numpy as np
import pytest

from napari_stem_gan.crystal.cell import average_cell, fit_cell
from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.lattice import equivalent_cells
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.place import UNSURE
from napari_stem_gan.crystal.sense import misfit
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.crystal.warp import measure_warp
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image


def drawn(material, optics, *, dose=5e4, rotation=12.0, stack=1.15):
    crystal, rng = get_material(material), np.random.default_rng(0)
    place = Field(
        material=crystal, vectors_px=lattice_vectors_px(crystal, 0.2, rotation), origin_px=(3.0, 7.0),
        shape=(400, 400), pixel_size_A=0.2,
    )  # fmt: skip
    ideal = ideal_image(place, optics, DefectConfig(), rng, stack_factor=stack)
    return degrade(ideal, Degradation(detector=DetectorConfig(dose_e_per_A2=dose)), rng), place.vectors_px


def judged(labelled, vectors, material):
    crystal, data = get_material(material), labelled.image.data
    warp = measure_warp(data, vectors)
    found = []
    for cell in (vectors, -vectors):
        mean = average_cell(data, cell, warp)
        found.append(misfit(mean, crystal, cell, 0.2, fit_cell(mean, crystal, cell, 0.2))[0])
    return found


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("material", ["WSe2", "MoS2"])
def test_the_right_sense_fits_better_under_three_fold_astigmatism(material, angle):
    labelled, vectors = drawn(material, OpticsConfig(C23=700.0, phi23=angle))
    right, wrong = judged(labelled, vectors, material)
    assert right < wrong


@pytest.mark.parametrize("rotation", [12.0, 45.0])
def test_the_sense_is_found_by_match(rotation):
    labelled, vectors = drawn("WSe2", OpticsConfig(C23=500.0, phi23=0.8, C21=300.0), rotation=rotation)
    found = match(labelled.image, MatchConfig(material="WSe2"))
    assert len(equivalent_cells(vectors, get_material("WSe2"))) == 2
    away = (found.rotation_deg - rotation + 60) % 120 - 60
    assert abs(away) < 0.2


def test_columns_that_are_alike_leave_the_sense_unsure():
    labelled, _ = drawn("WSe2", OpticsConfig(), dose=5e3, stack=1.33)  # Se2 as bright as W
    found = match(labelled.image, MatchConfig(material="WSe2"))
    assert found.accepted
    assert UNSURE in found.reason
