import pytest

from napari_stem_gan.crystal.materials import MATERIALS
from napari_stem_gan.crystal.roles import anions, column_names, leading_element, usual_role


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ("W Se", "Se"), ("Sr Ti O", "O"), ("B N", "N"), ("Ga As", "As"), ("Si C", "C"), ("Bi O Cl", "O Cl"),
        ("In P", "P"),
        ("C", "C"), ("Si", ""), ("Au Cu", ""), ("Si Ge", ""), ("P", ""), ("La B", "B"), ("K P O H", "O"),
        ("Mo S Se", "S Se"),
    ],
)  # fmt: skip
def test_the_most_electronegative_class_makes_the_anions(elements, expected):
    assert anions(elements.split()) == set(expected.split())


def test_a_column_is_named_after_its_heaviest_metal():
    assert leading_element(("O", "Ti"), frozenset("O")) == "Ti"
    assert leading_element(("Te", "Mo", "Te"), frozenset({"Te"})) == "Mo"
    assert leading_element(("S", "Se"), frozenset({"S", "Se"})) == "Se"


def test_columns_of_one_element_with_other_atoms_are_numbered_by_weight():
    columns = [("W",), ("W", "Se", "Se"), ("Se", "Se")]
    assert column_names(columns, frozenset({"Se"})) == ["W2", "W1", "Se"]


def test_the_usual_role_is_that_of_the_presets():
    for material in MATERIALS.values():
        for column in material.columns:
            assert usual_role(column.sublattice) == column.role
