"""The Simulate panel: limits of the model, values fitted to today's images, files."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from napari_stem_gan.app.fit_text import fits_text
from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.simulate_panel import SimulatePanel

FITS = [
    {"optics": {"source_size_fwhm_A": size, "energy_keV": 80.0}, "detector": {"dose_e_per_A2": dose}, "contrast": 0.02,
     "errors": {"source_size_fwhm_A": 0.03, "dose_e_per_A2": 95.0}}
    for size, dose in ((0.8, 3000.0), (0.9, 3210.0), (1.0, 3300.0))
]  # fmt: skip


def test_the_limits_of_the_model_are_text_in_the_panel(bench):
    workbench = bench()
    workbench.shell.open_section("simulate")

    assert workbench.shell.panels["simulate"].limits.text() == "limits of WSe2 in 0 layers"


def test_without_a_crystal_it_says_what_to_do(qtbot):
    panel = SimulatePanel()
    qtbot.addWidget(panel)

    panel.understand("")

    assert "run Match" in panel.limits.text()


def test_the_limits_follow_the_material(bench):
    workbench = bench()
    workbench.shell.open_section("simulate")
    workbench.shell.panels["match"].form.fields["material"].setEditText("graphene")

    assert workbench.shell.panels["simulate"].limits.text().startswith("limits of graphene")


def test_fitted_values_are_the_middle_ones_with_their_errors():
    text = fits_text(FITS)

    assert "Measured on 3 images" in text
    assert "Source size fwhm (Å): 0.90 ± 0.03" in text
    assert "Dose (e/Å²): 3210 ± 95" in text
    assert "Energy" not in text  # given, not fitted


def test_without_fits_nothing_is_said():
    assert fits_text([]) == ""


def test_the_panel_shows_the_fits_of_the_outcome(qtbot):
    panel = SimulatePanel()
    qtbot.addWidget(panel)
    one = SimpleNamespace(positions_px=[(1, 2), (3, 4)], parameters={"by_hand": {"jitter_x_px": 0.25}})

    remark = panel.show_outcome(Outcome(step="simulate", sources=(), simulated=[one], fits=FITS[:1]))

    assert remark == "1 image with 2 planted defects"
    assert "Measured on this image" in panel.result.text()
    assert "Jitter x (px) 0.25" in panel.result.text()


def hint(panel, name):
    return panel.form.fields["instrument"].fields[name].lineEdit().placeholderText()


def test_empty_fields_of_the_instrument_show_what_was_fitted(qtbot):
    panel = SimulatePanel()
    qtbot.addWidget(panel)
    assert {hint(panel, name) for name in panel.form.fields["instrument"].fields} == {"as fitted"}

    panel.show_outcome(Outcome(step="match", sources=(), matches=[], fits=[None, *FITS]))

    assert hint(panel, "dose_e_per_A2") == "3210"  # the middle one
    assert hint(panel, "jitter_x_px") == "as fitted"  # this fit does not tell
    assert panel.value().instrument.by_hand() == {}

    panel.show_outcome(Outcome(step="match", sources=(), matches=[], fits=None))
    assert hint(panel, "dose_e_per_A2") == "as fitted"


def test_match_shows_its_measurement_in_the_instrument(bench, fake, finish):
    workbench = bench()
    fake.fitted = FITS[0]

    finish(workbench, "match")

    assert hint(workbench.shell.panels["simulate"], "dose_e_per_A2") == "3000"


def test_a_number_by_hand_reaches_the_config_and_the_header_says_so(qtbot):
    panel = SimulatePanel()
    qtbot.addWidget(panel)
    instrument = panel.form.fields["instrument"]

    instrument.fields["jitter_x_px"].set_value(0.3)
    instrument.fields["contamination_amount"].set_value(0.0)

    assert panel.value().instrument.by_hand() == {"jitter_x_px": 0.3, "contamination_amount": 0.0}
    assert panel.form.groups["instrument"].header.text() == "Instrument · 2 by hand"
    assert [fold.header.text() for fold in instrument.sections.values()] == [
        "Detector", "Scan · 1 by hand", "Contamination · 1 by hand"
    ]  # fmt: skip


def test_the_instrument_by_hand_belongs_to_today(qtbot):
    first = SimulatePanel()
    qtbot.addWidget(first)
    first.form.fields["count"].set_value(7)
    first.form.fields["instrument"].fields["dose_e_per_A2"].set_value(2000.0)
    first.form.fields["aberrations"].setText("C23=50 nm")
    first.keep()

    second = SimulatePanel()
    qtbot.addWidget(second)

    assert second.value() == replace(SimulatePanel.default(), count=7)
    second.reset()
    assert second.value() == SimulatePanel.default()


def test_a_wrong_number_of_the_instrument_is_red_and_its_section_says_so(qtbot):
    panel = SimulatePanel()
    qtbot.addWidget(panel)
    instrument = panel.form.fields["instrument"]

    instrument.fields["gain"].set_value(0.0)

    assert panel.error() == "Instrument: gain must be positive, got 0.0; try 1"
    assert "not valid" in instrument.sections["Detector"].header.text()
    assert "not valid" not in instrument.sections["Scan"].header.text()


@pytest.mark.parametrize(
    ("text", "why"),
    [("C99=3", "aberration must be one of"), ("C23=5 rad", "the unit of C23 must be"), ("/no/t.json", "readable file")],
)
def test_aberrations_that_cannot_be_used_block_start_with_one_sentence(qtbot, text, why):
    panel = SimulatePanel()
    qtbot.addWidget(panel)

    panel.form.fields["aberrations"].setText(text)

    assert why in panel.error()
    assert "ff5c5c" in panel.form.labels["aberrations"].text()


def test_what_was_simulated_is_saved_where_the_user_said(bench, fake, finish, qtbot, tmp_path):
    workbench = bench()
    panel = workbench.shell.panels["simulate"]
    assert not panel.save.isEnabled()
    finish(workbench, "simulate")
    assert panel.save.isEnabled()

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        panel.save_requested.emit(tmp_path)

    assert [one.image.name for one in fake.seen["saved"]] == ["sim0", "sim1"]
    assert str(tmp_path) in workbench.shell.progress.message.text()


@pytest.mark.parametrize("name", ["count", "size_px", "defect_scale"])
def test_count_size_and_defects_are_always_in_sight(qtbot, name):
    panel = SimulatePanel()
    qtbot.addWidget(panel)

    assert not panel.form.advanced.isAncestorOf(panel.form.fields[name])


def test_a_wrong_field_of_another_step_does_not_hinder_match(bench, finish):
    workbench = bench()
    workbench.shell.panels["simulate"].form.fields["count"].set_value(0)

    finish(workbench, "match")

    assert workbench.shell.progress.message.text().startswith("Done")


def test_the_workbench_says_that_adapt_learns_what_was_typed_in(bench):
    workbench = bench()
    panel = workbench.shell.panels["simulate"]
    assert "by hand" not in workbench.shell.understood.text()
    panel.form.fields["instrument"].fields["dose_e_per_A2"].set_value(2000.0)
    panel.form.fields["aberrations"].setText("C23=50 nm")
    workbench.refresh()
    assert panel.by_hand().endswith("2000, aberrations C23=50 nm")
    assert f"by hand in Simulate: {panel.by_hand()}" in workbench.shell.understood.text()
