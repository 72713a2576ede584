"""The Match panel: numbers with their errors, refusals with their reason, materials from files, calibration."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_stem_gan.app import structure_file
from napari_stem_gan.app.match_text import match_text, with_error
from napari_stem_gan.app.structure_file import FILE
from napari_stem_gan.image import STEMImage

from .conftest import FakeProgress, Stopped, fake_match

CIF = """data_CdTe
_symmetry_space_group_name_H-M 'F -4 3 m'
_cell_length_a 6.48
_cell_length_b 6.48
_cell_length_c 6.48
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cd Cd 0 0 0 1
Te Te 0.25 0.25 0.25 1
"""


def text_of(**more):
    image = STEMImage(data=np.random.default_rng(0).random((64, 64), dtype=np.float32), pixel_size_A=0.2165)
    return match_text(fake_match(image, **more))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(1.2134, 0.0312, "1.21 ± 0.03"), (12.04, 0.13, "12.0 ± 0.1"), (3210.4, 95.0, "3210 ± 95"), (1.5, None, "1.50")],
)
def test_a_number_has_as_many_digits_as_its_error_allows(value, error, text):
    assert with_error(value, error) == text


def test_a_match_says_size_shear_stretch_and_columns_with_errors():
    errors = {"pixel_size_A": 4e-4, "rotation_deg": 0.06, "shear": 0.0014, "stretch": 0.001, "fwhm_A": 0.03}
    text = text_of(shear=0.014, stretch=0.004, fwhm_A=1.21, column_ratios={"W": 1.0, "Se": 0.62}, errors=errors)

    assert "Pixel size is 3.1 % off" in text
    assert "0.02100 nm ± 0.2 %, not 0.02165 nm" in text
    assert "Rotated 12.00 ± 0.06°, scan shear 0.80 ± 0.08°, y/x stretch 0.4 ± 0.1 %" in text
    assert "Columns 1.21 ± 0.03 Å wide" in text
    assert "brightness W 1.00, Se 0.62" in text


def test_without_a_nominal_size_the_lattice_alone_tells_it():
    assert "0.02100 nm, from the lattice alone" in text_of(nominal_pixel_size_A=None)


def test_a_refusal_gives_the_reason_and_the_best_other_candidate():
    text = text_of(accepted=False, reason="no WSe2 lattice was found", best_other="MoS2")

    assert text == "not matched as WSe2: no WSe2 lattice was found; best other candidate: MoS2"


def test_materials_that_the_lattice_cannot_tell_apart_are_named():
    assert "The lattice alone also fits WS2" in text_of(reason="WSe2 lattice found; the lattice alone also fits WS2")


@pytest.mark.parametrize(
    ("doubt", "shown"),
    [
        ("MoSe2 would fit the pixel size as given", "<i>MoSe2 would fit the pixel size as given.</i>"),
        ("which way round it lies is not certain", "<i>Which way round it lies is not certain.</i>"),
        ("it is the mirror image of x", "<i>It is the mirror image of x.</i>"),
    ],
)
def test_every_doubt_about_a_match_is_shown_and_nothing_twice(doubt, shown):
    reason = "WSe2 lattice found; pixel size is 3.1 % too large, 0.02100 nm by the lattice"
    plain, text = text_of(reason=reason), text_of(reason=f"{reason}; {doubt}")
    assert text == f"{plain}<br>{shown}"
    assert "<i>" not in plain


def test_a_structure_file_becomes_the_material(bench, tmp_path, monkeypatch):
    workbench = bench()
    path = tmp_path / "CdTe.cif"
    path.write_text(CIF)
    monkeypatch.setattr(structure_file.QFileDialog, "getOpenFileName", lambda *a, **k: (str(path), ""))
    monkeypatch.setattr(structure_file.QInputDialog, "getText", lambda *a, **k: ("1 1 0", True))
    panel = workbench.shell.panels["match"]
    combo = panel.form.fields["material"]

    combo.activated.emit(combo.findText(FILE))

    assert panel.value().material == f"{path} [1 1 0]"
    assert panel.error() == ""
    assert panel.material() == f"{path} [1 1 0]"


def test_giving_up_the_file_dialog_keeps_the_guess(bench, monkeypatch):
    workbench = bench()
    monkeypatch.setattr(structure_file.QFileDialog, "getOpenFileName", lambda *a, **k: ("", ""))
    combo = workbench.shell.panels["match"].form.fields["material"]

    combo.activated.emit(combo.findText(FILE))

    assert combo.currentText() == "WSe2"


@pytest.mark.parametrize(("spec", "says"), [("missing.cif [110]", "missing.cif"), ("Kryptonite", "Kryptonite")])
def test_a_bad_material_turns_the_field_red_with_the_sentence(bench, spec, says):
    workbench = bench()
    form = workbench.shell.panels["match"].form

    form.fields["material"].setEditText(spec)

    assert "ff5c5c" in form.labels["material"].text()
    assert says in form.message.text()
    assert not workbench.shell.start.isEnabled()


def test_calibrate_also_writes_a_unit_where_there_was_none(bench, finish):
    data = np.random.default_rng(0).random((64, 96), dtype=np.float32)
    layer = Image(data, name="WSe2", metadata={"pixel_size_nm": 0.021})
    workbench = bench(layer)
    finish(workbench, "match")

    workbench.shell.panels["match"].calibrate.click()

    np.testing.assert_allclose(layer.scale, 0.021)
    assert [str(unit) for unit in layer.units] == ["nanometer", "nanometer"]
    assert not workbench.shell.panels["match"].calibrate.isEnabled()


def test_what_was_measured_besides_the_lattice_is_listed(bench, fake, finish):
    workbench = bench()
    finish(workbench, "match")

    assert "Source size fwhm (Å): 0.80 ± 0.03" in workbench.shell.panels["match"].result.text()
    assert fake.seen["optics"] == workbench.shell.panels["simulate"].value().optics


def test_an_image_that_cannot_be_measured_is_matched_all_the_same(bench, fake, finish):
    workbench = bench()
    fake.fit_error = ValueError("the image is too small to measure its noise")

    finish(workbench, "match")

    text = workbench.shell.panels["match"].result.text()
    assert "not measured: the image is too small" in text
    assert workbench.shell.progress.message.text().startswith("Done: 1 of 1 matched")


def test_stop_while_measuring_keeps_the_matches(bench, fake, qtbot, monkeypatch):
    def fit_until_stopped(images, matches, optics=None, *, most=None, stop=None):
        while not stop.wait(0.005):
            yield FakeProgress("measuring", 0.5)
        raise Stopped("fit")

    monkeypatch.setattr(fake, "fit", fit_until_stopped)
    workbench = bench()
    workbench.start("match")
    qtbot.waitUntil(lambda: workbench.shell.progress._stage == "measuring", timeout=20000)

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        workbench.stop()

    assert "goodness 0.80" in workbench.shell.panels["match"].result.text()
