import threading

import numpy as np
import pytest

from napari_stem_gan.crystal import candidates
from napari_stem_gan.crystal.candidates import Trial, try_materials
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.spectrum import spectrum
from napari_stem_gan.image import STEMImage

TWINS = ("MoS2", "WS2", "MoSe2", "WSe2")


def trial_on(data, pixel_size_A=0.2):
    image = STEMImage(data=data, pixel_size_A=pixel_size_A, name="drawn")
    return Trial(image, spectrum(image.data), pixel_size_A, MatchConfig())


def crystals(*names):
    return [get_material(name) for name in names]


def test_crystals_of_one_lattice_share_what_is_measured_of_it(draw_crystal, monkeypatch):
    measured = []
    monkeypatch.setattr(candidates, "settle", lambda *a, settle=candidates.settle: measured.append(a) or settle(*a))
    results = try_materials(trial_on(draw_crystal("WSe2").image.data), crystals(*TWINS), told=False)
    assert sum(r.accepted for r in results) >= 2
    assert len(measured) == 1


def test_each_crystal_is_judged_once_and_says_why(draw_crystal):
    trial = trial_on(draw_crystal("WSe2").image.data)
    results = try_materials(trial, crystals("WSe2", "SrTiO3", "graphene"), told=False)
    verdicts = {r.material: r for r in results}
    assert verdicts["WSe2"].accepted
    assert not verdicts["SrTiO3"].accepted
    assert "lattice" in verdicts["SrTiO3"].reason or "structure" in verdicts["SrTiO3"].reason


def test_no_crystal_is_laid_on_a_lattice_that_surprises_less_than_asked(draw_crystal, monkeypatch):
    trial = trial_on(draw_crystal("WSe2").image.data)
    (found,) = try_materials(trial, crystals("WSe2"), told=False, least_surprise=1.0)
    monkeypatch.setattr(candidates, "settle", lambda *_: pytest.fail("nothing is to be measured"))
    (poor,) = try_materials(trial, crystals("WSe2"), told=False, least_surprise=found.surprise + 1)
    assert found.accepted
    assert not poor.accepted


def test_strong_drift_needs_a_named_material(draw_crystal):
    sheared = draw_crystal("WSe2", strain=[[1.0, 0.0], [0.11, 1.0]])
    trial = trial_on(sheared.image.data)
    assert try_materials(trial, crystals("WSe2"), told=True)[0].accepted
    assert not try_materials(trial, crystals("WSe2"), told=False)[0].accepted


def test_nothing_is_tried_after_a_stop(draw_crystal):
    stop = threading.Event()
    stop.set()
    assert try_materials(trial_on(draw_crystal("WSe2").image.data), crystals(*TWINS), told=False, stop=stop) == []


def test_the_sizes_to_search_come_from_the_pixel_size_or_from_the_cell():
    data = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    material = get_material("WSe2")
    low, high = trial_on(data).sizes(material)
    assert (low, high) == pytest.approx((0.176, 0.224))
    low, high = trial_on(data, None).sizes(material)
    assert material.constant_A / high == pytest.approx(6.0)
