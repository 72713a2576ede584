import numpy as np
import pytest

from napari_stem_gan.crystal.candidates import Trial
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.lattice import LatticeMatch, distortion
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.rivals import with_rivals
from napari_stem_gan.crystal.search import judge
from napari_stem_gan.crystal.spectrum import spectrum
from napari_stem_gan.image import STEMImage

AS_SILICON = np.diag([np.sqrt(2 / 3) ** 0.5, np.sqrt(3 / 2) ** 0.5])  # y and x: a × √3 a becomes silicon's 1 × √2


def given(labelled, size):
    return STEMImage(data=labelled.image.data, pixel_size_A=labelled.image.pixel_size_A if size else None, name="drawn")


@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("told", ["WSe2", "MoSe2"])
@pytest.mark.parametrize("drawn", ["Si [110]", "GaAs [110]"])
def test_a_crystal_whose_lattice_drift_could_make_of_the_named_one_is_refused(draw_crystal, drawn, told, size):
    image = given(draw_crystal(drawn, dose_e_per_A2=3e4, contamination=0.2), size)
    assert match(image, MatchConfig(material=drawn)).accepted
    found = match(image, MatchConfig(material=told))
    assert not found.accepted
    assert found.best_other.endswith("[110]")
    assert "distorted by 1" in found.reason
    assert f"if it is {told}, place its lattice by hand" in found.reason


@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("material", ["MoS2", "WSe2", "MoTe2"])
def test_a_named_crystal_that_drift_gave_the_lattice_of_silicon_is_kept(draw_crystal, material, size):
    drawn = draw_crystal(material, rotation_deg=0.0, strain=AS_SILICON, dose_e_per_A2=3e4, contamination=0.2)
    found = match(given(drawn, size), MatchConfig(material=material))
    assert found.accepted, found.reason
    vectors = found.lattice_vectors_px
    assert distortion(vectors, get_material(material)).largest == pytest.approx(0.107, abs=0.01)
    assert min(strains_as_silicon(vectors)) < 0.01


@pytest.mark.parametrize(
    ("drawn", "told"), [("Si [110]", "CeO2 [110]"), ("CeO2 [110]", "GaAs [110]"), ("WTe2 1T'", "WSe2")]
)
def test_a_crystal_that_has_the_named_lattice_without_distortion_is_refused_by_its_columns(draw_crystal, drawn, told):
    image = given(draw_crystal(drawn, dose_e_per_A2=3e4, shape=(320, 320)), True)
    found = match(image, MatchConfig(material=told))
    assert not found.accepted
    assert match(image, MatchConfig(material=drawn)).accepted


@pytest.mark.parametrize(("drawn", "told"), [("MoS2", "WS2"), ("GaAs [110]", "Si [110]"), ("SrTiO3", "BaTiO3")])
def test_crystals_that_differ_in_their_elements_only_are_no_rivals(draw_crystal, drawn, told):
    found = match(given(draw_crystal(drawn, dose_e_per_A2=3e4), True), MatchConfig(material=told))
    assert "place its lattice by hand" not in found.reason


def strains_as_silicon(vectors):
    """Strain of every near cell of a lattice against silicon's."""
    silicon = get_material("Si [110]")
    changes = np.array(np.meshgrid(*[[-1, 0, 1]] * 4)).reshape(4, -1).T.reshape(-1, 2, 2)
    return [distortion(c @ vectors, silicon).largest for c in changes if round(np.linalg.det(c)) == 1]


def test_a_distorted_lattice_that_leaves_most_reflections_out_is_refused(draw_crystal):
    drawn = draw_crystal("CdTe [110]", dose_e_per_A2=3e4)
    image, third = given(drawn, True), np.array([[1, 1], [-1, 2]]) / 3 @ np.array(drawn.parameters["vectors_px"])
    trial = Trial(image, spectrum(image.data), 0.2, MatchConfig())
    fit = judge(trial.found, get_material("graphene"), third)
    third_of_all = LatticeMatch(
        accepted=True, reason="", material="graphene", pixel_size_A=0.2, nominal_pixel_size_A=0.2,
        lattice_vectors_px=third, goodness=0.4, surprise=fit.surprise,
    )  # fmt: skip
    found = with_rivals(third_of_all, trial)
    assert not found.accepted
    assert found.best_other == "CdTe [110]"


def test_drift_of_a_few_per_cent_needs_no_other_explanation(draw_crystal):
    image = given(draw_crystal("Si [110]", strain=[[1.0, 0.04], [0.0, 1.0]]), True)
    found = match(image, MatchConfig(material="Si [110]"))
    assert with_rivals(found, Trial(image, spectrum(image.data), 0.2, MatchConfig())) is found
