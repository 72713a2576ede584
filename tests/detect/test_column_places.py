"""What is expected of columns and rows is read from the image itself."""

import dataclasses

import numpy as np
import pytest
import torch

from napari_stem_gan.degrade.config import ContaminationConfig
from napari_stem_gan.degrade.contamination import contamination_field
from napari_stem_gan.detect.column_setting import fit_setting
from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.detect.positions import fit_columns

SIZE_A, FWHM_PX = 0.2, 1.15 / 0.2


def setting_of(drawn):
    data = torch.as_tensor(drawn.image.data)
    sites = true_sites(drawn, margin_px=6)
    return fit_setting(
        (data - data.mean()) / data.std(), torch.as_tensor(sites.positions_px).float(),
        torch.as_tensor(sites.column), FWHM_PX / 2.355, 3.288 / SIZE_A,
    )  # fmt: skip


@pytest.mark.parametrize("jitter_A", [0.04, 0.1])
def test_how_far_columns_stray_is_measured(draw_crystal, jitter_A):
    drawn = draw_crystal(jitter_A=jitter_A, dose_e_per_A2=1e5, shape=(320, 320))
    assert setting_of(drawn).stray_px * SIZE_A == pytest.approx(jitter_A, rel=0.2)


def test_offsets_of_rows_are_told_from_contamination(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=1e5, contamination=0.2, shape=(320, 320))
    offsets = 0.3 * drawn.image.data.std() * np.random.default_rng(0).normal(size=(320, 1))
    assert setting_of(drawn).row_variance[0] < 1e-3
    data = (drawn.image.data + offsets).astype(np.float32)
    moved = dataclasses.replace(drawn, image=dataclasses.replace(drawn.image, data=data))
    share = 0.3 * drawn.image.data.std() / data.std()
    assert setting_of(moved).row_variance[0] ** 0.5 == pytest.approx(share, rel=0.25)


def brightness(drawn):
    sites = true_sites(drawn, margin_px=6)
    fit = fit_columns(drawn.image.data, sites, FWHM_PX)
    inner = ((sites.positions_px > 12) & (sites.positions_px < np.array(drawn.image.shape) - 12)).all(1)
    own = (fit.amplitude[inner & (sites.column == k)] for k in (0, 1))
    return np.concatenate([values / np.median(values) for values in own])


@pytest.mark.parametrize("spoil", ["grain of contamination", "offsets of rows"])
def test_brightness_is_the_same_below_what_is_no_column(draw_crystal, spoil):
    ideal = draw_crystal(shape=(320, 320))
    light, rng = ideal.image.data, np.random.default_rng(0)
    if spoil == "offsets of rows":
        data = (light + light.std() * rng.normal(size=(320, 1))).astype(np.float32)
    else:
        grain = ContaminationConfig(amount=0.5 * light.std(), fine_nm=0.25, fine_fraction=1.0, skew=0.0)
        data = light + contamination_field(light.shape, SIZE_A, grain, rng)
    spoiled = dataclasses.replace(ideal, image=dataclasses.replace(ideal.image, data=data))
    assert brightness(spoiled).std() < 0.03
