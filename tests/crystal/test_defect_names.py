import pytest

from napari_stem_gan.crystal.defect_names import Defect, normalise_defect, parse_defect

SPELLINGS = {
    "V_Se": ["V_Se", "VSe", "V(Se)", "vac_Se", "Se_vac", "Se vacancy", "v_se", "selenium vacancy", "V_{Se}", "V_Se1",
             "$V_\\mathrm{Se}$", "V_Se^x", "V_{Se}^{2+}", "V_Se''", "V_Se⁻", "V_Se²⁺", "missing Se"],
    "V_2Se": ["V_2Se", "V_Se2", "VSe2", "V2Se", "Se2 vacancy", "Se₂ vacancy", "Se divacancy", "double vacancy Se"],
    "V_O": ["V_O^{••}", "VO", "O vacancy"],
    "Mo_W": ["Mo_W", "MoW", "Mo@W", "Mo on W", "Mo substituting W", "Mo dopant on W", "molybdenum on tungsten"],
    "Se_W": ["Se_W", "antisite Se_W", "Se_W antisite", "Se@W"],
    "Mo_2S": ["Mo_S2", "Mo_2S"],
    "ad_W": ["ad_W", "W_ad", "Wad", "W adatom", "adatom W", "W_i", "W_i^{•••}", "interstitial W"],
    "vanadium_W": ["V on W", "V@W", "vanadium_W"],
    "V_W": ["V_W", "W vacancy"],
    "V_V": ["V_V", "vanadium vacancy"],
    "I_Se": ["I_Se", "I on Se"],
    "In_W": ["In_W"],
    "ad_I": ["I adatom"],
    "sub_Se": ["sub_Se"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "spelling"), [(n, s) for n, spellings in SPELLINGS.items() for s in spellings])
def test_every_convention_gives_the_same_name(name, spelling):
    assert normalise_defect(spelling) == name
    assert normalise_defect(name) == name


def test_classes_of_the_finder_and_of_truth_files_stay_classes():
    assert [normalise_defect(k) for k in ("V_X", "V_2X", "V_X2", "V_M", "S_X", "S_M")] == [
        "V_X", "V_2X", "V_2X", "V_M", "S_X", "S_M",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "antisite", "MoS2", "Se", "V_", "V_Q", "V_3Se", "Se_Se", "V_Se+O_Se", "foo bar"])
def test_a_name_that_says_nothing_certain_is_refused_in_one_sentence(name):
    with pytest.raises(ValueError, match="a defect must be named like V_Se, V_2Se, Mo_W or ad_W, got"):
        normalise_defect(name)


def test_a_defect_is_taken_apart_into_site_and_change():
    assert parse_defect("Se divacancy") == Defect("vacancy", "Se", 2)
    assert parse_defect("Mo on W") == Defect("substitution", "W", 1, "Mo")
    assert parse_defect("W adatom") == Defect("adatom", foreign="W")
