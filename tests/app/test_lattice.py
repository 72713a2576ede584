"""The ghost of the lattice: where it lies, how it is shown, moved by hand and snapped."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager

from napari_stem_gan.app.ghost import CELL, GRAINS, KINDS, LATTICE, MOST_DRAGGED, Ghost, grains_of
from napari_stem_gan.app.layers import read_layer
from napari_stem_gan.app.placement import Placement
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.image import STEMImage

from .conftest import fake_match

SHAPE = (64, 96)


def known_match(**more):
    image = STEMImage(data=np.random.default_rng(0).random(SHAPE, dtype=np.float32), pixel_size_A=0.2)
    return fake_match(image, **more)


def event(kind, position, keys=(), button=1):
    return SimpleNamespace(type=kind, position=position, modifiers=keys, button=button, handled=False)


def drag(layer, image_layer, *pixels, keys=()):
    """Press, move and release on the layer as napari does, through the callbacks that it holds."""
    (callback,) = layer.mouse_drag_callbacks
    one = event("mouse_press", image_layer.data_to_world(pixels[0]), keys)
    steps = callback(layer, one)
    next(steps)
    for pixel in pixels[1:]:
        one.type, one.position = "mouse_move", image_layer.data_to_world(pixel)
        next(steps)
    one.type = "mouse_release"
    next(steps, None)


@pytest.fixture
def matched(bench, finish):
    """A workbench after Match, its Match row, and the layer of the lattice."""
    workbench = bench()
    finish(workbench, "match")
    return workbench, workbench.shell.panels["match"].lattice


def test_the_ghost_lies_on_the_sites_of_the_match(matched, image_layer):
    workbench, row = matched
    layer = workbench.results.find(image_layer, LATTICE)
    sites = known_match().sites(SHAPE)

    np.testing.assert_allclose(layer.data, sites.positions_px)
    np.testing.assert_allclose(layer.data_to_world(layer.data[0]), image_layer.data_to_world(sites.positions_px[0]))
    assert layer.units == image_layer.units
    assert set(layer.features["sublattice"]) == {"W", "Se"}
    assert len({str(symbol) for symbol in layer.symbol}) == len(np.unique(layer.border_color, axis=0)) == 2
    assert row.show_lattice.isChecked()
    assert layer.visible


def test_the_unit_cell_is_two_arrows_from_one_origin(matched, image_layer):
    workbench, _ = matched
    cell = workbench.results.find(image_layer, CELL)

    np.testing.assert_allclose(cell.data[:, 0], [[30.0, 40.0]] * 2)
    np.testing.assert_allclose(cell.data[:, 1], known_match().lattice_vectors_px)


def test_the_ghost_cannot_be_picked_or_edited(matched, image_layer):
    workbench, _ = matched
    ours = [workbench.results.find(image_layer, kind) for kind in (LATTICE, CELL)]

    assert not any(layer.editable for layer in ours)
    assert not any(layer in workbench.viewer.layers.selection for layer in ours)


def test_the_box_hides_and_shows(matched, image_layer):
    workbench, row = matched
    layers = [workbench.results.find(image_layer, kind) for kind in (LATTICE, CELL)]

    row.show_lattice.click()
    assert not any(layer.visible for layer in layers)

    row.show_lattice.click()
    assert all(layer.visible for layer in layers)


def test_other_steps_put_the_lattice_out_of_the_way(matched, image_layer, finish):
    workbench, row = matched

    finish(workbench, "detect")

    assert not workbench.results.find(image_layer, LATTICE).visible
    assert not row.show_lattice.isChecked()


def test_a_refused_image_has_no_lattice(bench, fake, finish, image_layer):
    workbench = bench()
    finish(workbench, "match")
    fake.match = {"accepted": False}

    finish(workbench, "match")

    assert len(workbench.results.find(image_layer, LATTICE).data) == 0
    assert len(workbench.results.find(image_layer, CELL).data) == 0


def test_every_frame_has_its_own_lattice(bench, fake, finish):
    stack = Image(np.random.default_rng(3).random((3, *SHAPE), dtype=np.float32), name="movie")
    workbench = bench(stack)

    finish(workbench, "match")

    layer = workbench.results.find(stack, LATTICE)
    assert sorted(set(layer.data[:, 0])) == [0, 1, 2]
    assert len(layer.data) == 3 * len(known_match().sites(SHAPE))
    np.testing.assert_allclose(workbench.results.find(stack, CELL).data[:, 0, 0], [0, 0, 1, 1, 2, 2])


def test_another_grain_is_drawn_in_a_second_style(bench, fake, finish, image_layer):
    other = known_match(rotation_deg=30.0, lattice_vectors_px=np.array([[8.0, 13.9], [16.0, 0.0]]))
    match = known_match(other_grains=(other,))
    fake.match = {"other_grains": (other,)}
    workbench = bench()

    finish(workbench, "match")

    first, second = (workbench.results.find(image_layer, kind) for kind in (LATTICE, GRAINS))
    assert len(first.data) + len(second.data) == len(match.sites(SHAPE))
    assert len(second.data) > 0
    assert {str(symbol) for symbol in second.symbol} == {"cross"}
    assert "another grain" in workbench.shell.panels["match"].result.text()


def test_grains_share_the_sites_without_rest():
    other = known_match(lattice_vectors_px=np.array([[8.0, 13.9], [16.0, 0.0]]))
    match = known_match(other_grains=(other,))

    parts = grains_of(match, 0, SHAPE)

    joined = np.concatenate([part.sites.positions_px for part in parts])
    assert {tuple(p) for p in joined} == {tuple(p) for p in match.sites(SHAPE).positions_px}
    np.testing.assert_allclose(parts[0].neighbour_px, known_match().lattice_vectors_px[0, 1] / np.sqrt(3), rtol=0.01)


def test_dragging_moves_the_lattice_by_hand(matched, image_layer):
    workbench, row = matched
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)

    drag(layer, image_layer, (20.0, 20.0), (22.0, 25.0), (21.0, 23.0))

    placed = workbench.lattice.adjust.placement
    step = (placed.origin_px - [30.0, 40.0] - [1.0, 3.0]) @ np.linalg.inv(placed.vectors_px)
    np.testing.assert_allclose(step, np.rint(step), atol=1e-9)
    np.testing.assert_allclose(placed.vectors_px, known_match().lattice_vectors_px)
    cell = workbench.results.find(image_layer, CELL)
    np.testing.assert_allclose(cell.data[0, 0], placed.centred(SHAPE).origin_px)


def test_shift_turns_and_control_stretches_about_the_middle_of_the_image(matched, image_layer):
    workbench, row = matched
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)

    drag(layer, image_layer, (32.0, 68.0), (52.0, 48.0), keys=("Shift",))
    drag(layer, image_layer, (32.0, 68.0), (32.0, 70.0), keys=("Control",))

    placed = workbench.lattice.adjust.placement
    turned = 1.1 * known_match().lattice_vectors_px @ np.array([[0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(placed.vectors_px, turned, atol=1e-9)


def test_the_mouse_and_the_selection_are_given_back(matched, image_layer):
    workbench, row = matched
    viewer = workbench.viewer
    viewer.layers.selection.active = image_layer
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)
    assert viewer.layers.selection.active is layer
    assert not layer.mouse_pan
    assert not row.snap.isHidden()

    row.cancel.click()

    assert viewer.layers.selection.active is image_layer
    assert layer.mouse_pan
    assert layer.mouse_drag_callbacks == []
    assert row.snap.isHidden()


def test_cancel_and_escape_put_the_match_back(matched, image_layer):
    workbench, row = matched
    before = workbench.results.find(image_layer, LATTICE).data.copy()
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)
    drag(layer, image_layer, (20.0, 20.0), (25.0, 20.0))

    keys = {str(key): call for key, call in layer.keymap.items()}
    keys["Escape"](layer)

    assert not workbench.lattice.adjust.is_on()
    np.testing.assert_allclose(layer.data, before)
    assert "Escape" not in {str(key) for key in layer.keymap}


def test_snap_takes_the_place_of_the_match(matched, image_layer, fake, finish, qtbot):
    workbench, row = matched
    row.adjust.click()
    drag(workbench.results.find(image_layer, LATTICE), image_layer, (20.0, 20.0), (21.0, 23.0))
    placed = workbench.lattice.adjust.placement.centred(SHAPE)

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        row.snap.click()
    finish(workbench, "detect")

    np.testing.assert_allclose(fake.seen["start"].origin_px, placed.origin_px)
    assert fake.seen["image"].shape == SHAPE
    assert fake.calls == ["match", "snap", "detect"]
    (kept,) = workbench._session.known(workbench._request().configs["match"], workbench.sources()[0])[0]
    np.testing.assert_allclose(kept.origin_px, placed.origin_px)
    assert not workbench.lattice.adjust.is_on()


def test_run_all_keeps_a_lattice_that_was_snapped_by_hand(matched, fake, finish, qtbot):
    workbench, row = matched
    row.adjust.click()
    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        row.snap.click()

    finish(workbench, "run")

    (used,) = fake.seen["matches"]
    assert used.reason == "snapped"


def test_a_refused_snap_says_why_and_lets_the_user_go_on(matched, image_layer, fake, qtbot):
    workbench, row = matched
    row.adjust.click()
    fake.snapped = {"accepted": False, "reason": "no lattice was found near the one placed by hand"}

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        row.snap.click()

    assert "Snap: no lattice was found near" in notification_manager.records[-1].message
    assert workbench.lattice.adjust.is_on()
    (kept,) = workbench._session.known(workbench._request().configs["match"], workbench.sources()[0])[0]
    assert kept.reason == ""


def test_a_refused_match_starts_with_the_nominal_lattice(bench, fake, finish, image_layer):
    fake.match = {"accepted": False}
    workbench = bench()
    finish(workbench, "match")

    workbench.shell.panels["match"].lattice.adjust.click()

    placed = workbench.lattice.adjust.placement
    np.testing.assert_allclose(placed.vectors_px, get_material("WSe2").cell / 0.2)
    np.testing.assert_allclose(placed.origin_px, np.array(SHAPE) / 2)
    assert len(workbench.results.find(image_layer, LATTICE).data) > 40


def test_the_lattice_of_the_frame_that_is_shown_is_adjusted(bench, fake, finish, qtbot):
    stack = Image(np.random.default_rng(3).random((3, *SHAPE), dtype=np.float32), name="movie")
    workbench = bench(stack)
    finish(workbench, "match")
    workbench.viewer.dims.set_point(0, 2)
    row = workbench.shell.panels["match"].lattice

    row.adjust.click()
    layer = workbench.results.find(stack, LATTICE)
    assert set(layer.data[:, 0]) == {2}
    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        row.snap.click()

    assert fake.seen["image"].frame == 2
    assert set(layer.data[:, 0]) == {0, 1, 2}


def test_a_lattice_layer_that_is_deleted_ends_the_mode(matched, image_layer):
    workbench, row = matched
    row.adjust.click()

    workbench.viewer.layers.remove(workbench.results.find(image_layer, LATTICE))

    assert not workbench.lattice.adjust.is_on()


def test_an_image_that_is_deleted_ends_the_mode_and_is_not_drawn_again(matched, image_layer, qtbot):
    workbench, row = matched
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)

    workbench.viewer.layers.remove(image_layer)
    workbench.viewer.layers.remove(layer)
    workbench.refresh()

    assert not workbench.lattice.adjust.is_on()
    assert not row.adjust.isEnabled()
    row.show_lattice.toggled.emit(True)
    assert layer not in workbench.viewer.layers


def test_the_lattice_of_another_panel_s_match_can_be_adjusted(matched, bench):
    from napari_stem_gan.app.widgets import MatchWidget

    workbench, _ = matched
    single = bench(viewer=workbench.viewer, widget=MatchWidget)

    assert single.shell.panels["match"].lattice.adjust.isEnabled()


def test_a_new_job_ends_the_mode(matched, finish):
    workbench, row = matched
    row.adjust.click()

    finish(workbench, "restore")

    assert not workbench.lattice.adjust.is_on()


def test_closing_the_panel_gives_the_mouse_back(matched, image_layer):
    workbench, row = matched
    row.adjust.click()
    layer = workbench.results.find(image_layer, LATTICE)

    workbench.close_down()

    assert layer.mouse_pan
    assert layer.mouse_drag_callbacks == []


def test_few_sites_follow_the_mouse_however_many_there_are(make_napari_viewer):
    viewer = make_napari_viewer()
    layer = viewer.add_image(np.random.default_rng(0).random((1024, 1024), dtype=np.float32), name="large")
    source, wse2 = read_layer(layer), get_material("WSe2")
    ghost, lies = Ghost(ResultLayers(viewer)), Placement(wse2.cell / 0.2, np.array([512.0, 512.0]))
    ghost.draw_placement(source, 0, wse2, lies)
    ghost.hold(source, 0, wse2, lies, np.array([100.0, 100.0]))

    ghost.move(source, 0, lies.moved(np.array([5.0, -3.0])))

    held = ghost._results.find(layer, LATTICE)
    assert len(held.data) == MOST_DRAGGED
    assert np.hypot(*(held.data - [100.0, 100.0]).T).max() < 360
    sites = lies.moved(np.array([5.0, -3.0])).positions(lies.fractions(lies.sites(wse2, source.shape).positions_px))
    distance = np.abs(held.data[:, None] - sites[None]).sum(-1).min(1)
    assert distance.max() < 1e-9


def test_the_lattice_layers_are_never_work_for_a_step(matched, image_layer):
    workbench, _ = matched

    assert [source.layer for source in workbench.sources()[0]] == [image_layer]
    assert set(KINDS) >= {LATTICE, CELL}


def test_matches_hold_after_calibrating(matched, fake, finish, image_layer):
    workbench, _ = matched

    workbench.shell.panels["match"].calibrate.click()
    finish(workbench, "detect")

    assert fake.calls == ["match", "detect"]
    np.testing.assert_allclose(workbench.results.find(image_layer, LATTICE).scale, 0.021)


def test_a_snapped_match_says_its_numbers(matched, fake, qtbot):
    workbench, row = matched
    fake.snapped = {"errors": {"pixel_size_A": 0.0004}, "shear": 0.014, "stretch": 0.004}
    row.adjust.click()

    with qtbot.waitSignal(workbench.bridge.ended, timeout=20000):
        row.snap.click()

    assert "0.02000 nm ± 0.2 %" in workbench.shell.panels["match"].result.text()


def test_a_hidden_lattice_takes_a_new_match(bench, fake, finish, image_layer, make_napari_viewer):
    workbench = bench(viewer=make_napari_viewer())
    finish(workbench, "match")
    finish(workbench, "detect")
    fake.match = {"lattice_vectors_px": np.array([[0.0, 24.0], [20.8, 12.0]])}

    finish(workbench, "match")

    layer = workbench.results.find(image_layer, LATTICE)
    assert len(layer.data) == len(known_match(**fake.match).sites(SHAPE))
    assert layer.visible
