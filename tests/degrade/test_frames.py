import numpy as np
import pytest
import torch

from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.frames import acquire
from napari_stem_gan.degrade.noise import Noise


def image(shape=(64, 64)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return torch.from_numpy(0.05 + 0.04 * np.cos(0.5 * x) * np.cos(0.4 * y))[None, None]


def take(scan=None, electrons=1e4, seed=0, clean=None, **detector):
    scans, detectors = [scan or ScanConfig()], [DetectorConfig(**detector)]
    dose = torch.full((1, 1, 1, 1), electrons)
    clean = image() if clean is None else clean
    return acquire(clean, scans, detectors, electrons_per_px=dose, noise=Noise([seed]))


def test_frames_share_the_dose_and_its_noise():
    flat = torch.full((1, 1, 200, 200), 0.01)
    for frames in (1, 8):
        counts = take(clean=flat, frames=frames)
        assert float(counts.mean()) == pytest.approx(100, rel=0.01)
        assert float(counts.var()) == pytest.approx(100, rel=0.05)


def test_every_frame_brings_its_own_readout_noise():
    flat = torch.full((1, 1, 200, 200), 1e-4)
    single, many = (float(take(clean=flat, frames=n, read_noise_e=10.0).var()) for n in (1, 9))
    assert many - 1 == pytest.approx(9 * (single - 1), rel=0.1)


def test_independent_jitter_of_frames_averages_out():
    scan = ScanConfig(jitter_x_px=1.0)
    errors = [float((take(scan, 1e7, frames=n) / 1e7 - image()).std()) for n in (1, 16)]
    assert errors[1] < 0.6 * errors[0]


def test_drift_between_frames_blurs_but_does_not_shift():
    spot = torch.zeros(1, 1, 64, 64)
    spot[0, 0, 30:34, 30:34] = 1.0
    drifted = take(ScanConfig(frame_drift_px=1.0), 1e6, clean=spot, frames=6)[0, 0].numpy()
    y, x = np.mgrid[:64, :64]
    assert drifted.max() < 0.95e6
    np.testing.assert_allclose([(drifted * a).sum() / drifted.sum() for a in (y, x)], 31.5, atol=0.1)


def test_images_of_a_batch_with_different_frames_are_what_they_are_alone():
    scans = [ScanConfig(jitter_x_px=0.5), ScanConfig(jitter_y_px=0.5, frame_drift_px=0.5)]
    detectors = [DetectorConfig(frames=1, pmt_spread=0.3), DetectorConfig(frames=3, row_noise=0.02)]
    dose = torch.full((2, 1, 1, 1), 500.0)
    clean = image().expand(2, -1, -1, -1)
    together = acquire(clean, scans, detectors, electrons_per_px=dose, noise=Noise([1, 2]))
    for i in range(2):
        alone = acquire(
            clean[i : i + 1], [scans[i]], [detectors[i]], electrons_per_px=dose[:1], noise=Noise([1 + i])
        )
        torch.testing.assert_close(together[i], alone[0], atol=1e-3, rtol=1e-5)
