"""Symbols: one per class of defect, told apart by shape and by colour."""

from __future__ import annotations

import pytest

from napari_stem_gan.app.symbols import LATTICE_LOOKS, LOOKS, class_of, lattice_legend, legend, sublattice_looks
from napari_stem_gan.crystal.materials import get_material


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("V_Se", "V_X"),
        ("V_2Se", "V_2X"),
        ("V_W", "V_M"),
        ("Se_W", "S_M"),
        ("W_Se", "S_X"),
        ("Mo_2S", "S_X"),
        ("V_Ti", "V_M"),
        ("V_O", "V_X"),
        ("ad_W", "A"),
        ("dirt", "other"),
        ("", "other"),
    ],
)
def test_every_defect_has_a_class(name, kind):
    assert class_of(name) == kind


def test_no_two_classes_look_alike():
    assert len({look.symbol for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.colour for look in LOOKS.values()}) == len(LOOKS)


def test_the_legend_counts_and_sorts():
    text = legend(["V_W", "V_Se", "V_Se"])

    assert text.index("V_Se") < text.index("V_W")
    assert "V_Se&nbsp;2" in text


def test_every_sublattice_has_its_own_symbol_and_colour():
    looks = sublattice_looks(get_material("SrTiO3"))

    assert list(looks) == ["Sr", "Ti", "O"]
    assert len({look.symbol for look in looks.values()}) == len({look.colour for look in looks.values()}) == 3
    assert len({look.colour for look in LATTICE_LOOKS}) == len(LATTICE_LOOKS)


def test_the_lattice_s_legend_names_its_sublattices():
    text = lattice_legend(get_material("WSe2"), grains=True)

    assert text.index("W") < text.index("Se") < text.index("another grain")
