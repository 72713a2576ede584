import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px
from napari_stem_gan.crystal.warp import blurred, mean_gradient, measure_warp, smoothing_for
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.config import OpticsConfig

SHAPE, SIZE = (256, 288), 0.2


def bend(positions):
    """A smooth displacement of up to 2 pixels (a twelfth of the field to a side)."""
    return np.stack([2 * np.sin(2 * np.pi * positions[:, 1] / 400), 1.5 * np.cos(2 * np.pi * positions[:, 0] / 350)], 1)


def image_of(positions, shape=SHAPE):
    return render(positions, np.full(len(positions), 0.02), shape, pixel_size_A=SIZE, optics=OpticsConfig())


@pytest.fixture
def lattice():
    material = get_material("WSe2")
    vectors = lattice_vectors_px(material, SIZE, 9.0)
    return vectors, fill_field(material, vectors, SHAPE, margin_px=60).positions_px


def test_a_perfect_lattice_has_no_differences_of_displacement(lattice):
    vectors, positions = lattice
    warp = measure_warp(image_of(positions), vectors)
    assert np.ptp(warp.displacement_px[:, 2:-2, 2:-2], axis=(1, 2)).max() < 0.1


def test_a_bent_lattice_is_measured_within_a_quarter_pixel(lattice):
    vectors, positions = lattice
    warp = measure_warp(image_of(positions + bend(positions)), vectors)
    inside = positions[((positions > 30) & (positions < np.array(SHAPE) - 30)).all(1)]
    error = warp.at(inside) - bend(inside)
    error = error - error.mean(0)  # a common shift belongs to the origin
    assert np.sqrt((error**2).mean()) < 0.25


def test_crystallinity_is_one_on_the_crystal_and_small_beside_it(lattice):
    vectors, positions = lattice
    image = image_of(positions[positions[:, 1] < 170])
    warp = measure_warp(image + np.random.default_rng(0).normal(0, 1e-3, SHAPE).astype(np.float32), vectors)
    on, beside = warp.crystallinity_at(np.array([[128.0, 70.0], [128.0, 270.0]]))
    assert on > 0.8
    assert beside < 0.2


def test_the_mean_gradient_is_the_strain_of_the_lattice(lattice):
    vectors, positions = lattice
    strain = np.array([[0.004, -0.002], [0.003, -0.005]])
    warp = measure_warp(image_of(positions @ (np.eye(2) + strain)), vectors)
    gradient, covariance = mean_gradient(warp)
    np.testing.assert_allclose(gradient, strain, atol=5e-4)
    assert covariance.shape == (4, 4)
    assert (np.diag(covariance) > 0).all()


def test_a_weak_lattice_gets_a_wide_window():
    assert smoothing_for(1e5, (1024, 1024), 16.0) == pytest.approx(1.6)
    assert smoothing_for(25.0, (1024, 1024), 16.0) > 2.5
    assert smoothing_for(0.0, (1024, 1024), 16.0) == pytest.approx(1024 / 16 / 6)


def test_a_blur_wider_than_the_image_is_its_mean():
    image = np.random.default_rng(0).normal(5.0, 1.0, (40, 56)).astype(np.float32)
    np.testing.assert_allclose(blurred(image, 900.0), image.mean(), atol=1e-3)
    np.testing.assert_allclose(blurred(image, 1e9), image.mean(), atol=1e-3)


def test_a_blur_much_wider_than_one_axis_still_follows_the_other():
    ramp = np.linspace(0, 1, 1024, dtype=np.float32) + np.zeros((32, 1), np.float32)
    wide = blurred(ramp, 100.0)
    np.testing.assert_allclose(wide[:, 300:700], ramp[:, 300:700], atol=0.01)
    assert np.ptp(wide, axis=0).max() < 1e-6
