import numpy as np
import pytest

from napari_stem_gan.detect.frame import CONSTANT_PX
from napari_stem_gan.detect.order import hexagonal_order

SHAPE = (256, 320)
PLACES = np.array([[60.0, 60.0], [128.0, 160.0], [200.0, 280.0]])


def waves(directions_deg, scale=1.0):
    """Plane waves of the length of a hexagonal lattice's first reflections."""
    k = 2 / np.sqrt(3) / CONSTANT_PX * scale
    y, x = np.indices(SHAPE)
    angles = np.deg2rad(directions_deg)
    return sum(np.cos(2 * np.pi * k * (y * np.sin(a) + x * np.cos(a))) for a in angles).astype(np.float32)


@pytest.mark.parametrize(("turn", "scale"), [(0, 1.0), (17, 1.0), (43, 1.08), (5, 0.93)])
def test_a_hexagonal_lattice_has_order_however_it_is_turned_and_scaled(turn, scale):
    noise = np.random.default_rng(0).normal(size=SHAPE)
    assert hexagonal_order(waves([turn, turn + 60, turn + 120], scale) + noise, PLACES).min() > 0.9


@pytest.mark.parametrize("directions", [[], [20], [20, 110]], ids=["noise", "fringes", "square"])
def test_noise_fringes_and_square_lattices_have_none(directions):
    noise = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    image = noise + (waves(directions) if directions else 0)
    assert hexagonal_order(image, PLACES).max() < 0.5


def test_order_is_told_place_by_place():
    image = waves([0, 60, 120]) + np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    image[:, 160:] = np.random.default_rng(3).normal(size=(256, 160))
    order = hexagonal_order(image, np.array([[128.0, 40.0], [128.0, 290.0]]))
    assert order[0] > 0.9
    assert order[1] < 0.5


def test_a_small_image_and_no_places_are_fine():
    assert hexagonal_order(waves([0, 60, 120])[:90, :70], np.array([[45.0, 30.0]]))[0] > 0.9
    assert hexagonal_order(waves([0]), np.zeros((0, 2))).shape == (0,)
