import pytest

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import check_defects
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.planted import parse_planted, scale_planted


def told(text):
    return [(p.defect.name, pytest.approx(p.fraction), pytest.approx(p.density_per_nm2)) for p in parse_planted(text)]


def test_names_and_amounts_are_read():
    text = "V_Se 1.5 %, Mo_W 0.3 at.%; V_2Se 0.02 /nm2\nSe_W 0.1 /nm², adatom W 0.05 nm^-2"
    assert told(text) == [
        ("V_Se", 0.015, 0), ("Mo_W", 0.003, 0), ("V_2Se", 0, 0.02), ("Se_W", 0, 0.1), ("ad_W", 0, 0.05),
    ]  # fmt: skip
    assert told("") == []


@pytest.mark.parametrize("unit", ["%", "at%", "at. %", "atomic %", "percent"])
def test_every_spelling_of_per_cent_is_read(unit):
    assert told(f"Se vacancy: 2 {unit}") == [("V_Se", 0.02, 0)]


@pytest.mark.parametrize(
    ("unit", "per_nm2"),
    [("/nm2", 1), ("/nm^2", 1), ("nm-2", 1), ("nm⁻²", 1), ("per nm²", 1), ("cm^-2", 1e-14), ("/cm²", 1e-14)],
)
def test_every_spelling_of_a_density_is_read(unit, per_nm2):
    assert told(f"V_Se 3e2 {unit}") == [("V_Se", 0, 300 * per_nm2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("V_Se", "must be names with amounts like .* got 'V_Se'"),
        ("V_Se 1.5", "must end in %, .* got 'V_Se 1.5'"),
        ("V_Se 1,5 %", "must end in %, .* got 'V_Se 1'; .*decimal point"),
        ("V_Se 1.5 % x", "must end in %"),
        ("Mo_W 1 %, V_Se -1 %", "must not be negative, got 'V_Se -1 %'"),
        ("vac 1 %", "named like V_Se.* got 'vac'"),
        ("sub_W 1 %", "which element is put there, got 'sub_W 1 %'"),
        ("V_Se 60 %, O_Se 41 %", "sum to at most 100 % on one sublattice, got 101 % on Se"),
    ],
)
def test_a_bad_entry_is_named_in_one_sentence(text, message):
    with pytest.raises(ValueError, match=message):
        DefectConfig(planted=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("V_S 1 %", "must lie on its elements, Se, W, got 'V_S 1 %'"),
        ("V_Se 60 %", "120 % of what fits on the Se sites of WSe2"),  # one vacancy in each two-atom column is 50 %
        ("V_Se 40 %, O_Se 20 %", "120 % of what fits"),
        ("V_2Se 12 /nm2", "111.9 % of what fits"),  # 10.72 cells per nm²
        ("V_W 8 /nm2, Mo_W 3 /nm2", "102.6 % of what fits on the W sites"),
    ],
)
def test_what_a_material_cannot_hold_is_refused_before_planting(text, message):
    with pytest.raises(ValueError, match=message):
        check_defects(DefectConfig(planted=text), get_material("WSe2"))


def test_what_fits_is_accepted():
    check_defects(DefectConfig(planted="V_Se 25 %, V_2Se 50 %, Mo_W 100 %, ad_W 3 /nm2"), get_material("WSe2"))


def test_amounts_are_scaled_and_stay_readable():
    assert scale_planted("Se divacancy 1.5 at.%, Mo@W 0.02 /nm2", 2.0) == "V_2Se 3 %, Mo_W 0.04 /nm2"
