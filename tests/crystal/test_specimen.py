"""Specimens against displacements, angles and distances that are known beforehand."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.bending import ripple
from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.specimen import build_specimen
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px, rotation_matrix

SIZE_A = 0.2
SHAPE = (300, 320)
PERFECT = DefectConfig(
    single_vacancy=0, double_vacancy=0, metal_vacancy=0, anion_substitution=0, metal_substitution=0, jitter_A=0
)


def vectors_of(name):
    return lattice_vectors_px(get_material(name), SIZE_A, 8.0)


def build(name="WSe2", seed=0, margin_px=0.0, **values):
    return build_specimen(
        get_material(name), vectors_of(name), SHAPE, origin_px=(3.0, 5.0), pixel_size_A=SIZE_A,
        config=SpecimenConfig(**values), rng=np.random.default_rng(seed), margin_px=margin_px,
    )  # fmt: skip


def atoms_of(sites):
    made = plant_defects(sites, PERFECT, SIZE_A, np.random.default_rng(0))
    return made, np.concatenate([made.atoms_px * SIZE_A, made.heights_A[:, None]], 1)


@pytest.mark.parametrize("name", ["WSe2", "SrTiO3", "Si [110]"])
def test_a_specimen_without_anything_is_the_perfect_crystal(name):
    plain = fill_field(get_material(name), vectors_of(name), SHAPE, origin_px=(3.0, 5.0), margin_px=20.0)
    sites = build(name, margin_px=20.0)
    assert len(sites) == len(plain)
    away, index = cKDTree(plain.positions_px).query(sites.positions_px)
    assert away.max() < 1e-9
    np.testing.assert_array_equal(sites.column, plain.column[index])
    assert dict(sites.drawn) == {}


def test_strain_moves_neighbours_by_exactly_its_amount():
    plain, strained = build(), build(strain_xx_percent=2.0)
    origin = np.array([3.0, 5.0])
    expected = (plain.positions_px - origin) * [1.0, 1.02] + origin
    inside = (expected[:, 1] < SHAPE[1] - 1) & (expected[:, 1] > 0)
    assert cKDTree(strained.positions_px).query(expected[inside])[0].max() < 1e-9
    assert strained.cell_area_A2 == pytest.approx(1.02 * 9.329, rel=1e-3)


def test_shear_strain_turns_x_and_y_by_the_same_amount():
    plain, strained = build(), build(strain_xy_percent=1.0)
    origin = np.array([3.0, 5.0])
    expected = (plain.positions_px - origin) @ [[1.0, 0.01], [0.01, 1.0]] + origin
    inside = ((expected > 0) & (expected < np.array(SHAPE) - 1)).all(1)
    assert cKDTree(strained.positions_px).query(expected[inside])[0].max() < 1e-9


def test_tilt_parts_the_two_atoms_of_a_column_by_height_times_tangent():
    made, xyz = atoms_of(build(tilt_x_mrad=5.0, tilt_y_mrad=-3.0))
    upper, lower = xyz[1:][made.site[1:] == made.site[:-1]], xyz[:-1][made.site[1:] == made.site[:-1]]
    swap = np.where((upper[:, 2] > lower[:, 2])[:, None], upper - lower, lower - upper)
    np.testing.assert_allclose(swap[:, 2], 3.36, rtol=1e-6)
    np.testing.assert_allclose(swap[:, 1], 3.36 * np.tan(5e-3), rtol=1e-6)
    np.testing.assert_allclose(swap[:, 0], -3.36 * np.tan(3e-3), rtol=1e-6)


def test_tilt_stretches_a_thick_column_over_its_whole_height():
    made, xyz = atoms_of(build("SrTiO3", tilt_x_mrad=4.0, layers=20))
    strontium = made.elements == "Sr"
    first = xyz[strontium & (made.site == made.site[strontium][0])]
    assert len(first) == 20
    np.testing.assert_allclose(np.ptp(first[:, 1]), 19 * 3.905 * np.tan(4e-3), rtol=1e-6)
    np.testing.assert_allclose(np.ptp(first[:, 2]), 19 * 3.905, rtol=1e-6)
    np.testing.assert_array_equal(made.depth[strontium & (made.site == made.site[strontium][0])], np.arange(20))


def test_a_ripple_keeps_the_length_of_the_sheet_to_first_order():
    s = np.linspace(-100, 100, 20001)
    height, slope, moved = ripple(s, 1.5, 60.0, 0.7)
    length = np.hypot(np.gradient(s + moved, s), np.gradient(height, s))
    assert np.abs(length - 1).max() < (1.5 * 2 * np.pi / 60) ** 4
    np.testing.assert_allclose(np.gradient(height, s)[1:-1], slope[1:-1], atol=1e-6)
    compressed = np.polyfit(s, moved, 1)[0]
    assert compressed == pytest.approx(-((1.5 * 2 * np.pi / 60) ** 2) / 4, rel=0.05)


def test_a_rippled_sheet_keeps_its_bonds_and_leans_along_its_normal():
    _, flat = atoms_of(build())
    made, xyz = atoms_of(build(ripple_A=1.5, ripple_wavelength_nm=6.0))
    assert np.ptp(made.heights_A) == pytest.approx(2 * 1.5 + 3.36, abs=0.1)
    shortest = [cKDTree(p).query(p, k=2)[0][:, 1] for p in (flat, xyz)]
    np.testing.assert_allclose(shortest[1], shortest[0].min(), rtol=0.02)


def grain_angle(sites, keep):
    """Direction of the nearest same-sublattice neighbours, modulo 60°."""
    metal = sites.positions_px[keep & (sites.column == 0)]
    distance, index = cKDTree(metal).query(metal, k=7)
    whole = distance[:, 1:].max(1) < 1.05 * 3.282 / SIZE_A
    steps = metal[index[whole, 1:]] - metal[whole, None]
    return np.degrees(np.angle(np.exp(6j * np.arctan2(steps[..., 0], steps[..., 1])).mean())) / 6


@pytest.mark.parametrize("angle", [17.0, -22.0])
def test_the_angle_of_a_grain_boundary_is_recovered_from_the_sites(angle):
    sites = build(grain_boundary_deg=angle, seed=3)
    told = sites.drawn["boundary"]
    beyond = (sites.positions_px - told["point_px"]) @ np.array(told["normal"]) > 0
    assert 0.15 < beyond.mean() < 0.85
    assert grain_angle(sites, ~beyond) == pytest.approx(8.0, abs=1e-6)
    found = grain_angle(sites, beyond) - 8.0
    assert (found - angle + 30) % 60 - 30 == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(told["vectors_px"], vectors_of("WSe2") @ rotation_matrix(angle))


def test_no_columns_of_two_grains_come_too_close():
    plain = build()
    for seed in range(5):
        sites = build(grain_boundary_deg=21.0, seed=seed)
        nearest = cKDTree(sites.positions_px).query(sites.positions_px, k=2)[0][:, 1]
        assert nearest.min() >= 0.6 * 3.282 / np.sqrt(3) / SIZE_A - 1e-9
        assert 0.9 * len(plain) < len(sites) < 1.02 * len(plain)


@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.9])
def test_an_edge_leaves_the_given_fraction_of_the_field_empty(fraction):
    pixels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).reshape(-1, 2)
    empty = cKDTree(build(edge=fraction, seed=2, margin_px=40.0).positions_px).query(pixels)[0] > 3.3 / SIZE_A
    filled = cKDTree(build(margin_px=40.0).positions_px).query(pixels)[0] > 3.3 / SIZE_A
    assert not filled.any()
    rim = 3.3 / SIZE_A * 1.3 * max(SHAPE) / pixels.size * 2
    assert fraction - rim - 0.05 < empty.mean() < fraction


def test_edges_differ_between_seeds_and_repeat_for_one():
    first, again, other = (build(edge=0.4, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.positions_px, again.positions_px)
    assert first.drawn == again.drawn != other.drawn


def test_a_2h_bilayer_puts_each_element_over_the_other():
    made, xyz = atoms_of(build(layers=2))
    for element in ("W", "Se"):
        own = made.elements == element
        upper = own & (made.heights_A > 0)
        other = (made.elements == ("Se" if element == "W" else "W")) & (made.heights_A < 0)
        inner = ((xyz[upper, :2] > 3) & (xyz[upper, :2] < np.array(SHAPE) * SIZE_A - 3)).all(1)
        assert cKDTree(xyz[other, :2]).query(xyz[upper, :2][inner])[0].max() < 1e-6
    tungsten = made.heights_A[made.elements == "W"]
    assert np.ptp(tungsten) == pytest.approx(6.48)
    assert set(made.depth) == {0, 1}
    assert set(made.column_size[made.elements == "W"]) <= {1, 3}


@pytest.mark.parametrize(("stacking", "sizes"), [("AA", {2, 4}), ("3R", {1, 2, 3})])
def test_columns_of_a_stack_count_the_atoms_of_all_layers(stacking, sizes):
    made, _ = atoms_of(build(layers=2, stacking=stacking))
    inner = ((made.atoms_px > 20) & (made.atoms_px < np.array(SHAPE) - 20)).all(1)
    assert set(made.column_size[inner]) == sizes


@pytest.mark.parametrize(("stacking", "columns"), [("2H", 3), ("3R", 3), ("AA", 2)])
def test_graphene_stacks_as_graphite_does(stacking, columns):
    made, _ = atoms_of(build("graphene", layers=3, stacking=stacking))
    area = np.prod(np.array(SHAPE) * SIZE_A)
    per_cell = len(made.columns_px) / (area / 5.241)
    assert per_cell == pytest.approx(columns, rel=0.03)
    assert np.unique(np.round(np.diff(np.unique(np.round(made.heights_A, 4))), 4)) == pytest.approx([3.356])


def test_densities_are_per_projected_area_whatever_the_strain_and_the_layers():
    sites = build(layers=2, strain_xx_percent=5.0, strain_yy_percent=5.0)
    config = DefectConfig(planted="V_Se 0.5 /nm2", jitter_A=0.0)
    counts = [len(plant_defects(sites, config, SIZE_A, np.random.default_rng(s)).defects) for s in range(100)]
    assert np.mean(counts) == pytest.approx(0.5 * np.prod(np.array(SHAPE) * SIZE_A / 10), rel=0.03)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("WTe2 1T'", {"layers": 2}, "stacking of .* must be AA"),
    ],
)
def test_a_stack_that_is_not_known_is_refused(name, values, message):
    with pytest.raises(ValueError, match=message):
        build(name, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"strain_xx_percent": 20.0}, {"strain_xy_percent": np.nan}, {"ripple_A": -1.0},
        {"ripple_A": 5.0, "ripple_wavelength_nm": 5.0}, {"tilt_x_mrad": 100.0}, {"tilt_y_mrad": np.nan},
        {"grain_boundary_deg": 200.0}, {"edge": 0.95}, {"layers": -1}, {"stacking": "AB"},
    ],
)  # fmt: skip
def test_an_impossible_specimen_is_refused(values):
    with pytest.raises(ValueError, match="must"):
        SpecimenConfig(**values)


@pytest.mark.parametrize(
    ("name", "bond_A", "neighbours"), [("Si [110]", 2.352, 4), ("GaAs [110]", 2.448, 4), ("Au [110]", 2.884, 12)]
)
def test_staggered_columns_make_the_crystal_they_are_the_projection_of(name, bond_A, neighbours):
    _, xyz = atoms_of(build(name, layers=8))
    tree, middle = cKDTree(xyz), [*np.array(SHAPE) * SIZE_A / 2, 0.0]
    inner = xyz[np.linalg.norm(xyz - middle, axis=1) < 6]
    distance = tree.query(inner, k=neighbours + 2)[0]
    np.testing.assert_allclose(distance[:, 1 : neighbours + 1], bond_A, rtol=1e-3)
    assert distance[:, neighbours + 1].min() > 1.3 * bond_A
