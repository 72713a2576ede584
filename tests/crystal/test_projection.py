import ase.build
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from napari_stem_gan.crystal.materials import MATERIALS, StructureError, get_material
from napari_stem_gan.crystal.presets import PRESETS
from napari_stem_gan.crystal.projection import material_from_atoms


def rebuilt(material):
    """The crystal in three dimensions, from its columns, heights and rise; y up, so that its hand is right."""
    cell = np.zeros((3, 3))
    flat = material.cell[:, ::-1] * (1, -1)
    cell[:2, :2], cell[:2, 2], cell[2, 2] = flat, material.rise_A, material.period_A
    places = [(*(np.array(c.fraction) @ flat), h) for c in material.columns for h in c.heights_A]
    return Atoms([a for c in material.columns for a in c.atoms], positions=places, cell=cell, pbc=True)


def space_group(atoms):
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    return spglib.get_symmetry_dataset(cell, symprec=0.02).number


def shells(atoms, element):
    """Distances of the neighbours of one atom of an element, up to 5 Å."""
    index = list(atoms.symbols).index(element)
    return np.sort(neighbor_list("d", atoms, 5.0)[neighbor_list("i", atoms, 5.0) == index])


def quartz():
    basis = [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)]
    return crystal(["Si", "O"], basis, spacegroup=154, cellpar=[4.916, 4.916, 5.405, 90, 90, 120])


@pytest.mark.parametrize(
    ("atoms", "axis"),
    [
        (PRESETS["Si"].build(), (1, 1, 0)), (PRESETS["GaAs"].build(), (1, 1, 2)), (PRESETS["CeO2"].build(), (1, 1, 1)),
        (ase.build.bulk("Ti"), (1, 0, 0)), (PRESETS["BaTiO3"].build(), (1, 1, 0)), (quartz(), (1, 2, 1)),
        (ase.build.bulk("Fe", cubic=True), (3, 1, 0)),
    ],
)  # fmt: skip
def test_columns_heights_and_rise_make_the_same_crystal_again(atoms, axis):
    material = material_from_atoms(atoms, axis, key="x")
    again = rebuilt(material)
    assert space_group(again) == space_group(atoms)
    assert again.get_volume() / len(again) == pytest.approx(atoms.get_volume() / len(atoms))
    for element in set(atoms.symbols):
        assert shells(again, element) == pytest.approx(shells(atoms, element), abs=1e-3)


def test_the_view_does_not_depend_on_the_setting_of_the_file():
    atoms = ase.build.mx2("WSe2", a=3.282, thickness=3.36, vacuum=8)
    for turn, shift, size in ((17.0, 0.3, (1, 1, 1)), (-80.0, 1.1, (3, 2, 1)), (200.0, -7.0, (1, 4, 1))):
        other = atoms.repeat(size)
        other.rotate(turn, "z", rotate_cell=True)
        other.positions += (shift, 2 * shift, shift)
        other.wrap()
        found = material_from_atoms(other, key="WSe2")
        assert found.cell == pytest.approx(MATERIALS["WSe2"].cell, abs=1e-6)
        for column, expected in zip(found.columns, MATERIALS["WSe2"].columns, strict=True):
            assert column.fraction == pytest.approx(expected.fraction, abs=1e-6)
            assert column.heights_A == pytest.approx(expected.heights_A, abs=1e-6)
        assert (found.family, found.layers, found.period_A, found.label) == ("tmd", 1, 0.0, "WSe2")


def test_equivalent_axes_of_a_cubic_crystal_give_the_same_view():
    views = [material_from_atoms(PRESETS["Si"].build(), axis, key="x") for axis in ((1, 1, 0), (0, 1, -1), (-1, 0, 1))]
    assert views[0].cell == pytest.approx(views[1].cell)
    assert views[0].columns[1].fraction == pytest.approx(views[2].columns[1].fraction)


def test_polarity_turns_with_the_axis():
    """Seen from behind, the arsenic of a dumbbell lies on the other side; a turn by 180° does not hide that."""
    views = [material_from_atoms(PRESETS["GaAs"].build(), axis, key="x") for axis in ((1, 1, 0), (-1, -1, 0))]
    assert [len(v.rotations) for v in views] == [1, 1]
    assert views[0].columns[1].fraction == pytest.approx(views[1].columns[1].fraction)  # [110] has a mirror plane


def test_a_bilayer_keeps_both_layers_and_their_heights():
    layer = ase.build.mx2("MoS2", a=3.16, thickness=3.13, vacuum=None)
    upper = layer.copy()
    upper.rotate(180, "z")
    upper.positions += (0, 0, 6.15)
    both = layer + upper
    both.pbc = (True, True, False)
    material = material_from_atoms(both, key="x")
    assert [c.atoms for c in material.columns] == [("Mo", "Mo"), ("S", "S"), ("S", "S")]
    heights = [h for c in material.columns for h in c.heights_A]
    assert max(heights) == pytest.approx((6.15 + 3.13) / 2, abs=1e-6)
    assert min(heights) == pytest.approx(-max(heights), abs=1e-6)


def test_columns_of_one_element_with_other_atoms_get_numbers():
    material = material_from_atoms(ase.build.bulk("NaCl", "rocksalt", 5.64, cubic=True), (1, 1, 0), key="x")
    assert {c.sublattice for c in material.columns} == {"Na", "Cl"}
    stacked = Atoms("WSeSe", positions=[(0, 0, 0), (0, 0, 3), (2, 2, 0)], cell=(4, 4, 0), pbc=(True, True, False))
    names = {c.sublattice for c in material_from_atoms(stacked, key="x").columns}
    assert names == {"W", "Se"}
    mixed = Atoms("TiOTi", positions=[(0, 0, 0), (0, 0, 2), (2, 2, 0)], cell=(4, 4, 0), pbc=(True, True, False))
    assert {c.sublattice for c in material_from_atoms(mixed, key="x").columns} == {"Ti1", "Ti2"}


def test_a_layer_that_the_cells_boundary_cuts_is_put_together():
    atoms = ase.build.mx2("WSe2", a=3.282, thickness=3.36, vacuum=8)
    atoms.pbc = True
    atoms.positions[:, 2] -= atoms.positions[0, 2]
    atoms.wrap()
    assert np.ptp(atoms.positions[:, 2]) > 10
    assert material_from_atoms(atoms, key="x").columns[1].heights_A == pytest.approx((1.68, -1.68))


def test_a_glide_plane_across_the_beam_halves_the_cell():
    """Phosphorene: the upper and the lower ridge look the same from above, half a cell apart."""
    positions = [(0, 0.38, 1.05), (1.66, 1.81, 1.05), (1.66, 2.57, -1.05), (0, 4.0, -1.05)]
    atoms = Atoms("P4", positions=positions, cell=(3.31, 4.38, 0), pbc=(True, True, False))
    material = material_from_atoms(atoms, key="x")
    assert abs(np.linalg.det(material.cell)) == pytest.approx(3.31 * 4.38 / 2, rel=1e-3)
    assert len(material.columns) == 2


@pytest.mark.parametrize("name", ["WSe2", "graphene"])
def test_a_layer_is_seen_along_its_normal_only(name):
    atoms = PRESETS[name].build()
    with pytest.raises(StructureError, match=r"must be its normal \[001\], got \[110\]"):
        material_from_atoms(atoms, (1, 1, 0), key="x")


def test_what_does_not_repeat_in_the_plane_is_refused():
    ribbon = ase.build.graphene_nanoribbon(2, 3, vacuum=8)
    for atoms in (ribbon, ase.build.molecule("H2O", vacuum=6), ase.build.molecule("CH4")):
        with pytest.raises(StructureError, match="periodic in the plane"):
            material_from_atoms(atoms, key="x")


def test_huge_cells_and_high_indices_are_refused():
    with pytest.raises(StructureError, match="1 to 2000 atoms, got 2744"):
        material_from_atoms(ase.build.bulk("Au", cubic=True).repeat((14, 14, 14))[:2744], key="x")
    with pytest.raises(StructureError, match="lower indices"):
        material_from_atoms(ase.build.bulk("Au", cubic=True), (29, 17, 3), key="x")
    with pytest.raises(StructureError, match="lower indices"):
        material_from_atoms(quartz(), (23, 4, 17), key="x")


def test_a_supercell_of_500_atoms_is_one_small_cell():
    material = material_from_atoms(PRESETS["Au"].build().repeat((5, 5, 5)), (0, 0, 1), key="x")
    assert material.cell == pytest.approx(get_material("Au [001]").cell)
    assert len(material.columns) == 1


def test_the_order_along_the_beam_does_not_depend_on_the_setting():
    """Two settings of a crystal whose columns hold two elements; which atom is the first must not matter."""
    atoms = PRESETS["GaAs"].build()
    moved = atoms.copy()
    moved.positions += (1.3, 0.4, 2.2)
    moved.wrap()
    first, second = (material_from_atoms(a, (1, 1, 1), key="x") for a in (atoms, moved))
    assert [c.atoms for c in first.columns] == [c.atoms for c in second.columns]
    assert first.columns[0].heights_A == pytest.approx(second.columns[0].heights_A, abs=1e-6)


def test_a_disordered_cell_keeps_every_column():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(5)] * 2, [0]), -1).reshape(-1, 3) * 3.0
    positions = grid + rng.uniform(-0.6, 0.6, grid.shape)
    atoms = Atoms(["W", *["Se"] * 24], positions=positions, cell=(15, 15, 0), pbc=(True, True, False))
    material = material_from_atoms(atoms, key="x")
    assert len(material.columns) == 25
    assert material.columns[0].atoms == ("W",)
    assert material.rotations == (((1, 0), (0, 1)),)


@pytest.mark.parametrize(
    ("atoms", "label"),
    [
        (ase.build.bulk("SiC", "zincblende", 4.36), "SiC [001]"), (PRESETS["SrTiO3"].build(), "SrTiO3 [001]"),
        (quartz(), "SiO2 [001]"), (PRESETS["WTe2 1T'"].build(), "WTe2"), (PRESETS["hBN"].build(), "BN"),
    ],
)  # fmt: skip
def test_the_label_of_a_file_is_its_formula_with_the_anions_last(atoms, label):
    assert material_from_atoms(atoms, key="x").label == label
