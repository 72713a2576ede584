import os

import ase.build
import ase.io
import numpy as np
import pytest

from napari_stem_gan.crystal.materials import StructureError, UnknownMaterial, get_material
from napari_stem_gan.crystal.presets import PRESETS
from napari_stem_gan.crystal.structures import read_structure

CIF = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""
FULL = "Ti1 Ti 0 0 0 1\nO1 O 0.5 0.5 0.5 1"
LATTICE = 'Lattice="4 0 0 0 4 0 0 0 {c}" Properties=species:S:1:pos:R:3 pbc="{pbc}"'


@pytest.fixture
def cif(tmp_path):
    def write(sites=FULL, a="4.0"):
        (tmp_path / "x.cif").write_text(CIF.format(a=a, sites=sites))
        return str(tmp_path / "x.cif")

    return write


@pytest.mark.parametrize("name", ["x.cif", "x.vasp", "POSCAR", "x.xyz", "x.xsf", "x.json"])
def test_every_common_format_gives_the_preset_again(tmp_path, name):
    ase.io.write(tmp_path / name, PRESETS["CdTe"].build(), format={"x.xyz": "extxyz"}.get(name))
    found, preset = get_material(f"{tmp_path / name} [110]"), get_material("CdTe [110]")
    assert found.cell == pytest.approx(preset.cell, abs=1e-4)
    assert [c.atoms for c in found.columns] == [c.atoms for c in preset.columns]
    assert found.columns[1].fraction == pytest.approx(preset.columns[1].fraction, abs=1e-4)
    assert (found.label, found.zone_axis, found.layers) == ("CdTe [110]", "[110]", preset.layers)


def test_a_monolayer_with_vacuum_is_a_layer_of_its_family(tmp_path):
    ase.io.write(tmp_path / "layer.cif", ase.build.mx2("WSe2", a=3.282, thickness=3.36, vacuum=9))
    found = get_material(str(tmp_path / "layer.cif"))
    assert (found.family, found.layers, found.period_A, found.label) == ("tmd", 1, 0.0, "WSe2")


def test_the_key_is_the_absolute_path_and_gives_the_same_crystal_again(cif, monkeypatch, tmp_path):
    cif()
    monkeypatch.chdir(tmp_path)
    found = get_material("x.cif")
    assert found.key == f"{(tmp_path / 'x.cif').resolve()} [001]"
    monkeypatch.chdir("/")
    assert get_material(found.key) is found


def test_a_file_that_has_changed_is_read_again(cif):
    path = cif()
    assert get_material(path).constant_A == pytest.approx(4.0)
    cif(a="4.100")
    assert get_material(path).constant_A == pytest.approx(4.1)


def test_blanks_brackets_and_at_signs_in_a_path_are_part_of_it(tmp_path):
    folder = tmp_path / "my data[1]"
    folder.mkdir()
    for name in ("a b@2.cif", "POSCAR[110]"):
        ase.io.write(folder / name, PRESETS["Au"].build(), format="cif" if name.endswith("cif") else "vasp")
    assert get_material(f"{folder}/a b@2.cif [110]").label == "Au [110]"
    assert get_material(f"{folder}/POSCAR[110]").label == "Au [001]" or os.name == "nt"


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ("Ti1 Ti 0 0 0 0.5\nNb1 Nb 0 0 0 0.5\nO1 O 0.5 0.5 0.5 1", r"Ti 0.5 \+ Nb 0.5"),
        ("Ti1 Ti 0 0 0 0.9\nO1 O 0.5 0.5 0.5 1", "Ti 0.9"),
        ("Ti1 Ti 0 0 0 0.80(2)\nO1 O 0.5 0.5 0.5 1", "Ti 0.8"),
    ],
)
def test_partial_occupancy_is_refused(cif, sites, said):
    with pytest.raises(StructureError, match=f"fully occupied, got {said} in x.cif; give an ordered"):
        get_material(cif(sites))


def test_an_occupancy_that_is_not_given_is_one(cif):
    assert len(get_material(cif("Ti1 Ti 0 0 0 ?\nO1 O 0.5 0.5 0.5 .\nO2 O 0.5 0.5 0 1.00(2)")).columns) == 2


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ("Ti1 Ti 0 0 0 1\nO1 O 0.02 0 0 1", "at least 0.5 Å apart, got Ti and O at 0.08 Å"),
        ("X1 X 0 0 0 1\nO1 O 0.5 0.5 0.5 1", "known element"),
        ("Ti1 Ti nan 0 0 1\nO1 O 0.5 0.5 0.5 1", "not understood"),
        ("Ti1 Ti ? ? ? 1\nO1 O 0.5 0.5 0.5 1", "not understood"),
    ],
)
def test_a_structure_that_is_no_crystal_is_refused(cif, sites, said):
    with pytest.raises(StructureError, match=said):
        get_material(cif(sites))


@pytest.mark.parametrize("a", ["0", "0.2", "-", "1e9999"])
def test_an_impossible_cell_is_refused(cif, a):
    with pytest.raises(StructureError):
        get_material(cif(a=a))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n", "periodic in the plane, got no cell"),
        (f"1\n{LATTICE.format(c=4, pbc='F F F')}\nAu 0 0 0\n", "periodic in the plane"),
        (f"0\n{LATTICE.format(c=4, pbc='T T T')}\n", "1 to 2000 atoms, got 0"),
        (f"1\n{LATTICE.format(c=4, pbc='T T T')}\nXx 0 0 0\n", "not understood"),
        ("hello", "ASE reads, got x.xyz"),
        ("", "ASE reads, got x.xyz: it is empty"),
    ],
)
def test_what_does_not_repeat_or_cannot_be_read_is_refused(tmp_path, text, said):
    (tmp_path / "x.xyz").write_text(text)
    with pytest.raises(StructureError, match=said) as caught:
        get_material(str(tmp_path / "x.xyz"))
    assert "\n" not in str(caught.value)


def test_a_layer_without_a_third_vector_is_read(tmp_path):
    (tmp_path / "x.xyz").write_text(f"1\n{LATTICE.format(c=0, pbc='T T F')}\nAu 0 0 0\n")
    assert get_material(str(tmp_path / "x.xyz")).period_A == 0.0


@pytest.mark.parametrize("name", ["a.tif", "a.py", "a.json", "a.bin.cif", "noextension"])
def test_files_of_other_kinds_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(np.random.default_rng(1).bytes(500))
    with pytest.raises(StructureError, match="CIF, POSCAR, xyz or another format that ASE reads"):
        read_structure(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.cif", "/nowhere/POSCAR", "~nobody/x.cif", "a\0b.cif", "x/" * 3000, "."])
def test_a_file_that_is_not_there_is_refused(name):
    with pytest.raises((StructureError, UnknownMaterial), match="structure file") as caught:
        get_material(f"{name} [110]")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("axis", ["(110)", "<110>", "110", "1 1 0"])
def test_a_zone_axis_without_square_brackets_is_pointed_out(cif, axis):
    with pytest.raises(StructureError, match="square brackets"):
        get_material(f"{cif()} {axis}")


def test_four_indices_need_a_hexagonal_cell(cif, tmp_path):
    with pytest.raises(StructureError, match="three indices"):
        get_material(f"{cif()} [11-20]")
    ase.io.write(tmp_path / "ti.cif", ase.build.bulk("Ti"))
    assert get_material(f"{tmp_path / 'ti.cif'} [11-20]").label == "Ti [110]"
