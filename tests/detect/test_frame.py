import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.frame import CHANNELS, blur, make_frame, network_input, paint, resample


@pytest.mark.parametrize("constant_px", [9.7, 16.0, 31.3])
def test_positions_go_to_the_network_and_back(constant_px):
    frame = make_frame((200, 333), constant_px)
    positions = np.random.default_rng(0).uniform(0, 200, (50, 2))
    np.testing.assert_allclose(frame.to_image(frame.to_network(positions)), positions, atol=1e-9)


def test_one_lattice_constant_is_sixteen_pixels():
    frame = make_frame((400, 600), 25.0)
    np.testing.assert_allclose(25.0 * frame.zoom, 16.0, rtol=2e-3)


@pytest.mark.parametrize("constant_px", [9.0, 30.0])
def test_a_spot_lies_where_the_frame_says_after_resampling(constant_px):
    frame = make_frame((160, 200), constant_px)
    centre = np.array([61.3, 90.6])
    spot = paint((160, 200), centre[None], 4.0)
    moved = resample(spot, frame.network_shape)
    grid = np.mgrid[: moved.shape[0], : moved.shape[1]]
    mass = (grid * moved).sum((1, 2)) / moved.sum()
    np.testing.assert_allclose(mass, frame.to_network(centre[None])[0], atol=0.05)


def test_paint_is_a_unit_gaussian_at_sub_pixel_places_and_takes_the_larger_where_two_meet():
    image = paint((40, 40), np.array([[10.3, 20.7], [12.3, 20.7]]), 2.0)
    y, x = np.mgrid[:40, :40]
    one, two = (np.exp(-((y - c) ** 2 + (x - 20.7) ** 2) / 8) for c in (10.3, 12.3))
    near = np.hypot(y - 11.3, x - 20.7) < 4
    np.testing.assert_allclose(image[near], np.maximum(one, two)[near], atol=1e-6)
    assert image[30:].max() == 0


def test_paint_keeps_what_lies_inside_of_a_spot_at_the_rim():
    image = paint((20, 20), np.array([[-1.0, 5.0], [50.0, 50.0]]), 2.0)
    assert image[0, 5] == pytest.approx(np.exp(-1 / 8), rel=1e-5)


def test_a_wide_blur_keeps_constants_and_follows_the_gaussian():
    assert np.ptp(blur(np.full((50, 61), 3.0, np.float32), 16.0)) < 1e-5
    spike = np.zeros((201, 201), np.float32)
    spike[100, 100] = 1.0
    smooth = blur(spike, 16.0)
    assert smooth[100, 100] == pytest.approx(1 / (2 * np.pi * 16**2), rel=0.15)
    assert smooth[100, 132] / smooth[100, 100] == pytest.approx(np.exp(-2), rel=0.3)


def test_the_input_does_not_depend_on_brightness_and_offset(draw_crystal):
    data = draw_crystal().image.data
    frame = make_frame(data.shape, 16.41)
    first, second = network_input(data, frame, None), network_input(300 * data + 50, frame, None)
    np.testing.assert_allclose(first, second, atol=2e-3)
    assert first.shape == (CHANNELS, *frame.network_shape)
    assert not first[2:].any()


def test_slow_clouds_leave_the_image_channel_nearly_alone(draw_crystal):
    data = draw_crystal().image.data
    cloud = np.linspace(0, 3, data.shape[1], dtype=np.float32)[None] * data.std()
    frame = make_frame(data.shape, 16.41)
    clean, dirty = (network_input(d, frame, None)[0, 20:-20, 30:-30] for d in (data, data + cloud))
    assert np.corrcoef(clean.ravel(), dirty.ravel())[0, 1] > 0.99


def test_site_channels_show_anions_and_metals_at_their_places():
    sites = Sites(get_material("WSe2"), np.array([[30.0, 40.0], [80.0, 60.0]]), np.array([0, 1]))
    frame = make_frame((128, 128), 16.0)
    image = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    channels = network_input(image, frame, sites)
    assert channels[3, 30, 40] == pytest.approx(1.0)  # metal
    assert channels[2, 80, 60] == pytest.approx(1.0)  # anion
    assert channels[2, 30, 40] == channels[3, 80, 60] == 0
