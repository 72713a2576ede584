import numpy as np
import pytest

from napari_stem_gan.restore.support import check_columns, column_sigma_px, noise_level


def columns(shape=(128, 128), spacing=16, sigma=2.25, skip=()):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = np.zeros(shape, np.float32)
    for row in range(8, shape[0], spacing):
        for col in range(8, shape[1], spacing):
            if (row, col) not in skip:
                image += np.exp(-((y - row) ** 2 + (x - col) ** 2) / (2 * sigma**2))
    return image


def test_a_faithful_restoration_has_nothing_to_show():
    truth = 5 + 50 * columns()
    raw = np.random.default_rng(0).poisson(truth).astype(np.float32)
    invented, erased = check_columns(raw, truth, pixel_size_A=0.2)
    assert invented.shape == erased.shape == (0, 2)


def test_an_invented_column_is_found():
    truth = 5 + 50 * columns(skip={(56, 72)})
    raw = np.random.default_rng(0).poisson(truth).astype(np.float32)
    invented, erased = check_columns(raw, 5 + 50 * columns(), pixel_size_A=0.2)
    np.testing.assert_allclose(invented, [[56, 72]], atol=1)
    assert len(erased) == 0


def test_an_erased_column_is_found():
    raw = np.random.default_rng(0).poisson(5 + 50 * columns()).astype(np.float32)
    invented, erased = check_columns(raw, 5 + 50 * columns(skip={(56, 72)}), pixel_size_A=0.2)
    np.testing.assert_allclose(erased, [[56, 72]], atol=2)
    assert len(invented) == 0


def test_a_whole_erased_lattice_is_found():
    raw = np.random.default_rng(0).poisson(5 + 50 * columns()).astype(np.float32)
    _, erased = check_columns(raw, np.full_like(raw, raw.mean()), pixel_size_A=0.2)
    assert len(erased) >= 50


def test_pure_noise_made_flat_is_right():
    raw = np.random.default_rng(0).poisson(np.full((256, 256), 3.0)).astype(np.float32)
    invented, erased = check_columns(raw, np.full_like(raw, 3.0), pixel_size_A=0.2)
    assert len(invented) == len(erased) == 0


def test_a_flashing_pixel_may_be_erased():
    raw = np.random.default_rng(0).poisson(5 + 50 * columns()).astype(np.float32)
    raw[30, 32] = 2000
    assert len(check_columns(raw, 5 + 50 * columns(), pixel_size_A=0.2)[1]) == 0


def test_column_width_is_read_from_the_image():
    assert column_sigma_px(columns(spacing=40, sigma=3.0), None) == pytest.approx(3.0, rel=0.15)
    assert column_sigma_px(columns(), 0.2) == pytest.approx(2.25)


def test_noise_is_measured_under_columns():
    rng = np.random.default_rng(0)
    level = noise_level((100 * columns(sigma=3.0) + rng.normal(0, 4.0, (128, 128))).astype(np.float32), 3.0)
    assert float(np.median(level)) == pytest.approx(4.0, rel=0.15)


def test_blocks_of_a_large_image_give_points_in_its_frame():
    truth = 5 + 50 * columns((1200, 64))
    raw = np.random.default_rng(0).poisson(truth).astype(np.float32)
    restored = truth + 50 * columns((1200, 64), spacing=10_000)
    restored = np.roll(restored, 1100, axis=0) - np.roll(truth, 1100, axis=0) + truth
    invented, _ = check_columns(raw, restored.astype(np.float32), pixel_size_A=0.2)
    assert all(1100 < y < 1120 for y, _ in invented)
