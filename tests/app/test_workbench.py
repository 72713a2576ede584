"""The workbench in a real viewer: started, stopped, failed."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager

from napari_stem_gan.app.adapt_panel import report_lines
from napari_stem_gan.app.progress import ProgressPanel
from napari_stem_gan.app.worker import Ending

from .conftest import FakeModel, FakeProgress


def test_the_workbench_says_what_it_understood(bench):
    workbench = bench()

    assert "1 image, 64×96, 0.0200 nm/px" in workbench.shell.understood.text()
    assert workbench.shell.panels["match"].value().material == "WSe2"  # from the layer's name
    assert workbench.shell.start.isEnabled()
    assert not workbench.shell.stop.isEnabled()


def test_without_a_layer_start_is_blocked_and_says_why(bench):
    workbench = bench()
    workbench.viewer.layers.clear()
    workbench.refresh()

    assert not workbench.shell.start.isEnabled()
    assert "no image is loaded" in workbench.shell.understood.text()
    assert "Open Sample" in workbench.shell.start.toolTip()


def test_a_wrong_field_turns_red_and_blocks_start(bench):
    workbench = bench()
    form = workbench.shell.panels["match"].form
    form.fields["pixel_size_nm"].set_value(-1.0)

    assert "ff5c5c" in form.labels["pixel_size_nm"].text()
    assert "ff5c5c" not in form.labels["material"].text()
    assert "pixel size must be positive" in form.message.text()
    assert not workbench.shell.start.isEnabled()


def test_an_unknown_material_blocks_start(bench):
    workbench = bench()
    workbench.shell.panels["match"].form.fields["material"].setEditText("Kryptonite")

    assert "Kryptonite" in workbench.shell.start.toolTip()


def test_a_step_ends_with_full_bar_and_start_enabled(bench, fake, finish, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())

    finish(workbench, "match")

    assert fake.calls == ["match"]
    assert workbench.shell.progress.bar.value() == workbench.shell.progress.bar.maximum()
    assert workbench.shell.progress.message.text().startswith("Done: 1 of 1 matched")
    assert workbench.shell.start.isEnabled()
    assert not workbench.shell.stop.isEnabled()


def test_stop_ends_the_job_and_closes_the_step(bench, fake, qtbot, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())
    fake.endless = True
    with qtbot.waitSignal(workbench.bridge.progressed, timeout=20000):
        workbench.start("restore")
    assert workbench.shell.stop.isEnabled()
    assert not workbench.shell.start.isEnabled()

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        workbench.stop()

    assert fake.closed.is_set()
    assert workbench.shell.progress.message.text().startswith("Stopped")
    assert workbench.shell.start.isEnabled()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("the lattice is upside down")])
def test_an_error_is_a_notification_and_lands_the_bar(bench, fake, finish, error, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())
    fake.error = error

    finish(workbench, "detect")

    assert str(error) in [notification.message for notification in notification_manager.records]
    assert str(error) in workbench.shell.progress.message.text()
    assert workbench.shell.progress.bar.maximum() > 0  # no endless bar
    assert workbench.shell.start.isEnabled()


@pytest.mark.parametrize(
    ("fraction", "ending", "told", "shown"),
    [
        (1.0, Ending.FAILED, "no lattice", 0),
        (1.0, Ending.STOPPED, "", 0),
        (0.4, Ending.STOPPED, "", 400),
        (1.0, Ending.STOPPED, "this session's model is ready", 1000),
        (0.4, Ending.DONE, "", 1000),
    ],
)
def test_the_bar_is_full_for_what_was_done_alone(qtbot, fraction, ending, told, shown):
    panel = ProgressPanel()
    qtbot.addWidget(panel)
    panel.begin("Run all")
    panel.add(FakeProgress("match", fraction))

    panel.end(ending, told)

    assert panel.bar.value() == shown


def test_after_a_failure_the_next_job_works(bench, fake, finish):
    workbench = bench()
    fake.error = RuntimeError("first")
    finish(workbench, "match")
    fake.error = None

    finish(workbench, "match")

    assert workbench.shell.progress.message.text().startswith("Done")


def test_the_loss_curve_and_the_preview_show_while_training(bench, finish):
    workbench = bench()

    finish(workbench, "adapt")

    times, losses = workbench.shell.progress.curves["generator"]
    assert len(times) == len(losses) >= 3
    assert workbench.shell.progress.graphs.preview.image.shape == (8, 8)


def test_matching_is_not_repeated_while_nothing_changed(bench, fake, finish):
    workbench = bench()

    finish(workbench, "match")
    finish(workbench, "detect")

    assert fake.calls == ["match", "detect"]


def test_the_adapted_model_is_what_detect_uses(bench, fake, finish):
    workbench = bench()

    finish(workbench, "adapt")
    finish(workbench, "detect")

    assert isinstance(fake.seen["model"], FakeModel)


def test_a_poor_model_is_warned_of_and_not_praised(bench, fake, finish, monkeypatch):
    from napari.utils.notifications import notification_manager

    report = {"warning": "F1 0.31 on held-out pairs: do not rely on its points", "finder": "adapted"}
    monkeypatch.setattr(FakeModel, "report", report)
    workbench = bench()

    finish(workbench, "adapt")

    assert "ready" not in workbench.shell.progress.message.text()
    assert "this session's model is poor: F1 0.31 on held-out pairs" in workbench.shell.progress.message.text()
    assert workbench.shell.sections["adapt"].header.text().startswith("Adapt  ⚠ this session's model is poor")
    assert workbench.shell.panels["adapt"].result.text().startswith("<b>warning</b>: F1 0.31")
    assert report["warning"] in [one.message for one in notification_manager.records]


def test_a_stopped_adaptation_keeps_its_model_and_simulates_no_more(bench, fake, qtbot, monkeypatch):
    def adapt_until_stopped(images, matches, config, *, stop=None, **more):
        while not stop.wait(0.005):
            yield FakeProgress("adapt", 0.5)
        return FakeModel()

    workbench = bench()
    monkeypatch.setattr(fake, "adapt", adapt_until_stopped)
    workbench.start("adapt")
    qtbot.waitUntil(lambda: workbench.shell.progress._stage == "adapt", timeout=20000)

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        workbench.stop()

    assert isinstance(workbench.shell.model(), FakeModel)
    assert "simulate" not in fake.calls


def test_calibrate_writes_the_corrected_scale_in_nm(bench, image_layer, finish):
    workbench = bench()
    finish(workbench, "detect")

    workbench.shell.panels["match"].calibrate.click()

    points = workbench.results.find(image_layer, "defects")
    np.testing.assert_allclose(image_layer.scale, 0.021)
    np.testing.assert_allclose(points.scale, image_layer.scale)
    assert [str(unit) for unit in image_layer.units] == ["nanometer", "nanometer"]


def test_opening_does_not_import_torch():
    import subprocess

    code = "import sys, napari_stem_gan.app.widgets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_opening_on_a_known_crystal_does_not_import_ase_s_builders(tmp_path):
    import subprocess

    code = """
import sys, numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
app = QApplication([])
from napari_stem_gan.app.workbench import Workbench
viewer = ViewerModel()
viewer.add_image(np.random.default_rng(0).random((64, 64)), name="WSe2")
bench = Workbench(viewer)
assert bench.shell.panels["match"].value().material == "WSe2"
bench.shell.device.cancel()
print(*sys.modules)
"""
    environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stderr
    assert not {"ase.build", "spglib", "torch"} & set(done.stdout.split())


def test_why_the_only_layer_cannot_be_used_is_said_once(bench):
    workbench = bench(Image(np.zeros((40, 40, 3), np.uint8), rgb=True, name="photo"))

    assert workbench.shell.understood.text().count("photo") == 1
    assert "'photo' is a colour image; convert it to grey first" in workbench.shell.understood.text()


def test_the_report_of_adapt_names_its_parts_and_no_number_twice():
    report = {"finder": "finder as shipped: F1 0.98 on held-out pairs", "held_out_f1": {"as shipped": 0.98}}
    report |= {"translation": {"kept": "simulation as it is", "before": {"kl": 0.1}}, "seconds": 12.34}

    assert report_lines(report) == [
        "<b>finder</b>: finder as shipped: F1 0.98 on held-out pairs",
        "<b>seconds</b>: 12.3",
        "<b>translation kept</b>: simulation as it is",
    ]


def test_headers_say_nothing_of_layers_that_are_gone(bench, finish, image_layer):
    workbench = bench()
    finish(workbench, "match")
    finish(workbench, "restore")
    headers = {name: workbench.shell.sections[name].header for name in ("match", "restore")}
    assert headers["match"].text() == "Match  ✓ 1 of 1 matched"

    workbench.viewer.layers.clear()
    workbench.refresh()

    assert [header.text() for header in headers.values()] == ["Match", "Restore"]
    assert workbench.shell.panels["match"].result.text() == ""


def test_simulated_images_of_another_session_are_not_offered_any_more(bench, finish, image_layer):
    workbench = bench()
    panel, header = workbench.shell.panels["simulate"], workbench.shell.sections["simulate"].header
    finish(workbench, "simulate")
    assert header.text() == "Simulate  ✓ 2 images with 4 planted defects"

    workbench.viewer.add_image(np.random.default_rng(1).random((64, 96)), name="next day")
    finish(workbench, "match")

    assert header.text() == "Simulate"
    assert panel.result.text() == ""
    assert not panel.save.isEnabled()


def test_what_was_expected_of_points_goes_with_them(bench, finish):
    workbench = bench()
    panel = workbench.shell.panels["detect"]
    panel.form.fields["known_answer"].setChecked(True)
    finish(workbench, "detect")
    assert "false vacancies" in panel.expected.text()

    workbench.viewer.layers.clear()
    workbench.refresh()

    assert panel.expected.text() == ""


def test_colour_layers_are_left_out_and_named(bench, image_layer):
    colour = Image(np.zeros((40, 40, 3), np.uint8), rgb=True, name="photo")
    workbench = bench(image_layer, colour)

    assert "1 image, 64×96" in workbench.shell.understood.text()
    assert "photo" in workbench.shell.understood.text()


def test_images_on_top_of_each_other_are_put_side_by_side(bench, finish):
    data = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    layers = [Image(data, name=name, scale=(0.02, 0.02), units=("nm", "nm")) for name in "ab"]
    workbench = bench(*layers)
    finish(workbench, "detect")
    assert "on top of each other" in workbench.shell.understood.text()

    workbench.shell.spread.click()

    assert layers[1].translate[1] > 96 * 0.02
    np.testing.assert_allclose(workbench.results.find(layers[1], "defects").translate, layers[1].translate)
    assert "on top of each other" not in workbench.shell.understood.text()


def test_only_the_selected_layers_are_used_when_asked(bench, image_layer):
    other = Image(np.random.default_rng(1).random((50, 50), dtype=np.float32), name="other")
    workbench = bench(image_layer, other)
    workbench.viewer.layers.selection = {other}

    workbench.shell.scope.setCurrentText("selected image layers")

    assert "1 image, 50×50, pixel size unknown" in workbench.shell.understood.text()


def test_settings_come_back_in_the_next_session(bench, finish):
    first = bench()
    simulate = first.shell.panels["simulate"]
    simulate.form.fields["count"].set_value(7)
    first.shell.panels["match"].form.fields["pixel_size_nm"].set_value(0.03)
    finish(first, "match")

    second = bench()

    assert second.shell.panels["simulate"].value().count == 7
    assert second.shell.panels["match"].value().pixel_size_nm is None  # belongs to today's images


def test_everything_is_reachable_at_1280_by_720(bench, qtbot, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer(show=True))
    workbench.viewer.window.resize(1280, 720)
    qtbot.wait(50)
    for section in workbench.shell.sections.values():
        section.set_open(True)
        qtbot.wait(20)
        bottom = workbench.shell.stop.mapTo(workbench, workbench.shell.stop.rect().bottomLeft()).y()
        assert bottom <= workbench.height()
    assert workbench.minimumSizeHint().height() < 600


def test_run_all_writes_only_where_the_user_said(bench, fake, finish, tmp_path):
    workbench = bench()
    finish(workbench, "run")
    assert fake.seen["folder"] is None

    workbench.shell.folder.set_value(tmp_path)
    finish(workbench, "run")

    assert fake.seen["folder"] == tmp_path
    assert workbench.shell.current() == "detect"  # slider and CSV are at hand
    assert str(tmp_path) in workbench.shell.progress.message.text()


def test_closing_the_panel_stops_the_job_and_leaves_the_viewer_in_peace(bench, fake, qtbot, make_napari_viewer):
    viewer = make_napari_viewer()
    workbench = bench(viewer=viewer)
    fake.endless = True
    with qtbot.waitSignal(workbench.bridge.progressed, timeout=20000):
        workbench.start("restore")

    viewer.window.remove_dock_widget(workbench)
    del workbench

    qtbot.waitUntil(fake.closed.is_set, timeout=20000)
    viewer.add_image(np.eye(40))  # no panel is left to hear of it
    qtbot.wait(120)
    assert len(viewer.layers) == 2


def test_one_section_is_open_at_a_time(bench):
    workbench = bench()

    workbench.shell.sections["detect"].set_open(True)

    assert workbench.shell.current() == "detect"
    assert [fold.is_open() for fold in workbench.shell.sections.values()].count(True) == 1
    assert workbench.shell.start.text() == "Start Detect"


def test_step_widgets_share_the_session(bench, image_layer, fake, finish):
    from napari_stem_gan.app.widgets import DetectWidget

    workbench = bench()
    finish(workbench, "match")
    single = bench(viewer=workbench.viewer, widget=DetectWidget)

    finish(single, "detect")

    assert fake.calls == ["match", "detect"]
    assert workbench.results.find(image_layer, "defects") is not None
