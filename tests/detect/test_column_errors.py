"""Errors of places are as large as they say, whatever rows do."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.detect.positions import fit_columns
from napari_stem_gan.simulate.pairs import Degradation, degrade

FWHM_PX = 1.15 / 0.2  # of the drawn probe at 0.2 Å a pixel


def pull(ideal, seed, **scan):
    """Fitted minus true place over the stated error, ``(N, 2)``."""
    how = Degradation(scan=ScanConfig(**scan), detector=DetectorConfig(dose_e_per_A2=1e5))
    drawn = degrade(ideal, how, np.random.default_rng(seed))
    sites = true_sites(drawn, margin_px=6)
    fit = fit_columns(drawn.image.data, sites, FWHM_PX)
    inner = ((drawn.columns_px > 18) & (drawn.columns_px < 366)).all(1)
    index = cKDTree(sites.positions_px).query(drawn.columns_px[inner])[1]
    off = fit.positions_px[index] - drawn.columns_px[inner]
    return (off - off.mean(0)) / fit.errors_px[index]


@pytest.mark.parametrize(
    "scan",
    [
        {"jitter_x_px": 0.5},  # errors of a known lattice: 1.3 times too small along x
        {"jitter_x_px": 1.0},  # 1.7 times
        {"jitter_x_px": 0.5, "jitter_correlation": 0.5},  # 1.9 times
        {"jitter_y_px": 0.5},  # 1.6 times along y
    ],
)
def test_rows_that_jitter_leave_errors_as_large_as_they_say(draw_crystal, scan):
    ideal = draw_crystal(jitter_A=0.04, shape=(384, 384), seed=3)
    spread = np.concatenate([pull(ideal, seed, **scan) for seed in range(3)]).std(0)
    assert spread.min() > 0.8
    assert spread.max() < 1.25
