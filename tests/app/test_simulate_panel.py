"""The Simulate panel: limits of the model, values fitted to today's images, files."""

from __future__ import annotations

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
    one = SimpleNamespace(positions_px=[(1, 2), (3, 4)])

    remark = panel.show_outcome(Outcome(step="simulate", sources=(), simulated=[one], fits=FITS[:1]))

    assert remark == "1 image with 2 planted defects"
    assert "Measured on this image" in panel.result.text()


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
