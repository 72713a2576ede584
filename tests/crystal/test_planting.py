"""Planted defects against counts and distances that are known beforehand."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import FINDER_CLASSES, plant_defects
from napari_stem_gan.crystal.materials import MATERIALS, get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px

SIZE_A = 0.2


def sites_of(name, shape=(400, 400), layers=None, margin_px=0.0):
    material = get_material(name)
    material = material if layers is None else material.with_layers(layers)
    vectors = lattice_vectors_px(material, SIZE_A, 8.0)
    return fill_field(material, vectors, shape, margin_px=margin_px)


def plant(sites, text, seed=0, relaxation_A=0.0):
    config = DefectConfig(planted=text, jitter_A=0.0, relaxation_A=relaxation_A)
    return plant_defects(sites, config, SIZE_A, np.random.default_rng(seed))


def test_a_percentage_is_of_the_atoms_of_the_element():
    sites = sites_of("WSe2")
    selenium = 2 * (sites.column == 1).sum()
    made = plant(sites, "V_Se 2 %")
    assert made.defects.count("V_Se") == pytest.approx(0.02 * selenium, abs=1)
    assert (made.elements == "Se").sum() == selenium - len(made.defects)


def test_the_mean_count_over_seeds_is_the_density_times_the_area():
    sites, field_nm2 = sites_of("WSe2", (200, 200), margin_px=30.0), (200 * SIZE_A / 10) ** 2
    counts = {"V_Se": 0.0, "Mo_W": 0.0, "ad_W": 0.0}
    for seed in range(400):
        made = plant(sites, "V_Se 0.25 /nm2, Mo_W 0.1 nm^-2, adatom W 0.05 /nm2", seed)
        seen = ((made.positions_px >= -0.5) & (made.positions_px < 199.5)).all(1)
        for name in counts:
            counts[name] += sum(np.array(made.defects)[seen] == name) / 400
    for name, density in {"V_Se": 0.25, "Mo_W": 0.1, "ad_W": 0.05}.items():
        expected = density * field_nm2
        assert counts[name] == pytest.approx(expected, abs=4 * np.sqrt(expected / 400))


def test_a_double_vacancy_empties_its_column_and_other_places_stay_whole():
    sites = sites_of("WSe2")
    made = plant(sites, "V_2Se 10 %, V_Se 5 %, Mo_2Se 5 %")
    kinds = np.array(made.kinds)
    atoms = cKDTree(made.atoms_px)
    left = {k: {len(n) for n in atoms.query_ball_point(made.positions_px[kinds == k], 1e-6)} for k in set(made.kinds)}
    assert left == {"V_2X": {0}, "V_X": {1}, "S_X": {1}}
    assert cKDTree(made.positions_px).query(made.positions_px, k=2)[0][:, 1].min() > 1


def test_antisites_and_substitutions_change_one_atom():
    made = plant(sites_of("WSe2"), "Se_W 10 %, W_Se 5 %, O_Se 5 %")
    assert set(zip(made.defects, made.kinds, made.sublattices, strict=True)) == {
        ("Se_W", "S_M", "W"), ("W_Se", "S_X", "Se"), ("O_Se", "S_X", "Se"),
    }  # fmt: skip
    foreign = made.atom_defect >= 0
    pairs = zip(made.atom_defect[foreign], made.elements[foreign], strict=True)
    assert all(made.defects[d].startswith(e) for d, e in pairs)
    np.testing.assert_allclose(made.atoms_px[foreign], made.positions_px[made.atom_defect[foreign]], atol=1e-9)


def test_both_atoms_of_a_column_are_hit_equally_often():
    made = plant(sites_of("WSe2"), "O_Se 20 %")
    heights = made.heights_A[made.elements == "O"]
    assert set(np.round(heights, 6)) == {-1.68, 1.68}
    assert (heights > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_a_vacancy_of_a_bulk_column_takes_one_atom_of_its_repeats():
    sites = sites_of("SrTiO3", (100, 100), layers=10)
    titanium = [i for i, c in enumerate(sites.material.columns) if "Ti" in c.atoms]
    columns = np.isin(sites.column, titanium).sum()
    made = plant(sites, "V_Ti 2 %, V_O 1 %")
    assert made.defects.count("V_Ti") == pytest.approx(0.02 * 10 * columns, abs=1)
    assert (made.elements == "Ti").sum() == 10 * columns - made.defects.count("V_Ti")
    assert set(zip(made.defects, made.kinds, strict=True)) == {("V_Ti", "V_M"), ("V_O", "V_X")}
    assert len(made.columns_px) == len(sites)


def test_a_double_vacancy_of_graphene_takes_two_neighbours():
    made = plant(sites_of("graphene", (200, 200)), "V_2C 3 %")
    perfect = sites_of("graphene", (200, 200)).positions_px
    gone = perfect[cKDTree(made.atoms_px).query(perfect)[0] > 0.1]
    assert len(gone) == 2 * len(made.defects)
    np.testing.assert_allclose(cKDTree(gone).query(made.positions_px)[0], 1.42 / 2 / SIZE_A, rtol=1e-3)


def test_adatoms_touch_the_crystal_from_above_and_have_no_class():
    sites = sites_of("WSe2")
    made = plant(sites, "adatom W 1 /nm2")
    added = made.site < 0
    assert set(made.kinds) == {"A"}
    assert "A" in FINDER_CLASSES
    assert set(made.sublattices) == {"top", "bridge", "hollow"}
    assert (made.elements[added] == "W").all()
    crystal = np.concatenate([made.atoms_px[~added] * SIZE_A, made.heights_A[~added, None]], 1)
    above = np.concatenate([made.atoms_px[added] * SIZE_A, made.heights_A[added, None]], 1)
    bond = np.where(made.elements[~added] == "Se", 1.20 + 1.62, 1.62 + 1.62)  # covalent radii of Cordero et al.
    gap = np.linalg.norm(above[:, None] - crystal[None], axis=2) - bond
    np.testing.assert_allclose(gap.min(1), 0, atol=1e-6)
    assert above[:, 2].min() > 1.0


def test_hollow_adatoms_lie_in_the_middle_of_the_hexagons():
    sites = sites_of("WSe2")
    made = plant(sites, "adatom W 1 /nm2")
    hollow = made.positions_px[np.array(made.sublattices) == "hollow"]
    np.testing.assert_allclose(cKDTree(sites.positions_px).query(hollow)[0] * SIZE_A, 3.282 / np.sqrt(3), atol=1e-6)


@pytest.mark.parametrize("amount", [0.1, -0.1])
def test_relaxation_moves_exactly_the_nearest_neighbours(amount):
    sites = sites_of("WSe2")
    still, made = plant(sites, "V_Se 0.2 %"), plant(sites, "V_Se 0.2 %", relaxation_A=amount)
    assert still.defects == made.defects
    before = np.concatenate([still.atoms_px * SIZE_A, still.heights_A[:, None]], 1)
    after = np.concatenate([made.atoms_px * SIZE_A, made.heights_A[:, None]], 1)
    step = np.linalg.norm(after - before, axis=1)
    assert (step > 1e-9).sum() == 3 * len(made.defects)
    assert set(made.elements[step > 1e-9]) == {"W"}
    np.testing.assert_allclose(step[step > 1e-9], abs(amount), rtol=1e-9)
    distance = [cKDTree(made.positions_px).query(p)[0][step > 1e-9] for p in (still.atoms_px, made.atoms_px)]
    np.testing.assert_allclose(distance[0] - distance[1], amount * 1.895 / 2.532 / SIZE_A, rtol=2e-3)


def test_an_element_that_is_not_there_is_refused_when_planting():
    with pytest.raises(ValueError, match="must lie on its elements, Se, W"):
        plant(sites_of("WSe2"), "V_Te 1 %")


@pytest.mark.parametrize("text", ["", "V_Se 1 %, V_2Se 1 %, ad_W 1 /nm2"])
def test_a_field_without_crystal_holds_nothing(text):
    sites = sites_of("WSe2")
    made = plant_defects(
        sites.where(np.zeros(len(sites), bool)), DefectConfig(planted=text), SIZE_A, np.random.default_rng(0)
    )
    assert len(made.elements) == len(made.columns_px) == len(made.defects) == 0


@pytest.mark.parametrize("name", list(MATERIALS))
def test_every_preset_holds_every_kind_of_defect(name):
    sites = sites_of(name, (160, 160))
    elements = sorted({atom for column in sites.material.columns for atom in column.atoms})
    text = ", ".join(f"V_{e} 2 %, V_2{e} 0.2 /nm2, Cu_{e} 2 %" for e in elements)
    made, perfect = plant(sites, f"{text}, ad_W 0.2 /nm2"), plant(sites, "ad_W 0 %")
    count = {n: made.defects.count(n) for n in set(made.defects)}
    for e in elements:
        gone = count[f"V_{e}"] + 2 * count[f"V_2{e}"] + count[f"Cu_{e}"]
        assert (perfect.elements == e).sum() - gone == ((made.elements == e) & (made.site >= 0)).sum()
    assert {"V_X", "V_M", "V_2X", "V_2M", "S_X", "S_M", "A"} >= set(made.kinds)
