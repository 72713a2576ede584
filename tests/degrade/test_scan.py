import numpy as np
import pytest
import torch

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.degrade.scan import (
    apply_scan,
    as_batch,
    displacement,
    distort,
    fast_scan_kernel,
    move_systematically,
    row_jitter,
    wander,
)


def spot(shape=(64, 80), centre=(30.0, 41.0), sigma=2.5):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * sigma**2)).astype(np.float32)


def centroid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * y).sum(), (image * x).sum()]) / image.sum()


def test_a_scan_without_distortion_changes_nothing():
    image = spot()
    np.testing.assert_array_equal(apply_scan(image, ScanConfig(), np.random.default_rng(0)), image)


@pytest.mark.parametrize("lorentzian", [0.0, 1.0])
def test_smear_keeps_intensity_and_centroid(lorentzian):
    config = ScanConfig(smear_px=0.8, smear_lorentzian=lorentzian, ringing=0.2)
    smeared = apply_scan(spot((64, 160), (30, 80)), config, np.random.default_rng(0))
    assert smeared.sum() == pytest.approx(spot((64, 160), (30, 80)).sum(), rel=1e-2)
    np.testing.assert_allclose(centroid(smeared), [30, 80], atol=0.1)


def test_smear_acts_along_the_fast_axis_only():
    smeared = apply_scan(spot(), ScanConfig(smear_px=2.0), np.random.default_rng(0))
    profile_y, profile_x = smeared.sum(axis=1), smeared.sum(axis=0)
    np.testing.assert_allclose(profile_y / profile_y.max(), spot().sum(axis=1) / spot().sum(axis=1).max(), atol=1e-3)
    assert profile_x.max() < 0.95 * spot().sum(axis=0).max()


def test_kernels_sum_to_one():
    length = torch.tensor([0.1, 1.0, 3.0]).view(-1, 1, 1, 1)
    kernel = fast_scan_kernel(length, 0.5 * torch.ones_like(length), 0.3 * torch.ones_like(length))
    torch.testing.assert_close(kernel.sum(dim=1), torch.ones(3))


def test_row_jitter_has_the_asked_spread_and_correlation_and_mean_zero():
    sigma, phi = torch.full((200, 1, 1, 1), 0.5), torch.full((200, 1, 1, 1), 0.6)
    series = row_jitter(200, sigma, phi, torch.Generator().manual_seed(0))[:, 0, :, 0]
    assert float(series.mean(dim=1).abs().max()) < 1e-5
    assert float(series.std()) == pytest.approx(0.5 / (1 - 0.6**2) ** 0.5, rel=0.05)
    lagged = (series[:, 1:] * series[:, :-1]).mean() / (series**2).mean()
    assert float(lagged) == pytest.approx(0.6, abs=0.05)


def test_each_axis_has_its_own_jitter():
    config = ScanConfig(jitter_x_px=1.0, jitter_y_px=1.0)
    field = displacement((500, 4), config, torch.Generator().manual_seed(1))
    assert field.shape == (2, 500, 4)
    assert abs(np.corrcoef(field[0, :, 0], field[1, :, 0])[0, 1]) < 0.15


def test_drift_moves_points_where_the_spot_goes():
    centre = np.array([[45.0, 41.0]])
    config, image = ScanConfig(drift_shear=0.2, drift_scale=0.1), spot(centre=tuple(centre[0]))
    moved = apply_scan(image, config, np.random.default_rng(0))
    np.testing.assert_allclose(move_systematically(centre, config, image.shape)[0], centroid(moved), atol=0.1)
    assert np.hypot(*(centroid(moved) - centre[0])) > 1.0


def test_a_batch_takes_one_config_per_image():
    images = torch.from_numpy(np.stack([spot(), spot()]))[:, None]
    result = distort(images, [ScanConfig(), ScanConfig(jitter_x_px=2.0)], torch.Generator().manual_seed(0))
    torch.testing.assert_close(result[0], images[0], atol=1e-5, rtol=0)
    assert float((result[1] - images[1]).abs().max()) > 0.05


def test_the_number_of_configs_must_fit():
    with pytest.raises(ValueError, match="one per image"):
        as_batch(torch.zeros(3, 1, 8, 8), [ScanConfig()])


def test_the_same_seed_gives_the_same_image():
    config = ScanConfig(jitter_x_px=1.0, jitter_correlation=0.5)
    first, second = (apply_scan(spot(), config, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("shift", [0.02, 0.1, 0.5, 1.3])
def test_a_shift_of_any_size_moves_the_image_by_just_that(shift):
    y, x = np.mgrid[:40, :60].astype(np.float32)
    field = torch.stack([torch.full((40, 60), -shift), torch.full((40, 60), shift)])
    wave = torch.from_numpy(np.sin(0.6 * x) + np.cos(0.5 * y))
    moved = distort(wave, ScanConfig(), field=field).numpy()
    expected = np.sin(0.6 * (x + shift)) + np.cos(0.5 * (y - shift))
    np.testing.assert_allclose(moved[5:-5, 5:-5], expected[5:-5, 5:-5], atol=2e-3)


def test_the_lag_after_the_fly_back_decays_along_the_row_and_shifts_nothing_on_average():
    field = displacement((4, 200), ScanConfig(flyback_px=3.0, flyback_length_px=10.0)).numpy()
    assert abs(field.mean()) < 1e-5
    assert not field[0].any()
    fall = field[1, 0] - field[1, 0, -1]
    np.testing.assert_allclose(fall[:60], -3.0 * np.exp(-np.arange(60) / 10), atol=1e-5)


def test_points_follow_the_fly_back_to_where_the_spot_is_seen():
    config, centre = ScanConfig(flyback_px=3.0, flyback_length_px=10.0, drift_scale=0.05), np.array([[30.0, 12.0]])
    moved = apply_scan(spot(centre=tuple(centre[0])), config, np.random.default_rng(0))
    seen = move_systematically(centre, config, moved.shape)[0]
    assert 0.3 < seen[1] - 12 < 3
    np.testing.assert_allclose(seen, centroid(moved), atol=0.15)


def test_rows_of_a_batch_jitter_as_they_do_alone():
    configs = [ScanConfig(jitter_x_px=1.0, jitter_correlation=0.5, smear_px=1.0), ScanConfig(flyback_px=2.0)]
    image = torch.from_numpy(spot())
    together = distort(torch.stack([image, image])[:, None], configs, Noise([5, 6]))
    for number, config in enumerate(configs):
        alone = distort(image, config, Noise([5 + number]))
        torch.testing.assert_close(together[number, 0], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.95])
def test_a_rows_shift_is_its_step_and_what_is_left_of_the_row_before(phi):
    sigma, noise = torch.full((1, 1, 1, 1), 2.0), Noise([3])
    series = row_jitter(50, sigma, torch.full((1, 1, 1, 1), phi), noise)[0, 0, :, 0].double().numpy()
    steps = noise.normal("jitter", 50)[0].double().numpy()
    expected = [steps[0] / np.sqrt(1 - phi**2)]
    for step in steps[1:]:
        expected.append(phi * expected[-1] + step)
    np.testing.assert_allclose(series, 2 * (np.array(expected) - np.mean(expected)), atol=1e-4)


def test_wander_has_the_asked_spread_and_correlation_length():
    configs = [ScanConfig(wander_px=0.5, wander_rows=20.0)] * 200
    series = wander(1024, configs, Noise(list(range(200)))).numpy()
    assert series.std() == pytest.approx(0.5, rel=0.03)
    assert abs(series.mean(axis=-1)).max() < 1e-5
    together = (series[..., 20:] * series[..., :-20]).mean() / series.var()
    assert together == pytest.approx(np.exp(-0.5), abs=0.03)


def test_wander_changes_neither_jitter_nor_images_without_it():
    calm, restless = (displacement((64, 8), ScanConfig(jitter_x_px=0.4, wander_px=w), Noise([5])) for w in (0.0, 1.0))
    slow = wander(64, [ScanConfig(wander_px=1.0)], Noise([5]))[0]
    torch.testing.assert_close(restless - calm, slow[:, :, None].expand(-1, -1, 8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("values", [{"wander_px": -0.1}, {"wander_rows": 0.0}])
def test_wander_must_have_a_size_and_a_length(values):
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be"):
        ScanConfig(**values)
