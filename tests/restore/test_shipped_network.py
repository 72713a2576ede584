"""What the shipped network must do; figures are in benchmarks/restoration.py."""

from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.image import STEMImage
from napari_stem_gan.metrics import psnr
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.restore.restorer import Restorer


@pytest.fixture(scope="module")
def restorer():
    return Restorer.load("hr-stem", "cpu")


def crystal(side=96, spacing=13.0, skip=None):
    y, x = np.mgrid[:side, :side].astype(np.float32)
    image = np.zeros((side, side), np.float32)
    for row in np.arange(5.5, side, spacing):
        for col in np.arange(4.3, side, spacing):
            if skip is None or np.hypot(row - skip[0], col - skip[1]) > 2:
                image += np.exp(-((y - row) ** 2 + (x - col) ** 2) / (2 * 2.4**2))
    return image


def test_it_gains_six_decibel_on_a_noisy_crystal(restorer):
    truth = 2 + 20 * crystal()
    raw = np.random.default_rng(0).poisson(truth).astype(np.float32)
    restored = restorer.restore(STEMImage(data=raw, pixel_size_A=0.2), RestoreConfig()).image.data
    assert psnr(truth, restored) > psnr(truth, raw) + 6


def test_pure_noise_comes_out_nearly_flat(restorer):
    raw = np.random.default_rng(0).poisson(20.0, (96, 96)).astype(np.float32)
    result = restorer.restore(STEMImage(data=raw, pixel_size_A=0.2))
    assert result.image.data.std() < 0.15 * raw.std()
    assert len(result.invented_px) == 0


def test_a_vacancy_is_kept(restorer):
    hole = (44.5, 43.3)
    raw = np.random.default_rng(0).poisson(3 + 60 * crystal(skip=hole)).astype(np.float32)
    result = restorer.restore(STEMImage(data=raw, pixel_size_A=0.2))
    data = result.image.data
    around = data[30:60, 30:60]
    assert data[44, 43] < 0.35 * around.max()
    assert len(result.invented_px) == len(result.erased_px) == 0


def test_a_hot_pixel_changes_the_restored_image_only_near_it(restorer):
    raw = np.random.default_rng(0).poisson(3 + 60 * crystal()).astype(np.float32)
    clean, hot = STEMImage(data=raw, pixel_size_A=0.2), raw.copy()
    hot[50, 37] = 1e7
    before, after = restorer.restore(clean), restorer.restore(replace(clean, data=hot))
    y, x = np.mgrid[:96, :96]
    far = np.hypot(y - 50, x - 37) > 13  # the next column
    changed = np.abs(after.image.data - before.image.data)
    assert changed[far].max() < 0.02 * np.ptp(before.image.data)
    assert changed.max() < 0.2 * np.ptp(before.image.data)
    assert len(after.invented_px) == len(after.erased_px) == 0


def test_an_odd_strip_is_restored(restorer):
    raw = np.random.default_rng(0).poisson(5 + 20 * np.tile(crystal(), (1, 2))[:37, :181]).astype(np.float32)
    assert restorer.restore(STEMImage(data=raw), RestoreConfig(tile_px=64)).image.data.shape == (37, 181)
