import pytest

from napari_stem_gan.crystal.claims import model_claims
from napari_stem_gan.crystal.materials import MATERIALS, get_material


def test_one_layer_allows_counting_and_brightness_within_the_stack_factor():
    text = model_claims(get_material("WSe2"))
    assert text.startswith("One layer of WSe2, 1 to 2 atoms in a column: positions, periods and numbers of atoms")
    assert "stack factor" in text
    assert "nm thick" not in text


def test_columns_of_single_atoms_need_no_stack_factor():
    text = model_claims(get_material("WTe2"))
    assert "1 atom in a column" in text
    assert "stack factor" not in text


@pytest.mark.parametrize("name", ["graphene", "hBN"])
def test_the_brightness_of_light_layers_is_indicative(name):
    assert "Brightness is indicative: light atoms" in model_claims(get_material(name))


@pytest.mark.parametrize(
    ("name", "layers", "size"),
    [
        ("SrTiO3", None, "9.8 nm thick, 25 to 50 atoms"), ("SrTiO3", 50, "19.5 nm thick, 50 to 100 atoms"),
        ("Au [110]", 10, "2.9 nm thick, 10 atoms"), ("Si [110]", 1, "0.4 nm thick, 1 atom in"),
    ],
)  # fmt: skip
def test_thickness_and_atoms_of_bulk_are_computed(name, layers, size):
    assert size in model_claims(get_material(name), layers)


def test_thick_columns_are_sent_to_multislice():
    text = model_claims(get_material("GaAs [110]"))
    for word in ("positions and periods", "indicative only", "channelling", "diffraction contrast", "multislice"):
        assert word in text


@pytest.mark.parametrize(("name", "said"), [("SrTiO3", "O (about 10 % of Sr)"), ("CeO2", "O (about 5 % of Ce)")])
def test_faint_columns_are_named_with_their_share(name, said):
    assert f"Columns of {said} are too faint" in model_claims(get_material(name))


def test_bright_columns_are_not_called_faint():
    assert "faint" not in model_claims(get_material("CdTe"))


def test_two_layers_hold_up_to_four_atoms():
    assert model_claims(get_material("WSe2"), 2).startswith("2 layers of WSe2, 1 to 4 atoms in a column")


def test_every_preset_gets_a_short_text_and_no_layers_are_refused():
    assert all(60 < len(model_claims(m)) < 500 for m in MATERIALS.values())
    with pytest.raises(ValueError, match="layers must be 1 or more"):
        model_claims(get_material("WSe2"), 0)
