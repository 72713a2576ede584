import numpy as np
import pytest

from napari_stem_gan.crystal.lattice import distortion, distortion_errors, equivalent_cells
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px


@pytest.mark.parametrize("name", ["WSe2", "SrTiO3", "graphene"])
def test_rotation_shear_stretch_and_size_come_back(name):
    material = get_material(name)
    scan = np.array([[1.01, 0.015], [0.0, 1 / 1.01]])  # rows (y, x): y stretched, x sheared with y
    found = distortion(lattice_vectors_px(material, 0.2, 17.0, scan), material)
    assert found.pixel_size_A == pytest.approx(0.2, rel=1e-9)
    assert found.rotation_deg == pytest.approx(17.0, abs=1e-9)
    assert found.shear == pytest.approx(0.015 / 1.01, abs=1e-9)
    assert found.stretch == pytest.approx(1.01**2 - 1, abs=1e-9)


def test_a_mirrored_lattice_is_no_rotation_of_the_crystal():
    material = get_material("WSe2")
    assert distortion(material.cell[::-1] / 0.2, material).largest == 1.0


@pytest.mark.parametrize(("name", "ways"), [("WSe2", 2), ("graphene", 1), ("SrTiO3", 1)])
def test_a_crystal_lies_on_its_lattice_in_as_many_ways_as_symmetry_says(name, ways):
    material = get_material(name)
    cells = equivalent_cells(lattice_vectors_px(material, 0.2, 100.0), material)
    assert len(cells) == ways
    for cell in cells:
        assert distortion(cell, material).largest < 1e-9
        assert abs(distortion(cell, material).rotation_deg) <= 180 / len(material.rotations) + 1e-6


def test_an_error_of_the_gradient_becomes_errors_of_size_and_rotation():
    material = get_material("SrTiO3")
    covariance = np.diag([1e-6, 0.0, 0.0, 1e-6])  # y by y and x by x
    errors = distortion_errors(lattice_vectors_px(material, 0.2, 0.0), material, covariance)
    assert errors["pixel_size_A"] == pytest.approx(0.2 * 1e-3 / np.sqrt(2), rel=1e-3)
    assert errors["stretch"] == pytest.approx(1e-3 * np.sqrt(2), rel=1e-3)
    assert errors["shear"] == pytest.approx(0.0, abs=1e-6)
