import numpy as np
import pytest
from scipy import ndimage

from napari_stem_gan.detect.known_noise import column_excess, contamination

NO_TAIL = np.ones(128, complex)


@pytest.fixture
def smooth() -> np.ndarray:
    """Contamination of standard deviation 3, 8 px wide."""
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(128, 128)), 8.0, mode="wrap")
    return 3.0 * field / field.std()


def test_smooth_contamination_is_told_from_the_noise(smooth):
    noisy = smooth + np.random.default_rng(1).normal(0, 2, smooth.shape)
    found = contamination(noisy, 4.0, NO_TAIL, 0.2)
    assert np.sqrt(np.mean((found.smooth - smooth) ** 2)) < 0.5


def test_a_drawn_field_has_the_power_of_the_contamination(smooth):
    noisy = smooth + np.random.default_rng(1).normal(0, 2, smooth.shape)
    found = contamination(noisy, 4.0, NO_TAIL, 0.2)
    assert found.drawn(np.random.default_rng(2)).std() == pytest.approx(3.0, rel=0.1)


def test_pure_noise_leaves_no_contamination():
    noisy = 5.0 + np.random.default_rng(3).normal(0, 2, (128, 128))
    found = contamination(noisy, 4.0, NO_TAIL, 0.2)
    assert found.drawn(np.random.default_rng(4)).std() < 0.2
    assert found.smooth.mean() == pytest.approx(noisy.mean())


def test_brightness_of_overlapping_columns_is_told_apart(smooth):
    y, x = np.mgrid[:128, :128]
    places = np.array([[40.3, 50.7], [40.3, 56.2], [90.0, 20.0]])
    weights = np.array([-40.0, 25.0, 60.0])
    rest = smooth + sum(
        w * np.exp(-((y - p[0]) ** 2 + (x - p[1]) ** 2) / (2 * 2.0**2)) for w, p in zip(weights, places, strict=True)
    )
    y, x = np.mgrid[-20:21, -20:21]
    probe = np.exp(-(y**2 + x**2) / (2 * 2.0**2))
    np.testing.assert_allclose(column_excess(rest, places, probe, 5.0), weights, atol=2.0)
