import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
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
