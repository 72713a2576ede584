import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.export import positions_px
from napari_stem_gan.detect.table import read_csv
from napari_stem_gan.io import read_images
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.workflow import consume, fit, match_images, simulate, snap_image, write_simulated
from napari_stem_gan.workflow.simulated import plain_name


@pytest.fixture
def session(images, matches):
    config = SimulateConfig(count=2, size_px=96, defects=DefectConfig(planted="V_Se 5 %, Mo_W 4 %"))
    return consume(simulate(images, matches, config))


def test_the_session_is_a_sequence_that_knows_what_was_fitted(session, images):
    assert len(session) == 2
    assert [one.image.name for one in session] == [session[0].image.name, session[1].image.name]
    assert len(session.fits) == min(len(images), 6)
    assert json.loads(json.dumps(session.fits[0]))["detector"]["dose_e_per_A2"] > 0


def test_only_the_planted_defects_are_there(session):
    assert {name for one in session for name in one.defects} <= {"V_Se", "Mo_W"}
    assert sum(len(one.defects) for one in session) > 0


def test_the_beam_energy_of_the_settings_reaches_the_fit(images, matches):
    config = SimulateConfig(count=1, size_px=64, optics=OpticsConfig(energy_keV=200.0))
    drawn = consume(simulate(images, matches, config))
    assert drawn.fits[0]["optics"]["energy_keV"] == 200.0


def test_image_truth_values_and_atoms_are_written(session, tmp_path):
    files = write_simulated(session, tmp_path / "out")
    assert [f.suffix for f in files] == [".tif", ".tif"]
    image = read_images(files[0])[0]
    np.testing.assert_allclose(image.data, session[0].image.data)
    truth = read_csv(files[0].with_suffix(".truth.csv"))
    np.testing.assert_allclose(truth.positions_px, session[0].positions_px, atol=1e-3)
    told = json.loads(files[0].with_suffix(".truth.json").read_text())
    assert told["material"] == "WSe2"
    atoms = ase.io.read(files[0].with_suffix(".xyz"))
    assert {"W", "Se"} <= set(atoms.get_chemical_symbols())
    places = positions_px(atoms, session[0].image.pixel_size_A)
    assert ((places > -0.5) & (places < 95.5)).all()
    assert files[0].with_suffix(".cif").exists()


def test_a_lattice_placed_by_hand_is_refined(images, matches):
    from dataclasses import replace

    start = replace(matches[0], lattice_vectors_px=matches[0].lattice_vectors_px * 1.04, accepted=False)
    found = snap_image(images[0], MatchConfig(), start)
    assert found.accepted
    assert found.pixel_size_A == pytest.approx(matches[0].pixel_size_A, rel=2e-3)


def test_matching_is_what_the_fixture_says(images, matches):
    again = consume(match_images(images[:1], MatchConfig(material="WSe2")))
    assert again[0].rotation_deg == pytest.approx(matches[0].rotation_deg, abs=1e-6)


def test_a_material_gives_a_name_that_a_file_can_have(tmp_path):
    ase.io.write(tmp_path / "CdTe.cif", bulk("CdTe", "zincblende", a=6.48, cubic=True))
    assert plain_name("WSe2") == "WSe2"
    assert plain_name("Si [110]") == "Si_110"
    assert plain_name(f"{tmp_path / 'CdTe.cif'} [110]") == "CdTe_110"


def test_only_the_first_few_matched_images_are_measured(images, matches):
    from dataclasses import replace

    refused = replace(matches[0], accepted=False)
    fits = consume(fit([images[0], *images], [refused, *matches], most=1))
    assert [found is None for found in fits] == [True, False, True]
