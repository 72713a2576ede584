import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import ANION_FOREIGN, METAL_FOREIGN, defect_name, plant_defects
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px

NONE = {
    "single_vacancy": 0.0, "double_vacancy": 0.0, "metal_vacancy": 0.0, "anion_substitution": 0.0,
    "metal_substitution": 0.0, "jitter_A": 0.0,
}  # fmt: skip


def plant(name="WSe2", seed=0, **fractions):
    material = get_material(name)
    sites = fill_field(material, lattice_vectors_px(material, 0.2, 8.0), (400, 400))
    return sites, plant_defects(sites, DefectConfig(**{**NONE, **fractions}), 0.2, np.random.default_rng(seed))


def test_a_perfect_crystal_keeps_every_atom_on_its_site():
    sites, made = plant()
    per_site = np.where(sites.column == 0, 1, 2)
    assert len(made.elements) == per_site.sum()
    np.testing.assert_array_equal(made.columns_px, sites.positions_px)
    assert made.defects == ()
    assert made.positions_px.shape == (0, 2)


def test_the_number_of_each_defect_follows_its_fraction():
    sites, made = plant(
        single_vacancy=0.2, double_vacancy=0.1, anion_substitution=0.15, metal_vacancy=0.1, metal_substitution=0.3
    )
    sublattice = np.array([c.sublattice for c in sites.material.columns])[sites.column]
    count = {k: made.kinds.count(k) for k in ("V_X", "V_2X", "S_X", "V_M", "S_M")}
    anion, metal = (("V_X", 0.2), ("V_2X", 0.1), ("S_X", 0.15)), (("V_M", 0.1), ("S_M", 0.3))
    for element, (kind, share) in [*(("Se", a) for a in anion), *(("W", m) for m in metal)]:
        n = int((sublattice == element).sum())
        assert count[kind] == pytest.approx(n * share, abs=4 * np.sqrt(n * share * (1 - share)))


def test_defects_are_named_as_the_table_writes_them():
    _, made = plant(
        single_vacancy=0.2, double_vacancy=0.1, anion_substitution=0.1, metal_vacancy=0.1, metal_substitution=0.1
    )
    names = {kind: {d for d, k in zip(made.defects, made.kinds, strict=True) if k == kind} for kind in made.kinds}
    assert names["V_X"] == {"V_Se"}
    assert names["V_2X"] == {"V_2Se"}
    assert names["V_M"] == {"V_W"}
    assert names["S_X"] <= {f"{f}_Se" for f in ANION_FOREIGN["Se"]}
    assert names["S_M"] <= {defect_name("S_M", "W", f) for f in METAL_FOREIGN["W"]}
    assert defect_name("S_M", "W", "Se") == "Se_W"
    assert defect_name("S_M", "W", "V") == "vanadium_W"  # V_W is the vacancy


def test_the_draws_of_the_shipped_finder_s_recipe_stay_what_they_were():
    material = get_material("WSe2")
    sites = fill_field(material, lattice_vectors_px(material, 0.2, 8.0), (300, 320), margin_px=60)
    rng = np.random.default_rng(7)
    made = plant_defects(sites, DefectConfig(), 0.2, rng)
    assert (len(made.elements), len(made.defects)) == (2342, 38)
    assert made.kinds[:5] == ("V_X", "V_M", "V_X", "V_X", "S_M")
    expected = [[343.30391138, -40.1960936], [339.85619445, -31.2068073]]
    np.testing.assert_allclose(made.positions_px[:2], expected, atol=1e-8)
    assert rng.random() == 0.6804545408118088  # nothing more and nothing less was drawn


def test_a_single_vacancy_leaves_one_atom_and_a_double_none():
    _, made = plant(single_vacancy=0.3, double_vacancy=0.3)
    atoms = cKDTree(made.atoms_px)
    left = np.array([len(a) for a in atoms.query_ball_point(made.positions_px, 1e-6)])
    kinds = np.array(made.kinds)
    assert (left[kinds == "V_X"] == 1).all()
    assert (left[kinds == "V_2X"] == 0).all()
    assert cKDTree(made.columns_px).query(made.positions_px[kinds == "V_2X"])[0].min() > 1


def test_an_atom_left_alone_counts_as_a_column_of_one():
    _, made = plant(single_vacancy=0.3)
    at_defect = cKDTree(made.positions_px).query(made.atoms_px)[0] < 1e-6
    assert (made.column_size[at_defect] == 1).all()
    assert (made.column_size[~at_defect & (made.elements == "Se")] == 2).all()


def test_columns_of_one_atom_get_no_double_vacancy():
    _, made = plant("graphene", double_vacancy=0.5)
    assert made.kinds == ()


def test_columns_are_displaced_by_the_given_spread_and_defects_with_them():
    sites, made = plant(jitter_A=0.1, metal_vacancy=0.0, single_vacancy=0.1)
    shift = made.columns_px - sites.positions_px
    assert shift.std() == pytest.approx(0.1 / 0.2, rel=0.05)
    assert cKDTree(made.columns_px).query(made.positions_px)[0].max() < 1e-9


def test_the_same_seed_plants_the_same_defects():
    first, second = (plant(single_vacancy=0.1, seed=4)[1] for _ in range(2))
    np.testing.assert_array_equal(first.positions_px, second.positions_px)
    other = plant(single_vacancy=0.1, seed=5)[1]
    assert first.positions_px.shape != other.positions_px.shape or (first.positions_px != other.positions_px).any()
