"""Symbols: one per class of defect, told apart by shape and by colour."""

from __future__ import annotations

import pytest

from napari_stem_gan.app.symbols import LOOKS, class_of, legend


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("V_Se", "V_X"),
        ("V_2Se", "V_2X"),
        ("V_W", "V_M"),
        ("Se_W", "S_M"),
        ("W_Se", "S_X"),
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
