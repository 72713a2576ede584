"""Bad pixels, once filled in, leave columns that do not lie on them as they are."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from napari_stem_gan.bad_pixels import mended
from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.detect.positions import fit_columns

FWHM_PX = 1.15 / 0.2  # of the drawn probe at 0.2 Å a pixel
SPOILED = {
    "a hot pixel": (np.s_[100, 120], 1e7),
    "zingers": (np.s_[20::60, 30::70], 65535.0),
    "a dead row": (np.s_[90], 0.0),
    "two hot columns": (np.s_[:, 150:152], 1e6),
    "a saturated corner": (np.s_[:40, -40:], 1e5),
}


@pytest.mark.parametrize("what", SPOILED)
def test_columns_beside_bad_pixels_stay(draw_crystal, what):
    drawn = draw_crystal(dose_e_per_A2=5e4, single_vacancy=0.05, jitter_A=0.04, shape=(384, 384), seed=2)
    where, value = SPOILED[what]
    data, bad = drawn.image.data.copy(), np.zeros(drawn.image.shape, bool)
    data[where], bad[where] = value, True
    sites = true_sites(drawn, margin_px=12)
    good = fit_columns(drawn.image.data, sites, FWHM_PX)
    fit = fit_columns(mended(dataclasses.replace(drawn.image, data=data)).data, sites, FWHM_PX)
    pixel = np.clip(np.rint(sites.positions_px).astype(int), 0, 383)
    inside = ((sites.positions_px >= 0) & (sites.positions_px <= 383)).all(1)
    away = inside & (distance_transform_edt(~bad)[tuple(pixel.T)] > 3 * FWHM_PX)
    change = (fit.amplitude - good.amplitude)[away] / good.amplitude_error[away]
    assert np.sqrt((change**2).mean()) < 0.4
    np.testing.assert_allclose(fit.amplitude_error[away], good.amplitude_error[away], rtol=0.1)
