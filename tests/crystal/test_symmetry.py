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


@pytest.mark.parametrize(
    ("name", "crystal", "lattice"),
    [
        ("MoTe2", 3, 6), ("WTe2 1T'", 2, 2), ("hBN", 3, 6), ("Si [110]", 2, 2), ("GaAs [110]", 1, 2),
        ("CdTe [110]", 1, 2), ("Au [001]", 4, 4), ("Au [110]", 2, 2), ("CeO2 [110]", 2, 2), ("Au [111]", 6, 6),
        ("GaAs [111]", 6, 6), ("Si [111]", 6, 6),
    ],
)  # fmt: skip
def test_further_presets_have_the_rotations_of_their_projection(name, crystal, lattice):
    material = get_material(name)
    assert (len(material.rotations), len(material.lattice_rotations)) == (crystal, lattice)
    assert set(material.rotations) <= set(material.lattice_rotations)


@pytest.mark.parametrize("name", ["Si [110]", "CeO2 [110]", "WTe2", "hBN", "WSe2"])
def test_rotations_carry_every_column_into_one_of_its_kind(name):
    material = get_material(name)
    fractions = np.array([c.fraction for c in material.columns])
    for turn in material.rotations:
        moved = fractions @ np.array(turn)
        shifts = [fractions[k] - moved[0] for k in range(len(fractions))]
        assert any(_same(moved + s, fractions, [c.atoms for c in material.columns]) for s in shifts)


def _same(moved, fractions, atoms):
    miss = np.abs((moved[:, None] - fractions + 0.5) % 1 - 0.5).max(-1)
    return all(miss[i].min() < 0.005 and atoms[int(miss[i].argmin())] == atoms[i] for i in range(len(atoms)))
