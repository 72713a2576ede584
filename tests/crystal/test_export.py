import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.crystal.export import positions_px, to_atoms, write_structure
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px

SIZE_A, SHAPE = 0.19, (120, 150)


@pytest.fixture
def planted():
    material = get_material("WSe2")
    sites = fill_field(material, lattice_vectors_px(material, SIZE_A, 8.0), SHAPE, margin_px=20.0)
    config = DefectConfig(planted="V_Se 3 %, Mo_W 5 %, V_2Se 2 %, adatom W 0.5 /nm2", jitter_A=0.05)
    return plant_defects(sites, config, SIZE_A, np.random.default_rng(0))


def inside(points):
    return ((points >= -0.5) & (points < np.array(SHAPE) - 0.5)).all(1)


@pytest.mark.parametrize("suffix", [".cif", ".xyz", ".extxyz"])
def test_a_written_structure_comes_back_where_it_was(tmp_path, planted, suffix):
    path = write_structure(tmp_path / f"field{suffix}", planted, SIZE_A, SHAPE)
    back = ase.io.read(path)
    own = inside(planted.atoms_px)
    assert list(back.symbols) == list(planted.elements[own])
    np.testing.assert_allclose(positions_px(back, SIZE_A), planted.atoms_px[own], atol=1e-6)
    np.testing.assert_allclose(back.cell.lengths()[:2], [150 * SIZE_A, 120 * SIZE_A], rtol=1e-9)


def test_heights_become_depths_along_the_beam(planted):
    atoms, own = to_atoms(planted, SIZE_A, SHAPE, vacuum_A=3.0), inside(planted.atoms_px)
    np.testing.assert_allclose(np.diff(atoms.positions[:, 2]), -np.diff(planted.heights_A[own]), atol=1e-9)
    assert atoms.positions[:, 2].min() == pytest.approx(3.0)
    assert atoms.cell.lengths()[2] - atoms.positions[:, 2].max() == pytest.approx(3.0)


def test_sites_and_defects_travel_with_the_atoms(tmp_path, planted):
    back = ase.io.read(write_structure(tmp_path / "field.extxyz", planted, SIZE_A, SHAPE))
    own = inside(planted.atoms_px)
    np.testing.assert_array_equal(back.arrays["site"], planted.site[own])
    molybdenum = np.array(back.symbols) == "Mo"
    assert molybdenum.any()
    assert set(back.arrays["defect"][molybdenum]) == {"Mo_W"}
    assert set(back.arrays["defect"][back.arrays["site"] < 0]) == {"ad_W"}
    assert set(back.arrays["defect"][~molybdenum & (back.arrays["site"] >= 0)]) == {"-"}
    told = back.info["defects"]
    told = json.loads(told) if isinstance(told, str) else told
    seen = inside(planted.positions_px)
    assert [t[0] for t in told] == [d for d, s in zip(planted.defects, seen, strict=True) if s]
    np.testing.assert_allclose([t[1:] for t in told], planted.positions_px[seen], atol=1e-9)


def test_another_suffix_and_an_empty_field_are_refused(tmp_path, planted):
    with pytest.raises(ValueError, match="must be written as .cif, .xyz, .extxyz, got 'field.pdb'"):
        write_structure(tmp_path / "field.pdb", planted, SIZE_A, SHAPE)
    with pytest.raises(ValueError, match="must hold atoms"):
        to_atoms(replace(planted, atoms_px=planted.atoms_px + 1000), SIZE_A, SHAPE)
