import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material


@pytest.mark.parametrize(
    ("name", "crystal", "lattice"), [("WSe2", 3, 6), ("graphene", 6, 6), ("SrTiO3", 4, 4), ("BaTiO3", 4, 4)]
)
def test_a_crystal_has_the_rotations_of_its_plane_group(name, crystal, lattice):
    material = get_material(name)
    assert len(material.rotations) == crystal
    assert len(material.lattice_rotations) == lattice


@pytest.mark.parametrize("name", ["WSe2", "graphene", "SrTiO3"])
def test_turned_vectors_are_the_cell_turned_and_nothing_else(name):
    material = get_material(name)
    assert material.rotations[0] == ((1, 0), (0, 1))
    for turn in material.lattice_rotations:
        turned = np.array(turn) @ material.cell
        carried = np.linalg.inv(material.cell) @ turned
        assert carried @ carried.T == pytest.approx(np.eye(2), abs=1e-12)
        assert np.linalg.det(carried) == pytest.approx(1.0)


def test_an_odd_turn_by_60_degrees_takes_the_chalcogens_of_a_2h_crystal_to_its_hollows():
    material = get_material("WSe2")
    extra = set(material.lattice_rotations) - set(material.rotations)
    moved = [np.array(material.columns[1].fraction) @ np.array(turn) % 1 for turn in extra]
    assert moved == [pytest.approx([2 / 3, 2 / 3])] * 3
