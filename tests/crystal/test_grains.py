import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal import grains
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.spectrum import spectrum
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.config import OpticsConfig

SHAPE, SIZE, BORDER = (320, 320), 0.2, 170


@pytest.fixture(scope="module")
def bicrystal():
    """WSe2 turned by 4° on the left and by 22° on the right: image and true sites."""
    material = get_material("WSe2")
    sides = []
    for turn, left in ((4.0, True), (22.0, False)):
        sites = fill_field(material, lattice_vectors_px(material, SIZE, turn), SHAPE, origin_px=(3, 5), margin_px=40)
        keep = (sites.positions_px[:, 1] < BORDER) == left
        sides.append((sites.positions_px[keep], sites.column[keep]))
    positions, columns = (np.concatenate([side[i] for side in sides]) for i in (0, 1))
    weights = np.where(columns == 0, 0.040, 0.033)
    image = render(positions, weights, SHAPE, pixel_size_A=SIZE, optics=OpticsConfig())
    noisy = image + np.random.default_rng(0).normal(0, 0.1 * image.std(), SHAPE).astype(np.float32)
    return STEMImage(data=noisy, pixel_size_A=SIZE, name="bicrystal"), positions


@pytest.fixture
def strip_of(draw_crystal):
    """A strip of a single crystal: how many cells across, and which axis is the short one."""
    drawn = draw_crystal(dose_e_per_A2=5e4, shape=(256, 384)).image

    def cut(cells, across):
        cell = get_material("WSe2").cell / drawn.pixel_size_A
        width = int(np.ceil(cells * np.sqrt(abs(np.linalg.det(cell)))))
        data = drawn.data[:width] if across == 0 else drawn.data[:width].T
        return STEMImage(data=data, pixel_size_A=drawn.pixel_size_A, name="strip")

    return cut


def test_two_grains_give_two_lattices(bicrystal):
    found = match(bicrystal[0], MatchConfig(material="WSe2"))
    assert found.accepted, found.reason
    assert len(found.other_grains) == 1
    turns = sorted(g.rotation_deg % 120 for g in (found, *found.other_grains))
    assert turns == pytest.approx([4.0, 22.0], abs=0.3)


def test_each_site_belongs_to_the_grain_that_is_there(bicrystal):
    image, positions = bicrystal
    sites = match(image, MatchConfig(material="WSe2")).sites(SHAPE).positions_px
    inner = sites[((sites > 25) & (sites < np.array(SHAPE) - 25)).all(1) & (np.abs(sites[:, 1] - BORDER) > 25)]
    assert len(inner) > 300
    assert np.quantile(cKDTree(positions).query(inner)[0], 0.98) < 0.7


def test_a_single_crystal_has_one_grain(draw_crystal):
    drawn = draw_crystal("WSe2", dose_e_per_A2=5e4, contamination=0.3)
    assert match(drawn.image, MatchConfig(material="WSe2")).other_grains == ()


@pytest.mark.parametrize("cells", [2.4, 4.8])
@pytest.mark.parametrize("across", [0, 1])
def test_a_strip_of_a_single_crystal_has_one_grain(strip_of, cells, across):
    strip = strip_of(cells, across)
    found = match(strip, MatchConfig(material="WSe2"))
    assert found.other_grains == ()
    assert found.accepted == (cells > 3)
    assert found.accepted or "cells of WSe2, too few to measure (at least 3 across" in found.reason


def test_a_lattice_that_no_grain_can_have_is_not_placed(bicrystal, monkeypatch):
    image = bicrystal[0]
    main = match(image, MatchConfig(material="WSe2"))
    monkeypatch.setattr(grains, "refine", lambda found, reciprocal: reciprocal * 1e-4)
    monkeypatch.setattr(grains, "place", lambda *told: pytest.fail("a cell larger than the image was placed"))
    assert grains.other_grains(image, spectrum(image.data), main) == ()
