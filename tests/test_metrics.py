"""Known answers of the image measures."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from napari_stem_gan import metrics


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape or (256, 256))


def lattice(period_px: float = 8.0) -> np.ndarray:
    y, x = np.mgrid[:256, :256]
    return np.cos(2 * np.pi * x / period_px) + np.cos(2 * np.pi * y / period_px)


def test_psnr_of_a_known_error() -> None:
    truth = np.zeros((10, 10))
    truth[0, 0] = 1
    assert metrics.psnr(truth, truth + 0.1) == pytest.approx(20)
    assert metrics.psnr(truth, truth) == np.inf
    assert metrics.psnr(truth, truth + 0.1, peak=10) == pytest.approx(40)


def test_ssim_is_one_for_equal_images_and_agrees_with_scikit_image() -> None:
    a, b = lattice(), lattice() + 0.3 * noise(0)
    assert metrics.ssim(a, a) == pytest.approx(1)
    assert metrics.ssim(a, b) == pytest.approx(structural_similarity(a, b, data_range=np.ptp(a)), abs=0.005)


def test_kl_ignores_gain_and_offset_and_sees_shape() -> None:
    assert metrics.kl_divergence(noise(0), 5 * noise(0) + 3) == pytest.approx(0, abs=1e-9)
    assert metrics.kl_divergence(noise(0), noise(1)) < 0.01
    assert metrics.kl_divergence(noise(0), np.exp(noise(1))) > 0.2


def test_psd_of_white_noise_is_one() -> None:
    assert metrics.psd(noise(0)).mean() == pytest.approx(1, rel=0.02)


def test_radial_spectrum_peaks_at_the_lattice_frequency() -> None:
    spectrum = metrics.radial_spectrum(lattice(8.0), bins=64)
    assert spectrum.shape == (64,)
    assert np.argmax(spectrum) in (15, 16)  # 1/8 of 0.5 · 64 bins


@pytest.mark.parametrize("shape", [(64, 64), (37, 1021)])
def test_radial_spectrum_is_finite_at_odd_sizes(shape: tuple[int, int]) -> None:
    assert np.isfinite(metrics.radial_spectrum(noise(0, *shape), bins=128)).all()


def test_radial_spectrum_distance_grows_with_blur() -> None:
    smooth = (noise(1) + np.roll(noise(1), 1, 0)) / 2
    same = metrics.radial_spectrum_distance(noise(0), noise(1))
    assert metrics.radial_spectrum_distance(noise(0), 7 * noise(0) + 2) == pytest.approx(0, abs=1e-6)
    assert metrics.radial_spectrum_distance(noise(0), smooth) > 2 * same


def test_band_powers_sum_to_one_and_find_the_lattice() -> None:
    parts = metrics.band_powers(lattice() + 0.1 * noise(0))
    assert sum(parts.values()) == pytest.approx(1)
    assert parts["bragg"] > 0.9
    assert metrics.band_powers(noise(0))["bragg"] < 0.1


def test_feature_distance_orders_images_as_the_eye_does() -> None:
    real = [lattice() + 0.5 * noise(i) for i in range(2)]
    alike = [lattice() + 0.5 * noise(i) for i in (5, 6)]
    cleaner = [lattice() + 0.3 * noise(i) for i in (5, 6)]
    far = [noise(i) for i in (5, 6)]
    distances = [metrics.feature_distance(images, real) for images in (real, alike, cleaner, far)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances == sorted(distances)


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(ValueError, match="share one shape"):
        metrics.psnr(noise(0), noise(0, 10, 10))
    with pytest.raises(ValueError, match="at least 64 px"):
        metrics.feature_distance([noise(0, 10, 10)], [noise(0)])
