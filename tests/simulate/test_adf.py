from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.simulate.adf import atom_weights_A2, render, render_batch
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.probe import optical_transfer

OPTICS = OpticsConfig(C12=15.0, phi12=0.4, C23=300.0)
SHAPE, SIZE = (40, 45), 0.2


def direct(positions, weights, shape=SHAPE, size=SIZE):
    """The periodic image by its Fourier sum, term by term."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    total = sum(
        w * np.exp(-2j * np.pi * (ky * y + kx * x)) for (y, x), w in zip(positions, weights, strict=True)
    )
    return np.fft.irfft2(total * optical_transfer(OPTICS, shape, size), s=shape) / size**2


def atoms(count=25, shape=SHAPE):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (count, 2)) * shape, rng.uniform(0.01, 0.04, count)


def test_the_image_is_the_fourier_sum_to_1e_4():
    positions, weights = atoms()
    image = render(positions, weights, SHAPE, pixel_size_A=SIZE, optics=OPTICS, periodic=True)
    expected = np.clip(direct(positions, weights), 0, None)
    assert np.abs(image - expected).max() < 1e-4 * expected.max()


def test_the_image_of_two_sets_of_atoms_is_the_sum_of_their_images():
    positions, weights = atoms()
    options = {"pixel_size_A": SIZE, "optics": OPTICS}
    both = render(positions, weights, SHAPE, **options)
    parts = sum(render(positions[cut], weights[cut], SHAPE, **options) for cut in (slice(10), slice(10, None)))
    np.testing.assert_allclose(both, parts, atol=1e-4 * both.max())
    np.testing.assert_allclose(render(positions, 3 * weights, SHAPE, **options), 3 * both, atol=1e-4 * both.max())


def test_the_image_holds_the_cross_section_of_every_atom():
    positions, weights = atoms()
    image = render(positions, weights, SHAPE, pixel_size_A=SIZE, optics=OPTICS, periodic=True)
    assert image.sum() * SIZE**2 == pytest.approx(weights.sum(), rel=1e-3)


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, 0.25), (0.37, -0.81)])
def test_a_column_moves_by_exactly_its_sub_pixel_shift(shift):
    size, shape = 0.08, (120, 120)
    centre = np.array([60.0, 60.0])
    image = render(centre[None] + shift, np.ones(1), shape, pixel_size_A=size, optics=OpticsConfig())
    y, x = np.mgrid[: shape[0], : shape[1]]
    near = np.hypot(y - centre[0] - shift[0], x - centre[1] - shift[1]) < 20
    mass = np.array([(image * near * axis).sum() for axis in (y, x)]) / (image * near).sum()
    np.testing.assert_allclose(mass - centre, shift, atol=0.02)


@pytest.mark.parametrize(("size", "parts"), [(0.45, 9), (0.6, 9), (1.1, 15)])
def test_pixels_coarser_than_the_band_limit_are_the_mean_over_their_square(size, parts):
    positions = np.array([[10.2, 9.7], [5.0, 14.4], [15.5, 20.25]])
    coarse = render(positions, np.ones(3), (20, 24), pixel_size_A=size, optics=OPTICS)
    fine = render((positions + 0.5) * parts - 0.5, np.ones(3), (20 * parts, 24 * parts), pixel_size_A=size / parts,
                  optics=OPTICS)  # fmt: skip
    mean = fine.reshape(20, parts, 24, parts).mean((1, 3))
    np.testing.assert_allclose(coarse, mean, atol=4e-3 * mean.max())


def test_atoms_beyond_the_rim_shine_in_and_do_not_wrap_round():
    outside = np.array([[-2.0, 20.0]])
    image = render(outside, np.ones(1), SHAPE, pixel_size_A=SIZE, optics=replace(OPTICS, C23=0.0))
    assert image[0, 20] > 0.1 * image.max() > 0
    assert image[-1, 20] < 1e-3 * image.max()


def test_an_empty_field_is_black():
    image = render(np.zeros((0, 2)), np.zeros(0), SHAPE, pixel_size_A=SIZE, optics=OPTICS)
    assert image.shape == SHAPE
    assert not image.any()


def test_atoms_that_share_a_column_are_brighter_by_the_stack_factor():
    weights = atom_weights_A2(np.array(["Se", "Se", "W"]), np.array([2, 1, 1]), OpticsConfig(), stack_factor=1.17)
    single = partial_cross_section_A2("Se", 80, 63, 200)
    np.testing.assert_allclose(weights[:2], [1.17 * single, single])
    assert single / (2 * weights[0]) == pytest.approx(0.427, abs=0.001)  # a vacancy's column over a full one


def test_a_batch_holds_the_images_of_its_fields():
    fields = [atoms(25), atoms(10), (np.zeros((0, 2)), np.zeros(0))]
    probes = [OPTICS, replace(OPTICS, C12=0.0), replace(OPTICS, convergence_semi_angle_mrad=30.0)]
    sizes = [0.2, 0.2, 0.25]
    together = render_batch(fields, SHAPE, pixel_size_A=sizes, optics=probes)
    assert together.shape == (3, *SHAPE)
    for image, field, probe, size in zip(together, fields, probes, sizes, strict=True):
        alone = render(*field, SHAPE, pixel_size_A=size, optics=probe)
        np.testing.assert_allclose(image.numpy(), alone, atol=1e-5 * float(together.max()))


def test_a_batch_needs_one_probe_per_field():
    with pytest.raises(ValueError, match="one per field, got 2 and 1 for 1 fields"):
        render_batch([atoms()], SHAPE, pixel_size_A=[0.2, 0.2], optics=OPTICS)


@pytest.mark.parametrize("size", [0.1, 0.16, 0.3])
def test_an_atom_on_any_sub_pixel_position_is_the_shifted_probe_to_a_thousandth(size):
    place, shape = np.array([[20.31, 17.87]]), (48, 48)
    image = render(place, np.ones(1), shape, pixel_size_A=size, optics=OPTICS, periodic=True)
    origin = render(np.floor(place), np.ones(1), shape, pixel_size_A=size, optics=OPTICS, periodic=True)
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    shifted = np.fft.irfft2(np.fft.rfft2(origin) * np.exp(-2j * np.pi * (ky * 0.31 + kx * 0.87)), s=shape)
    np.testing.assert_allclose(image, shifted, atol=1e-3 * image.max())
