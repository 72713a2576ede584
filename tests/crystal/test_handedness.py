import numpy as np
import pytest
from ase import Atoms
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.handedness import both_hands, turned_over
from napari_stem_gan.crystal.match import match, snap
from napari_stem_gan.crystal.materials import MATERIALS, get_material
from napari_stem_gan.crystal.structure import fill_field
from napari_stem_gan.crystal.symmetry import has_mirror
from napari_stem_gan.image import STEMImage


@pytest.fixture
def pinwheel(tmp_path):
    """A layer with a four-fold axis and no mirror: four selenium atoms turn one way around each tungsten atom."""
    places = [(0, 0), (0.36, 0.15), (-0.15, 0.36), (-0.36, -0.15), (0.15, -0.36)]
    layer = Atoms("WSe4", scaled_positions=[(x % 1, y % 1, 0.5) for x, y in places], cell=[6.4, 6.4, 20], pbc=True)
    layer.write(tmp_path / "pinwheel.cif")
    return str(tmp_path / "pinwheel.cif")


@pytest.fixture
def oblique(tmp_path):
    """A monoclinic crystal, of which already the lattice seen along b has a hand."""
    crystal = Atoms("MoS", scaled_positions=[(0, 0, 0), (0.3, 0.5, 0.4)], cell=[4.1, 3.3, 5.2, 90, 104, 90], pbc=True)
    crystal.write(tmp_path / "oblique.cif")
    return str(tmp_path / "oblique.cif")


def as_image(drawn):
    return STEMImage(data=drawn.image.data, pixel_size_A=drawn.image.pixel_size_A, name="drawn")


def largest_miss_px(found, drawn):
    """Distance of the matched sites from the true ones of the same element, away from the rim."""
    material, shape = get_material(drawn.parameters["material"]), drawn.image.shape
    vectors, origin = np.array(drawn.parameters["vectors_px"]), np.array(drawn.parameters["origin_px"])
    true = fill_field(material, vectors, shape, origin_px=origin, margin_px=40)
    sites = found.sites(shape)
    inner = ((sites.positions_px > 25) & (sites.positions_px < np.array(shape) - 25)).all(1)
    misses = []
    for name in {c.sublattice for c in material.columns}:
        own, placed = (np.array([c.sublattice == name for c in s.material.columns])[s.column] for s in (true, sites))
        misses.append(cKDTree(true.positions_px[own]).query(sites.positions_px[placed & inner])[0].max())
    return max(misses)


@pytest.mark.parametrize("key", list(MATERIALS))
def test_every_preset_has_a_mirror_and_one_hand(key):
    assert has_mirror(MATERIALS[key])
    assert both_hands(MATERIALS[key]) == (MATERIALS[key],)


def test_a_crystal_turned_over_is_its_mirror_image():
    one = get_material("Au [123]")
    other = turned_over(one)
    assert other.key == "Au [-1-2-3]"
    mirrored = np.array(one.cell_A) * [1, -1]
    change = mirrored @ np.linalg.inv(other.cell)
    np.testing.assert_allclose(change, np.rint(change), atol=1e-6)
    assert turned_over(other) == one


@pytest.mark.parametrize(("drawn_axis", "asked_axis"), [("[001]", "[001]"), ("[00-1]", "[001]"), ("[001]", "[00-1]")])
def test_the_hand_of_a_layer_is_found_and_said(draw_crystal, pinwheel, drawn_axis, asked_axis):
    drawn = draw_crystal(f"{pinwheel} {drawn_axis}", rotation_deg=21.0)
    found = match(as_image(drawn), MatchConfig(material=f"{pinwheel} {asked_axis}"))
    assert found.accepted, found.reason
    assert found.material.endswith(drawn_axis)
    assert ("mirror image" in found.reason) == (drawn_axis != asked_axis)
    assert largest_miss_px(found, drawn) < 0.4


@pytest.mark.parametrize(("drawn_axis", "asked_axis"), [("[010]", "[010]"), ("[0-10]", "[010]")])
def test_the_hand_of_an_oblique_lattice_is_found(draw_crystal, oblique, drawn_axis, asked_axis):
    drawn = draw_crystal(f"{oblique} {drawn_axis}", rotation_deg=-8.0)
    found = match(as_image(drawn), MatchConfig(material=f"{oblique} {asked_axis}"))
    assert found.accepted, found.reason
    assert found.material.endswith(drawn_axis)
    assert found.pixel_size_A == pytest.approx(0.2, rel=0.003)
    assert largest_miss_px(found, drawn) < 0.4


def test_a_hand_that_only_faint_columns_have_is_not_certain(draw_crystal, tmp_path):
    places = [(0, 0), (0.36, 0.15), (-0.15, 0.36), (-0.36, -0.15), (0.15, -0.36)]
    layer = Atoms("WH4", scaled_positions=[(x % 1, y % 1, 0.5) for x, y in places], cell=[6.4, 6.4, 20], pbc=True)
    layer.write(tmp_path / "faint.cif")
    drawn = draw_crystal(f"{tmp_path / 'faint.cif'} [001]")
    found = match(as_image(drawn), MatchConfig(material=f"{tmp_path / 'faint.cif'} [001]"))
    assert found.accepted, found.reason
    assert found.material.endswith("[001]")
    assert "not certain" in found.reason


def test_a_refusal_speaks_of_the_crystal_that_was_asked_for(pinwheel):
    noise = STEMImage(data=np.random.default_rng(0).normal(size=(224, 256)), pixel_size_A=0.2)
    found = match(noise, MatchConfig(material=f"{pinwheel} [001]"))
    assert not found.accepted
    assert found.material.endswith("[001]")


def test_a_crystal_placed_by_hand_gets_its_own_hand(draw_crystal, pinwheel):
    drawn = draw_crystal(f"{pinwheel} [00-1]", rotation_deg=21.0)
    placed = np.array(drawn.parameters["vectors_px"]) * 1.03
    found = snap(
        as_image(drawn), MatchConfig(), material=f"{pinwheel} [001]", lattice_vectors_px=placed,
        origin_px=np.array([100.0, 100.0]),
    )  # fmt: skip
    assert found.accepted, found.reason
    assert found.material.endswith("[00-1]")
    assert largest_miss_px(found, drawn) < 0.4


@pytest.mark.parametrize("axes", [("[010]", "[0-10]"), ("[0-10]", "[010]")])
def test_a_mirrored_twin_is_a_grain_of_the_other_hand(draw_crystal, oblique, axes):
    left, right = (
        draw_crystal(f"{oblique} {axis}", rotation_deg=turn, shape=(384, 512)).image
        for axis, turn in zip(axes, (5.0, 40.0), strict=True)
    )
    both = np.where(np.arange(512) < 270, left.data, right.data)
    image = STEMImage(data=both, pixel_size_A=left.pixel_size_A, name="twin")
    found = match(image, MatchConfig(material=f"{oblique} [010]"))
    assert found.accepted, found.reason
    assert found.material.endswith(axes[0])
    assert [g.material.rsplit(" ", 1)[1] for g in found.other_grains] == [axes[1]]
    assert found.other_grains[0].rotation_deg % 180 == pytest.approx(40.0, abs=2.0)
