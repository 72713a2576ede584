"""The Statistics fold: what counts now, regions that were drawn, plots, files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Shapes
from pyqtgraph import FillBetweenItem

from napari_stem_gan.app.layers import read_layer
from napari_stem_gan.app.regions import on_image, polygons_on
from napari_stem_gan.app.statistics_plots import staggered
from napari_stem_gan.app.statistics_view import STALE

from .conftest import DEFECTS

AREA_NM2 = 64 * 96 * 0.021**2  # the fake match says 0.021 nm per pixel


@pytest.fixture
def counted(bench, finish, qtbot):
    """A workbench after Detect and Count, and a function that counts again."""
    workbench = bench()
    finish(workbench, "detect")
    tools, view = workbench.statistics, workbench.shell.panels["detect"].statistics
    view.set_value(replace(view.value(), simulations=19))

    def count():
        with qtbot.waitSignal(tools.bridge.ended, timeout=20000):
            view.count.click()
        return tools.found

    count()
    return workbench, tools, view, count


def density(found, defect, region="whole crystal"):
    return next(d for d in found.densities if (d.defect, d.region) == (defect, region))


def test_nothing_can_be_counted_before_detect(bench):
    workbench = bench()
    view = workbench.shell.panels["detect"].statistics
    assert not view.count.isEnabled()
    assert not view.save.isEnabled()


def test_the_points_that_count_are_counted_on_the_crystal(counted):
    _, tools, view, _ = counted
    found = density(tools.found, "V_Se")
    assert (found.count, found.area_nm2) == (1, pytest.approx(AREA_NM2, rel=1e-6))
    assert density(tools.found, "all defects").count == 2
    assert "V_2Se" in view.numbers.text()
    assert DEFECTS[2] not in view.numbers.text()  # below the threshold
    assert density(tools.found, "all defects").expected_count == pytest.approx(0.95 + 0.6 + 0.2)


def test_the_slider_makes_the_numbers_stale_until_they_are_counted_again(counted, qtbot):
    workbench, tools, view, count = counted
    workbench.shell.panels["detect"].slider.setValue(100)
    qtbot.waitUntil(lambda: view.remark.text() == STALE)
    assert density(count(), "all defects").count == 3
    assert view.remark.text() != STALE


def test_numbers_are_stale_no_more_once_the_same_points_count_again(counted, qtbot):
    workbench, _, view, _ = counted
    slider, told = workbench.shell.panels["detect"].slider, view.remark.text()
    before = slider.value()
    slider.setValue(100)
    qtbot.waitUntil(lambda: view.remark.text() == STALE)

    slider.setValue(before)

    qtbot.waitUntil(lambda: view.remark.text() == told != STALE)


def test_a_rejected_point_does_not_count(counted, image_layer, qtbot):
    workbench, tools, view, count = counted
    curated = workbench.results.curated
    curated.decide(workbench.results.find(image_layer, "defects"), [0], "rejected")
    assert view.remark.text() == STALE
    assert density(count(), "all defects").count == 1


def test_points_are_counted_in_the_regions_that_were_drawn(counted, image_layer, qtbot):
    workbench, _, view, count = counted
    corners = np.array([[-0.5, -0.5], [-0.5, 47.5], [63.5, 47.5], [63.5, -0.5]])  # the left half, as (y, x) in pixels
    world = np.array([image_layer.data_to_world(c) for c in corners])
    drawn = Shapes([world], shape_type="polygon", name="mine", units=("nm", "nm"))
    workbench.viewer.add_layer(drawn)
    qtbot.waitUntil(lambda: view.by.count() == 2)
    view.by.setCurrentIndex(1)
    half = density(count(), "all defects", "mine 1")
    assert half.area_nm2 == pytest.approx(AREA_NM2 / 2)
    assert half.count == 1  # one of two at x = 30, the other at x = 71.5


def test_numbers_are_seen_after_count_on_a_small_screen(bench, finish, qtbot, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer(show=True))
    workbench.viewer.window.resize(1280, 720)
    workbench.shell.open_section("detect")
    panel = workbench.shell.panels["detect"]
    panel.counting.set_open(True)
    finish(workbench, "detect")

    with qtbot.waitSignal(workbench.statistics.bridge.ended, timeout=20000):
        panel.statistics.count.click()

    numbers = panel.statistics.numbers
    qtbot.waitUntil(lambda: numbers.visibleRegion().boundingRect().height() == numbers.height() > 0)


def test_an_ellipse_keeps_its_area(image_layer):
    box = np.array([[10.0, 20.0], [10.0, 60.0], [40.0, 60.0], [40.0, 20.0]])
    shapes = Shapes([np.array([image_layer.data_to_world(c) for c in box])], shape_type="ellipse", name="e")
    ((name, corners),) = polygons_on(shapes, image_layer)
    y, x = corners.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert name == "e 1"
    assert area == pytest.approx(np.pi * 15 * 20)
    np.testing.assert_allclose(corners.mean(0), (25, 40))


def test_lines_are_no_regions_and_names_are_taken_from_a_feature(image_layer):
    square = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
    shapes = Shapes(
        [square, square[:2]], shape_type=["rectangle", "line"], features={"name": ["edge", "cut"]}, scale=(0.02, 0.02)
    )
    assert [name for name, _ in polygons_on(shapes, image_layer)] == ["edge"]


def test_corners_go_from_world_to_the_pixels_of_a_stack(image_layer):
    stack = type(image_layer)(np.zeros((3, 64, 96), np.float32), scale=(1, 0.02, 0.02), translate=(0, 3.0, -7.5))
    shapes = Shapes([[[3.2, -7.5], [3.2, -7.3], [3.4, -7.3]]], shape_type="polygon")
    np.testing.assert_allclose(on_image(shapes.data[0], shapes, stack), [(10, 0), (10, 10), (20, 10)], atol=1e-4)


def test_shapes_in_other_units_lie_where_they_are_seen(image_layer):
    shapes = Shapes([[[32.0, -73.0], [32.0, -72.0], [33.0, -72.0]]], shape_type="polygon", units=("angstrom",) * 2)
    ((_, corners),) = polygons_on(shapes, image_layer)  # 0.02 nm per pixel from (3.0, −7.5) nm
    np.testing.assert_allclose(corners, [(10, 10), (10, 15), (15, 15)], atol=1e-3)


def test_plots_show_the_numbers(counted):
    _, tools, view, _ = counted
    plots = view.plots
    assert [plots.tabText(k) for k in range(plots.count())] == ["Density", "Pairs", "Map"]
    names = [name.strip() for _, name in plots.density.getAxis("bottom")._tickLevels[0]]
    assert names[:3] == ["V_2Se", "V_Se", "all defects"]
    assert names[3:] == [d.region for d in tools.found.densities if d.region[1:].isdigit() and d.defect == "V_Se"]


def test_the_band_of_randomness_is_filled(counted):
    workbench, tools, view, count = counted
    positions = np.random.default_rng(0).uniform(0, (63, 95), (30, 2))
    columns = {
        "image": np.full(30, "day WSe2 001"), "frame": np.zeros(30, int), "y_px": positions[:, 0],
        "x_px": positions[:, 1], "y_nm": positions[:, 0] * 0.02, "x_nm": positions[:, 1] * 0.02,
        "defect": np.full(30, "V_Se"), "sublattice": np.full(30, "Se"), "confidence": np.ones(30),
    }  # fmt: skip
    source = tools._sources()[0]
    view.set_value(replace(view.value(), largest_distance_nm=1.0, bin_nm=0.25))
    workbench.results.curated.show(source, columns, 0.5, 8.0)
    found = count()
    (band,) = (item for item in view.plots.pairs.getPlotItem().items if isinstance(item, FillBetweenItem))
    bounds = band.path().boundingRect()
    assert bounds.height() == pytest.approx(found.pairs[0].high.max() - found.pairs[0].low.min())


def test_tables_and_plots_are_saved(counted, tmp_path):
    _, _, view, _ = counted
    view.save_requested.emit(str(tmp_path / "counts"))
    names = {path.name for path in (tmp_path / "counts").iterdir()}
    assert {"density.csv", "density.png", "density_map_01.png", "statistics.json"} <= names


def test_run_all_counts_as_the_fold_says(counted, image_layer, finish, fake, qtbot):
    workbench, tools, view, _ = counted
    view.set_value(replace(view.value(), regions=5, level_percent=90.0))
    finish(workbench, "run")
    assert (fake.seen["statistics"], fake.seen["divide"]) == (view.value(), None)
    box = np.array([image_layer.data_to_world(c) for c in ([0, 0], [0, 9], [9, 9], [9, 0])])
    workbench.viewer.add_layer(Shapes([box], shape_type="polygon", name="mine", units=("nm", "nm")))
    qtbot.waitUntil(lambda: view.by.count() == 2)
    view.by.setCurrentIndex(1)
    finish(workbench, "run")
    assert [name for name, _ in fake.seen["divide"]["day WSe2 001"]] == ["mine 1"]


def test_wrong_statistics_block_run_all_and_no_single_step(bench):
    workbench = bench()
    view = workbench.shell.panels["detect"].statistics
    view.form.fields["level_percent"].set_value(20.0)
    workbench.refresh()
    assert "level_percent must lie between 50 and 99.9" in workbench.shell.blocked("run")
    assert workbench.shell.blocked("detect") == ""


def test_a_setting_that_is_wrong_is_told_and_counts_nothing(counted, monkeypatch):
    _, tools, view, _ = counted
    told = []
    monkeypatch.setattr("napari_stem_gan.app.statistics_tools.show_error", told.append)
    monkeypatch.setattr(view, "value", lambda: type(view.form.value())(regions=99))
    view.count.click()
    assert "regions must lie between 1 and 26" in told[0]
    assert not tools.bridge.is_running()


def test_closing_the_panel_leaves_no_listener(counted, image_layer):
    workbench, tools, _, _ = counted
    workbench.close_down()
    workbench.results.curated.events.edited()
    assert not tools.bridge.is_running()


def test_many_names_stand_on_several_lines():
    assert staggered(["a", "b"], most=2) == ["a", "b"]
    assert staggered(list("abcde"), most=2) == ["a", "\nb", "\n\nc", "d", "\ne"]


def test_frames_of_a_stack_count_as_one_image(bench, finish, qtbot):
    data = np.random.default_rng(3).random((3, 64, 96), dtype=np.float32)
    stack = Image(data, name="movie", scale=(2.0, 0.02, 0.02), units=("s", "nm", "nm"))
    workbench = bench(stack)
    finish(workbench, "detect")
    tools, view = workbench.statistics, workbench.shell.panels["detect"].statistics
    with qtbot.waitSignal(tools.bridge.ended, timeout=20000):
        view.count.click()
    together = next(d for d in tools.found.summary if d.defect == "all defects")
    assert (together.image, together.count) == ("all images", 2)
    assert together.area_nm2 == pytest.approx(AREA_NM2)
    assert {d.frame for d in tools.found.densities} == {0, 1, 2}


def test_points_without_a_match_are_counted_on_the_whole_image(bench, image_layer, qtbot):
    workbench = bench()
    columns = {
        "image": ["day WSe2 001"], "frame": [0], "y_px": [5.0], "x_px": [6.0], "y_nm": [0.1], "x_nm": [0.12],
        "defect": ["V_Se"], "sublattice": ["Se"], "confidence": [1.0],
    }  # fmt: skip
    workbench.results.curated.show(read_layer(image_layer), columns, 0.5, 8.0)
    view = workbench.shell.panels["detect"].statistics
    qtbot.waitUntil(view.count.isEnabled)
    with qtbot.waitSignal(workbench.statistics.bridge.ended, timeout=20000):
        view.count.click()
    assert density(workbench.statistics.found, "V_Se").area_nm2 == pytest.approx(64 * 96 * 0.02**2)
