import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px, rotation_matrix


def test_the_rotation_turns_from_plus_x_towards_plus_y():
    np.testing.assert_allclose(np.array([0.0, 1.0]) @ rotation_matrix(90), [1.0, 0.0], atol=1e-12)


def test_lattice_vectors_are_the_cell_in_pixels_turned_and_strained():
    material = get_material("WSe2")
    vectors = lattice_vectors_px(material, 0.2, 30.0, np.diag([1.0, 1.1]))
    length = 3.282 / 0.2
    np.testing.assert_allclose(vectors[0], [length * 0.5, 1.1 * length * np.sqrt(3) / 2], atol=1e-9)


@pytest.mark.parametrize("name", ["WSe2", "SrTiO3", "graphene"])
def test_the_number_of_sites_follows_the_area(name):
    material, size = get_material(name), 0.05
    sites = fill_field(material, lattice_vectors_px(material, size, 17.0), (1200, 900), origin_px=(5.0, -3.0))
    cells = 1200 * 900 * size**2 / abs(np.linalg.det(material.cell))
    assert len(sites) == pytest.approx(cells * len(material.columns), rel=0.02)


def test_sites_keep_their_distances_and_stay_inside_the_margin():
    material = get_material("WSe2")
    sites = fill_field(material, lattice_vectors_px(material, 0.2, 41.0), (100, 140), margin_px=7.0)
    nearest = cKDTree(sites.positions_px).query(sites.positions_px, k=2)[0][:, 1]
    np.testing.assert_allclose(nearest, 3.282 / np.sqrt(3) / 0.2, atol=1e-6)
    assert (sites.positions_px >= -7.0).all()
    assert (sites.positions_px <= np.array([99 + 7.0, 139 + 7.0])).all()
    assert sites.positions_px.min() < -3


def test_the_origin_is_a_metal_site():
    material = get_material("MoS2")
    sites = fill_field(material, lattice_vectors_px(material, 0.2, 5.0), (120, 120), origin_px=(60.25, 50.5))
    index = np.hypot(*(sites.positions_px - [60.25, 50.5]).T).argmin()
    np.testing.assert_allclose(sites.positions_px[index], [60.25, 50.5], atol=1e-9)
    assert material.columns[sites.column[index]].sublattice == "Mo"
