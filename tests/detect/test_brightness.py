import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.brightness import adatom_ratios, brightness, foreign_ratios
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR

METAL, ANION = get_material("WSe2").columns


def test_two_atoms_over_each_other_are_brighter_than_two_alone():
    assert brightness(("Se", "Se")) == pytest.approx(2 * PAIR_STACK_FACTOR * brightness(("Se",)))


def test_a_foreign_atom_takes_the_place_of_one_of_the_columns_own():
    """Against the cross-sections of SCIENCE 2.4 at 80 kV, 63 to 200 mrad."""
    ratios = foreign_ratios(ANION)
    assert list(ratios) == ["S", "Te", "Mo", "W"]
    assert ratios["W"] == pytest.approx((39.71 + 14.87) / (2 * 14.87), rel=0.02)
    assert ratios["S"] == pytest.approx((4.13 + 14.87) / (2 * 14.87), rel=0.02)
    assert foreign_ratios(METAL)["Mo"] == pytest.approx(19.44 / 39.71, rel=0.02)


def test_an_adatom_adds_to_the_column_below_it():
    ratios = adatom_ratios(METAL, get_material("WSe2"))
    assert ratios["W"] == pytest.approx(2.0)
    assert ratios["Se"] == pytest.approx(1 + 14.87 / 39.71, rel=0.02)


def test_a_sublattice_without_known_foreign_atoms_has_none():
    oxygen = next(c for c in get_material("SrTiO3").columns if c.sublattice == "O")
    assert set(foreign_ratios(oxygen)) == {"F"}
    assert all(foreign_ratios(c) == {} or c.sublattice in ("C", "B", "N") for c in get_material("graphene").columns)
