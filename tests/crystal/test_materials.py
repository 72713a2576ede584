import numpy as np
import pytest

from napari_stem_gan.crystal.materials import MATERIALS, UnknownMaterial, find_material, get_material


@pytest.mark.parametrize("name", ["WSe₂", "WSe2", " wse2 ", "WSE 2"])
def test_subscripts_spaces_and_case_do_not_matter(name):
    assert get_material(name).key == "WSe2"


def test_an_unknown_material_is_refused_with_the_names_that_exist():
    with pytest.raises(UnknownMaterial, match="WSe2, graphene, SrTiO3"):
        get_material("unobtainium")


@pytest.mark.parametrize(
    ("name", "constant", "neighbour"),
    [("WSe2", 3.282, 3.282 / np.sqrt(3)), ("graphene", 2.46, 1.420), ("SrTiO3", 3.905, 3.905 / 2)],
)
def test_lattice_constants_and_column_distances_are_those_of_the_tables(name, constant, neighbour):
    material = get_material(name)
    assert material.constant_A == pytest.approx(constant, abs=1e-3)
    assert material.neighbour_distance_A == pytest.approx(neighbour, abs=1e-3)


def test_a_wse2_field_of_21_nm_holds_4730_cells():
    assert 210**2 / np.linalg.det(get_material("WSe2").cell) == pytest.approx(-4730, rel=2e-3)


def test_the_cell_is_hexagonal_or_square():
    for material in MATERIALS.values():
        a1, a2 = material.cell
        cosine = a1 @ a2 / (np.linalg.norm(a1) * np.linalg.norm(a2))
        assert cosine == pytest.approx(0.0 if material.family == "oxide" else 0.5, abs=1e-9)


def test_a_material_is_found_in_a_file_name_and_bare_text_gives_none():
    found = find_material(["session 3", "day_d/MoSe2_0012.dm4"])
    assert found is not None
    assert found.key == "MoSe2"
    assert find_material(["day_d/image_0012.dm4"]) is None
