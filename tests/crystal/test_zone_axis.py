import pytest

from napari_stem_gan.crystal.materials import StructureError
from napari_stem_gan.crystal.zone_axis import parse_zone_axis, split_zone_axis, zone_axis_text


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("[110]", (1, 1, 0)), ("[1 -1 0]", (1, -1, 0)), ("[1-10]", (1, -1, 0)), ("[-110]", (-1, 1, 0)),
        ("[-1 1 0]", (-1, 1, 0)), ("[1, -1, 0]", (1, -1, 0)), ("[11\u03050]", (1, -1, 0)), ("[\u2212110]", (-1, 1, 0)),
        ("[220]", (1, 1, 0)), ("[10 1 0]", (10, 1, 0)), ("[0 0 -3]", (0, 0, -1)),
    ],
)  # fmt: skip
def test_a_zone_axis_is_read_in_every_usual_spelling(text, axis):
    assert parse_zone_axis(text) == axis
    assert parse_zone_axis(zone_axis_text(axis)) == axis


@pytest.mark.parametrize(
    ("text", "axis"), [("[0001]", (0, 0, 1)), ("[11-20]", (1, 1, 0)), ("[10-10]", (2, 1, 0)), ("[1 0 -1 1]", (2, 1, 1))]
)
def test_four_indices_of_a_hexagonal_crystal_become_three(text, axis):
    assert parse_zone_axis(text, hexagonal=True) == axis


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1 0.5 0]", "three whole numbers"), ("[]", "three whole numbers"), ("[uvw]", "three whole numbers"),
        ("[11]", "three whole numbers"), ("[--1 0 0]", "three whole numbers"), ("[1-]", "three whole numbers"),
        ("[000]", "must not be zero"), ("[99 1 0]", "at most 30"), ("[0001]", "three indices"),
    ],
)  # fmt: skip
def test_a_zone_axis_that_is_none_is_refused_in_one_sentence(text, message):
    with pytest.raises(StructureError, match=message) as caught:
        parse_zone_axis(text)
    assert "\n" not in str(caught.value)


def test_four_indices_that_do_not_add_up_are_refused():
    with pytest.raises(StructureError, match=r"t = -\(u \+ v\), got '\[1120\]'"):
        parse_zone_axis("[1120]", hexagonal=True)


def test_a_spec_is_split_into_name_and_zone_axis():
    assert split_zone_axis("CdTe.cif [110]") == ("CdTe.cif", "[110]")
    assert split_zone_axis(" my folder[1]/x.cif ") == ("my folder[1]/x.cif", "")
