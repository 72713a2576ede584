import subprocess
import sys

import numpy as np
import pytest

from napari_stem_gan.crystal.materials import (
    MATERIALS,
    Column,
    Material,
    StructureError,
    UnknownMaterial,
    find_material,
    get_material,
)

TRAINED = {
    "MoS2": ("Mo", "S", 3.160), "WS2": ("W", "S", 3.153), "MoSe2": ("Mo", "Se", 3.289), "WSe2": ("W", "Se", 3.282),
}  # fmt: skip
BULK = ("Si [110]", "GaAs [110]", "CdTe [110]", "Au [001]", "Au [110]", "CeO2 [110]", "Au [111]")
PEROVSKITES = {"SrTiO3": ("Sr", 3.905), "BaTiO3": ("Ba", 3.994)}


def kinds(material):
    """What the finder was trained with: everything of the columns but their heights."""
    return [(pytest.approx(c.fraction, abs=1e-12), c.atoms, c.sublattice, c.role) for c in material.columns]


@pytest.mark.parametrize("name", TRAINED)
def test_dichalcogenides_are_the_cells_that_the_finder_was_trained_on(name):
    metal, anion, a = TRAINED[name]
    material = MATERIALS[name]
    assert material.cell == pytest.approx(np.array([[0, a], [a * np.sqrt(3) / 2, a / 2]]), abs=1e-12)
    assert kinds(material) == [
        ((0.0, 0.0), (metal,), metal, "metal"),
        ((1 / 3, 1 / 3), (anion, anion), anion, "anion"),
    ]
    assert (material.key, material.family, material.layers, material.zone_axis) == (name, "tmd", 1, "[001]")


@pytest.mark.parametrize("name", PEROVSKITES)
def test_perovskites_and_graphene_have_the_cells_of_the_first_version(name):
    cation, a = PEROVSKITES[name]
    material = MATERIALS[name]
    assert material.cell == pytest.approx(np.array([[0, a], [a, 0]]), abs=1e-12)
    assert kinds(material) == [
        ((0.0, 0.0), (cation,), cation, "metal"),
        ((0.5, 0.5), ("Ti", "O"), "Ti", "metal"),
        ((0.5, 0.0), ("O",), "O", "anion"),
        ((0.0, 0.5), ("O",), "O", "anion"),
    ]
    assert (material.key, material.family, material.layers) == (name, "oxide", 25)


def test_graphene_has_the_cell_of_the_first_version():
    material = MATERIALS["graphene"]
    assert material.cell == pytest.approx(np.array([[0, 2.46], [2.46 * np.sqrt(3) / 2, 1.23]]), abs=1e-12)
    assert kinds(material) == [((0.0, 0.0), ("C",), "C", "anion"), ((1 / 3, 1 / 3), ("C",), "C", "anion")]
    assert (material.family, material.layers) == ("graphene", 1)


@pytest.mark.parametrize("name", ["WSe₂", "WSe2", " wse2 ", "WSE 2", "2H-WSe2"])
def test_subscripts_spaces_and_case_do_not_matter(name):
    assert get_material(name) is MATERIALS["WSe2"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Si110", "Si [110]"), ("si[110]", "Si [110]"), ("Si", "Si [110]"), ("CeO2", "CeO2 [110]"),
        ("wte2", "WTe2 1T'"), ("1T'-WTe2", "WTe2 1T'"), ("h-BN", "hBN"), ("SrTiO3 [001]", "SrTiO3"),
        ("au 001", "Au [001]"), ("WSe2 [0001]", "WSe2"), ("Si [220]", "Si [110]"), ("Au [111]", "Au [111]"),
        ("SrTiO3 [110]", "SrTiO3 [110]"),
    ],
)  # fmt: skip
def test_a_preset_goes_by_every_name_that_is_unambiguous(name, key):
    material = get_material(name)
    assert material.key == key
    assert get_material(material.key) is material


def test_an_element_with_two_presets_asks_for_the_zone_axis():
    with pytest.raises(UnknownMaterial, match=r"choose Au \[001\] or Au \[110\]"):
        get_material("Au")


@pytest.mark.parametrize("name", ["unobtainium", "", "W", "se2", "[110]", "WSe2 WS2", "Si1100", "x" * 5000, "1e999"])
def test_an_unknown_material_is_refused_with_the_names_that_exist(name):
    with pytest.raises(UnknownMaterial, match=r"WSe2, MoTe2, .*SrTiO3, .*Au \[001\].*choose one"):
        get_material(name)


@pytest.mark.parametrize("name", ["WSe2 [110]", "Si [1 0.5 0]", "Si [000]", "Au [1 1]", "Si [11-20]"])
def test_a_preset_along_an_impossible_axis_is_refused(name):
    with pytest.raises(StructureError, match="zone axis"):
        get_material(name)


@pytest.mark.parametrize(
    ("name", "constant", "neighbour"),
    [
        ("WSe2", 3.282, 3.282 / np.sqrt(3)), ("MoTe2", 3.520, 3.520 / np.sqrt(3)), ("graphene", 2.46, 1.420),
        ("hBN", 2.504, 1.446), ("SrTiO3", 3.905, 3.905 / 2), ("Si [110]", 5.431 * np.sqrt(3 / 8), 1.358),
        ("GaAs [110]", 5.653 * np.sqrt(3 / 8), 1.413), ("CdTe [110]", 6.482 * np.sqrt(3 / 8), 6.482 / 4),
        ("Au [001]", 4.078 / 2, 4.078 / 2), ("Au [110]", 4.078 * np.sqrt(3 / 8), 4.078 * np.sqrt(3 / 8)),
        ("CeO2 [110]", 5.411 * np.sqrt(3 / 8), 5.411 / 4),
    ],
)  # fmt: skip
def test_lattice_constants_and_column_distances_are_those_of_the_tables(name, constant, neighbour):
    material = get_material(name)
    assert material.constant_A == pytest.approx(constant, abs=1e-3)
    assert material.neighbour_distance_A == pytest.approx(neighbour, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "atoms_per_nm3"),
    [("Si [110]", 8 / 0.5431**3), ("GaAs [110]", 8 / 0.5653**3), ("Au [001]", 4 / 0.4078**3),
     ("Au [110]", 4 / 0.4078**3), ("CeO2 [110]", 12 / 0.5411**3), ("SrTiO3", 5 / 0.3905**3)],
)  # fmt: skip
def test_a_bulk_crystal_has_its_density(name, atoms_per_nm3):
    material = get_material(name)
    volume = abs(np.linalg.det(material.cell)) * material.period_A / 1000
    assert sum(len(c.atoms) for c in material.columns) / volume == pytest.approx(atoms_per_nm3, rel=1e-9)


def test_a_wse2_field_of_21_nm_holds_4730_cells():
    assert 210**2 / np.linalg.det(get_material("WSe2").cell) == pytest.approx(-4730, rel=2e-3)


def test_every_cell_is_reduced_right_handed_and_lies_along_x():
    for material in MATERIALS.values():
        a1, a2 = material.cell
        assert a1[0] == 0.0
        assert a1[1] > 0
        assert a2[0] > 0  # y points down: right-handed as (x, y)
        assert np.hypot(*a1) <= np.hypot(*a2) + 1e-9
        assert abs(a1 @ a2) <= 0.5 * a1 @ a1 + 1e-9


def test_the_bonds_of_one_layer_of_wte2_are_those_of_the_crystal():
    """Mar, Jobic and Ibers 1992: W-Te 2.70 to 2.80 Å, six per W; the W-W zigzag 2.85 Å."""
    material = get_material("WTe2")
    fractions = np.array([c.fraction for c in material.columns])
    flat = np.array([c.heights_A[0] for c in material.columns])
    shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)], float)
    across = (fractions[:, None, None] - fractions[None, :, None] + shifts) @ material.cell
    distance = np.sqrt((across**2).sum(-1) + ((flat[:, None] - flat[None]) ** 2)[..., None])
    is_metal = np.array([c.role == "metal" for c in material.columns])
    for one in distance[is_metal]:
        bonds = np.sort(one[~is_metal].ravel())
        assert 2.69 < bonds[0] < bonds[5] < 2.82
        assert bonds[6] > 3.5
        assert np.sort(one[is_metal].ravel())[1:3] == pytest.approx(2.849, abs=0.002)


def test_chalcogen_planes_lie_above_and_below_the_metal():
    metal, anion = get_material("WSe2").columns
    assert metal.heights_A == (0.0,)
    assert anion.heights_A == pytest.approx((1.68, -1.68))


def test_columns_of_a_centred_view_are_staggered_by_half_a_repeat():
    material = get_material("Si [110]")
    assert material.period_A == pytest.approx(5.431 / np.sqrt(2))
    assert material.rise_A == pytest.approx((material.period_A / 2,) * 2)


@pytest.mark.parametrize("name", BULK)
def test_bulk_is_about_10_nm_thick_unless_said_otherwise(name):
    material = get_material(name)
    assert material.layers * material.period_A == pytest.approx(100, abs=material.period_A / 2)
    assert material.with_layers(3).layers == 3
    assert material.with_layers(3).columns == material.columns


def test_no_layers_and_forgotten_heights_are_refused():
    with pytest.raises(ValueError, match="layers must be 1 or more, got 0"):
        get_material("WSe2").with_layers(0)
    with pytest.raises(ValueError, match="one height per atom"):
        Column((0.0, 0.0), ("Ti", "O"), "Ti", "metal", (0.0,))


def test_a_material_made_by_hand_needs_no_heights_and_no_label():
    column = Column((0.0, 0.0), ("Ti", "O"), "Ti", "metal")
    material = Material("TiO", "other", ((0.0, 2.0), (2.0, 0.0)), (column,))
    assert column.heights_A == (0.0, 0.0)
    assert material.label == "TiO"


def test_importing_the_presets_builds_none_and_loads_no_crystallography():
    code = (
        "import sys, napari_stem_gan.crystal.materials as m; list(m.MATERIALS); m.find_material(['WSe 3', 'day']);"
        "print([n for n in ('spglib', 'ase.spacegroup', 'ase.build', 'ase.io', 'scipy', 'torch') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("day_d/MoSe2_0012.dm4", "MoSe2"), ("20nmWSe2.tif", "WSe2"), ("W-Se₂ flake", "WSe2"), ("mos2_3", "MoS2"),
        ("srtio3 (001)", "SrTiO3"), ("CVD graphene", "graphene"), ("mote2-04.emd", "MoTe2"),
        ("WTe2_1T", "WTe2 1T'"), ("hBN_004.dm4", "hBN"), ("hBN/WSe2/hBN", "WSe2"), ("CeO2_12.tif", "CeO2 [110]"),
        ("gaas 3", "GaAs [110]"),
        ("Au [001] 12", "Au [001]"), ("Au110_film", "Au [110]"), ("Si[110]", "Si [110]"),
        ("lamella Si <110>", "Si [110]"),
    ],
)  # fmt: skip
def test_a_material_is_found_in_a_file_name(text, key):
    found = find_material(["session 3", text])
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    "text",
    [
        "day_d/image_0012.dm4", "Silicon Drift Detector", "August 2026", "SIMS 110", "rows2", "views 2", "demos2",
        "browse2", "Au_001.tif", "Si", "Au", "device O2", "remote 2", "CdTe detector", "GaAs diode", "Si 3",
        "SI110", "Aurora 110", "author", "Sigma 300", "hbnx", "Si1100", "Si [111]", "AuCu [001]",
    ],
)  # fmt: skip
def test_words_that_only_look_like_a_material_give_none(text):
    assert find_material([text]) is None
