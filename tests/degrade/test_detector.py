import numpy as np
import pytest
import torch
from scipy import stats

from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.detector import apply_detector, bad_pixels, count, detect_electrons, row_lines


def detect(value=0.1, shape=(200, 200), pixel_size_A=0.2, seed=0, **values):
    image = np.full(shape, value, np.float32)
    return apply_detector(image, pixel_size_A, DetectorConfig(**values), np.random.default_rng(seed))


def test_counts_are_poisson_around_dose_times_area_times_fraction():
    counts = detect(0.1, dose_e_per_A2=1e4)  # 1e4 · 0.04 · 0.1 = 40 electrons
    assert counts.mean() == pytest.approx(40.0, rel=0.01)
    assert counts.var() == pytest.approx(40.0, rel=0.05)
    np.testing.assert_array_equal(counts, np.round(counts))


@pytest.mark.parametrize("expected", [50.0, 5000.0])
def test_fast_and_exact_counting_have_the_same_moments(expected):
    counts = count(torch.full((300, 300), expected), torch.Generator().manual_seed(0))
    assert float(counts.mean()) == pytest.approx(expected, rel=0.01)
    assert float(counts.var()) == pytest.approx(expected, rel=0.03)


def test_photomultiplier_and_readout_add_their_variance():
    counts = detect(0.1, dose_e_per_A2=1e4, pmt_spread=0.5, read_noise_e=3.0)
    assert counts.var() == pytest.approx(40 * 1.25 + 9, rel=0.05)


def test_gain_and_offset_scale_the_output():
    plain, scaled = detect(dose_e_per_A2=1e4), detect(dose_e_per_A2=1e4, gain=3.0, offset=100.0)
    np.testing.assert_allclose(scaled, 3 * plain + 100, rtol=1e-6)


def test_the_tail_correlates_noise_along_rows_and_keeps_the_mean():
    counts = detect(dose_e_per_A2=1e4, tail_px=1.0, tail_lorentzian=0.0)
    noise = counts - counts.mean()
    along_x = (noise[:, 1:] * noise[:, :-1]).mean() / noise.var()
    along_y = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert along_x > 0.2
    assert abs(along_y) < 0.03
    assert counts.mean() == pytest.approx(40.0, rel=0.01)


def test_row_noise_varies_rows_together():
    counts = detect(dose_e_per_A2=1e6, row_noise=0.05)
    assert counts.mean(axis=1).std() == pytest.approx(0.05 * 4000, rel=0.2)


def test_clipping_and_digits():
    counts = detect(dose_e_per_A2=1e4, saturation_e=45.0, quantisation=4.0)
    assert counts.max() <= 46.0
    np.testing.assert_allclose(counts % 4, 0)


def test_dead_stretches_hold_one_value():
    image = torch.rand(1, 1, 50, 100)
    lines = row_lines(image, torch.ones(1, 1, 1, 1), torch.Generator().manual_seed(0))
    changed = lines[0, 0] != image[0, 0]
    assert float(changed.float().mean()) > 0.1
    for row, mask in zip(lines[0, 0], changed, strict=True):
        assert len(row[mask].unique()) <= 1


def test_bad_pixels_are_black_or_bright():
    image = torch.ones(1, 1, 100, 100)
    result = bad_pixels(image, torch.full((1, 1, 1, 1), 0.1), torch.Generator().manual_seed(0))
    assert float((result == 0).float().mean()) == pytest.approx(0.05, abs=0.015)
    assert float((result == 3).float().mean()) == pytest.approx(0.05, abs=0.015)


def test_a_batch_takes_one_dose_per_image():
    electrons = torch.tensor([10.0, 1000.0]).view(2, 1, 1, 1)
    images = torch.ones(2, 1, 64, 64)
    result = detect_electrons(images, electrons_per_px=electrons, config=[DetectorConfig(), DetectorConfig()])
    assert float(result[0].mean()) == pytest.approx(10, rel=0.05)
    assert float(result[1].mean()) == pytest.approx(1000, rel=0.05)


def test_a_pixel_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="pixel size must be positive"):
        detect(pixel_size_A=0.0)


@pytest.mark.parametrize("expected", [3.0, 9.5, 10.5, 60.0, 1000.0])
def test_counts_have_the_quantiles_of_the_poisson_distribution(expected):
    counts = np.sort(count(torch.full((400, 500), expected), torch.Generator().manual_seed(1)).numpy().ravel())
    for q in (0.001, 0.02, 0.3, 0.5, 0.9, 0.999):
        below = stats.poisson(expected).ppf(q)
        assert abs(counts[int(q * counts.size)] - below) <= max(1, 0.02 * np.sqrt(expected))
    assert stats.skew(counts) == pytest.approx(expected**-0.5, abs=0.03)


def test_row_offsets_lift_rows_by_electrons_whatever_their_signal():
    dark, lit = (detect(value, dose_e_per_A2=1e6, row_offset_e=300.0).mean(axis=1) for value in (1e-4, 0.1))
    assert dark.std() == pytest.approx(300.0, rel=0.15)
    np.testing.assert_allclose(dark - dark.mean(), lit - lit.mean(), atol=30)


def test_electrons_above_the_limit_are_clipped_only_where_there_is_one():
    assert detect(dose_e_per_A2=1e4).max() > 50
    assert detect(dose_e_per_A2=1e4, saturation_e=45.0).max() == 45


def test_counts_are_never_negative():
    """Far below a mean of ten electrons the series would go below zero, and its root would not be a number."""
    counted = count(torch.full((3000, 3000), 10.5), torch.Generator().manual_seed(0))
    assert float(counted.min()) >= 0
