"""A lattice that follows the mouse: moved, turned, stretched by known amounts."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.app.placement import CELLS_ACROSS, Placement, drag_of, nominal_placement
from napari_stem_gan.crystal.materials import get_material

CENTRE = np.array([50.0, 50.0])
SQUARE = Placement(np.array([[0.0, 10.0], [10.0, 0.0]]), CENTRE)


def test_moving_shifts_the_origin_and_nothing_else():
    moved = SQUARE.dragged("move", np.array([3.0, 4.0]), np.array([5.0, 1.0]), CENTRE)

    np.testing.assert_allclose(moved.origin_px, [52.0, 47.0])
    np.testing.assert_array_equal(moved.vectors_px, SQUARE.vectors_px)


def test_a_quarter_turn_takes_x_to_y_about_the_centre():
    turned = SQUARE.moved(np.array([0.0, 10.0])).dragged("turn", CENTRE + [0.0, 20.0], CENTRE + [30.0, 0.0], CENTRE)

    np.testing.assert_allclose(turned.vectors_px, [[10.0, 0.0], [0.0, -10.0]], atol=1e-12)
    np.testing.assert_allclose(turned.origin_px, CENTRE + [10.0, 0.0])


def test_stretching_brings_the_pressed_point_to_the_mouse():
    begun = Placement(SQUARE.vectors_px, CENTRE + [0.0, 20.0])
    stretched = begun.dragged("stretch", CENTRE + [0.0, 20.0], CENTRE + [0.0, 25.0], CENTRE)

    np.testing.assert_allclose(stretched.vectors_px, 1.25 * SQUARE.vectors_px)
    np.testing.assert_allclose(stretched.origin_px, CENTRE + [0.0, 25.0])


@pytest.mark.parametrize("drag", ["turn", "stretch"])
def test_a_press_at_the_centre_changes_nothing(drag):
    assert SQUARE.dragged(drag, CENTRE + 0.5, CENTRE + [0.0, 20.0], CENTRE) is SQUARE


def test_fractions_and_positions_are_inverse():
    points = np.random.default_rng(0).random((20, 2)) * 100
    lattice = Placement(np.array([[1.0, 9.0], [8.0, -2.0]]), np.array([3.0, 7.0]))

    np.testing.assert_allclose(lattice.positions(lattice.fractions(points)), points)


def test_the_nominal_lattice_is_the_crystal_s_at_the_pixel_size():
    wse2 = get_material("WSe2")
    placed = nominal_placement(wse2, 0.2, (100, 200))

    np.testing.assert_allclose(placed.vectors_px, wse2.cell / 0.2)
    np.testing.assert_allclose(placed.origin_px, [50.0, 100.0])


def test_without_a_pixel_size_the_cells_can_be_seen():
    placed = nominal_placement(get_material("WSe2"), None, (240, 480))

    np.testing.assert_allclose(np.hypot(*placed.vectors_px[0]), 240 / CELLS_ACROSS)


@pytest.mark.parametrize(
    ("keys", "drag"), [((), "move"), (("Shift",), "turn"), (("Control",), "stretch"), (("Alt",), "move")]
)
def test_the_keys_say_what_a_drag_does(keys, drag):
    assert drag_of(keys) == drag
