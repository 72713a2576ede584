import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.search import half_plane
from napari_stem_gan.crystal.sharpen import sharpened
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.config import OpticsConfig

SHAPE = (256, 256)
TRUE = lattice_vectors_px(get_material("graphene"), 0.15, 11.0)


@pytest.fixture(scope="module")
def weak():
    """Graphene of which no single column can be seen: about half an electron in a pixel."""
    positions = fill_field(get_material("graphene"), TRUE, SHAPE, origin_px=(3, 4), margin_px=40).positions_px
    clean = render(positions, np.full(len(positions), 1.0), SHAPE, pixel_size_A=0.15, optics=OpticsConfig())
    return np.random.default_rng(3).poisson(0.5 * clean / clean.mean()).astype(np.float32)


def gradient(vectors):
    return np.linalg.inv(TRUE) @ vectors - np.eye(2)


def test_a_weak_lattice_is_found_within_its_errors(weak):
    start = TRUE @ (np.eye(2) + np.array([[0.006, -0.004], [0.003, -0.005]]))
    indices = half_plane(1)
    vectors, covariance = sharpened(weak, start, indices, np.full(len(indices), 20.0))
    pull = gradient(vectors).ravel() / np.sqrt(np.diag(covariance))
    assert np.abs(gradient(vectors)).max() < 0.003
    assert np.abs(pull).max() < 5


def test_reflections_that_do_not_span_the_plane_are_not_enough(weak):
    indices = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert sharpened(weak, TRUE, indices, np.array([50.0, 1.0])) is None


def test_a_maximum_far_away_is_not_taken(weak):
    indices = half_plane(1)
    assert sharpened(weak, 1.08 * TRUE, indices, np.full(len(indices), 20.0)) is None
