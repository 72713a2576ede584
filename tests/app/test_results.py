"""Results as layers: where they lie, what happens at the next run, what the slider and the user's edits do."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from .conftest import CONFIDENCE, TRUE_PX

KINDS = ("defects", "probability", "restored", "changed columns")


def test_results_lie_exactly_on_the_image(bench, image_layer, finish, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())

    finish(workbench, "detect")
    finish(workbench, "restore")

    for kind in KINDS:
        layer = workbench.results.find(image_layer, kind)
        np.testing.assert_array_equal(layer.scale, image_layer.scale)
        np.testing.assert_array_equal(layer.translate, image_layer.translate)
        assert layer.units == image_layer.units
        assert tuple(layer.axis_labels) == ("slow", "fast")
    points = workbench.results.find(image_layer, "defects")
    world = points.data_to_world(points.data[0])
    np.testing.assert_allclose(world, image_layer.data_to_world(TRUE_PX[0]))


def test_points_have_features_symbols_and_a_size_from_the_lattice(bench, image_layer, finish):
    workbench = bench()

    finish(workbench, "detect")

    points = workbench.results.find(image_layer, "defects")
    assert list(points.features["defect"]) == ["V_Se", "V_2Se"]
    assert list(points.features["sublattice"]) == ["Se", "Se"]
    np.testing.assert_allclose(points.features["confidence"], CONFIDENCE[:2])
    assert len({str(symbol) for symbol in points.symbol}) == 2
    np.testing.assert_allclose(points.size, 0.55 * np.hypot(13.9, 8.0), rtol=0.01)
    assert tuple(points.canvas_size_limits) == (9, 60)


def test_the_slider_filters_and_restores_without_inference(bench, image_layer, fake, finish):
    workbench = bench()
    finish(workbench, "detect")
    points = workbench.results.find(image_layer, "defects")
    detect = workbench.shell.panels["detect"]

    counts = []
    for place in (900, 100, 500):
        detect.slider.setValue(place)
        counts.append(len(points.data))

    assert counts == [1, 3, 2]
    assert fake.calls.count("detect") == 1


def test_the_slider_works_on_a_hidden_layer(bench, image_layer, finish, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())
    finish(workbench, "detect")
    points = workbench.results.find(image_layer, "defects")
    points.visible = False

    counts = []
    for place in (100, 900):
        workbench.shell.panels["detect"].slider.setValue(place)
        counts.append(len(points.data))

    assert counts == [3, 1]
    assert not points.visible


def test_points_deleted_moved_and_added_by_hand_survive_the_slider(bench, image_layer, finish):
    workbench = bench()
    finish(workbench, "detect")
    points = workbench.results.find(image_layer, "defects")
    points.selected_data = {0}
    points.remove_selected()
    points.data = points.data + 1.0  # the user drags the remaining point
    points.add([5.0, 6.0])

    workbench.results.filter(0.1)

    found = {tuple(np.round(row, 2)) for row in points.data}
    assert found == {(41.25, 72.5), (5.0, 6.0), (55.0, 10.0)}
    assert len(points.features) == 3


def test_points_stay_above_what_is_restored_later(bench, image_layer, finish):
    workbench = bench()
    finish(workbench, "detect")
    finish(workbench, "restore")
    layers = workbench.results.viewer.layers
    order = [layers.index(workbench.results.find(image_layer, kind)) for kind in ("restored", "defects")]
    assert layers.index(image_layer) < order[0] < order[1]


def test_the_next_run_fills_the_same_layers(bench, image_layer, finish, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())
    finish(workbench, "run")
    layers = list(workbench.viewer.layers)

    finish(workbench, "run")

    assert list(workbench.viewer.layers) == layers


def test_a_result_layer_that_was_deleted_comes_back(bench, image_layer, finish):
    workbench = bench()
    finish(workbench, "restore")
    workbench.viewer.layers.remove(workbench.results.find(image_layer, "restored"))

    finish(workbench, "restore")

    assert workbench.results.find(image_layer, "restored") in workbench.viewer.layers


def test_layers_of_others_are_not_touched(bench, image_layer, finish):
    workbench = bench()
    before = image_layer.data.copy()
    workbench.viewer.layers.selection = {image_layer}

    finish(workbench, "run")

    np.testing.assert_array_equal(image_layer.data, before)
    assert image_layer.visible
    assert set(workbench.viewer.layers.selection) == {image_layer}


def test_simulated_images_come_with_their_true_points(bench, image_layer, finish):
    workbench = bench()

    finish(workbench, "simulate")

    simulated = workbench.results.find(image_layer, "simulated")
    truth = workbench.results.find(image_layer, "simulated truth")
    assert simulated.data.shape == (2, 48, 48)
    np.testing.assert_allclose(simulated.scale, (1, 0.02, 0.02))
    np.testing.assert_allclose(truth.data[:2, 1:], TRUE_PX[:2])
    np.testing.assert_allclose(simulated.translate[1:], image_layer.translate)


def test_simulated_images_are_out_of_the_way_of_other_steps_and_on_top_of_them_when_drawn_anew(
    bench, image_layer, finish
):
    workbench = bench()
    results = workbench.results
    finish(workbench, "simulate")
    kinds = ("simulated", "simulated truth")

    for step in ("detect", "restore", "match", "run"):
        for kind in kinds:
            results.find(image_layer, kind).visible = True
        finish(workbench, step)
        assert not any(results.find(image_layer, kind).visible for kind in kinds), step

    finish(workbench, "simulate")
    assert list(workbench.viewer.layers)[-2:] == [results.find(image_layer, kind) for kind in kinds]
    assert all(results.find(image_layer, kind).visible for kind in kinds)


def test_every_frame_of_a_stack_is_worked_on(bench, fake, finish):
    data = np.random.default_rng(3).random((3, 40, 44), dtype=np.float32)
    place = {"scale": (2.0, 0.02, 0.02), "translate": (0, 1, 1), "units": ("s", "nm", "nm")}
    stack = Image(data, name="movie", **place)
    workbench = bench(stack)
    assert "3 images, 40×44" in workbench.shell.understood.text()

    finish(workbench, "detect")
    finish(workbench, "restore")

    points = workbench.results.find(stack, "defects")
    assert sorted(set(points.data[:, 0])) == [0, 1, 2]
    np.testing.assert_allclose(points.scale, stack.scale)
    assert workbench.results.find(stack, "restored").data.shape == data.shape
    assert [image.frame for image in fake.seen["images"]] == [0, 1, 2]


def test_two_sources_keep_their_own_points(bench, image_layer, finish):
    data = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    other = Image(data, name="day WSe2 002", scale=(0.021, 0.021), units=("nm", "nm"))
    workbench = bench(image_layer, other)

    finish(workbench, "detect")

    np.testing.assert_allclose(workbench.results.find(other, "defects").scale, 0.021)
    np.testing.assert_allclose(workbench.results.find(image_layer, "defects").scale, 0.02)


def test_no_point_at_all_is_an_empty_layer_not_an_error(bench, image_layer, finish):
    workbench = bench()
    workbench.shell.panels["detect"].set_threshold(0.99)

    finish(workbench, "detect")

    assert len(workbench.results.find(image_layer, "defects").data) == 0
    assert "No point above" in workbench.shell.panels["detect"].result.text()


def test_a_hot_pixel_of_the_raw_layer_does_not_blacken_the_restored_picture(bench, finish):
    data = np.random.default_rng(0).random((64, 96), dtype=np.float32)
    data[10, 20] = 1e7
    hot = Image(data, name="hot WSe2", contrast_limits=(0.0, 1e7))  # as a reader by the largest pixel sets it
    workbench = bench(hot)

    finish(workbench, "restore")

    low, high = workbench.results.find(hot, "restored").contrast_limits  # one brighter than the raw image
    assert 1.0 <= low < 1.1
    assert 1.9 < high <= 2.0
    assert tuple(hot.contrast_limits) == (0.0, 1e7)


def test_sound_limits_of_the_raw_layer_are_shared_so_that_the_two_can_be_compared(bench, image_layer, finish):
    image_layer.contrast_limits = (0.4, 2.1)
    workbench = bench()

    finish(workbench, "restore")

    assert tuple(workbench.results.find(image_layer, "restored").contrast_limits) == (0.4, 2.1)
