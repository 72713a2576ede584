from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.degrade.scan import wander
from napari_stem_gan.simulate.fit_lattice import split_lattice
from napari_stem_gan.simulate.fit_scan import Rows, fit_jitter, measure_rows
from napari_stem_gan.simulate.fit_wander import fit_wander


def scan_of(image, found):
    split = split_lattice(image.data, found)
    rows = measure_rows(split)
    jitter, _ = fit_jitter(rows, split.constant_px)
    scan, errors = fit_wander(rows, jitter, found, image.shape)
    return rows, split, scan, errors


@pytest.mark.parametrize(("size", "length"), [(0.2, 25.0), (0.8, 50.0), (0.5, 14.0)])
def test_a_drawn_wander_is_found_beside_jitter(degraded, size, length):
    drawn = {"wander_px": size, "wander_rows": length, "jitter_x_px": 0.2, "jitter_y_px": 0.2}
    _, _, scan, errors = scan_of(*degraded(scan=drawn))
    assert scan.wander_px == pytest.approx(size, abs=2.5 * errors["wander_px"])
    assert scan.wander_rows == pytest.approx(length, abs=2.5 * errors["wander_rows"])
    assert errors["wander_px"] < 0.4 * size


@pytest.mark.parametrize("jitter", [0.0, 0.4])
@pytest.mark.parametrize("amount", [0.0, 0.4])
def test_noise_contamination_and_jitter_are_not_taken_for_wander(degraded, jitter, amount):
    drawn = {"jitter_x_px": jitter, "jitter_y_px": jitter, "jitter_correlation": 0.6}
    _, _, scan, errors = scan_of(*degraded(1, scan=drawn, amount=amount))
    assert scan.wander_px == 0
    assert 0 < errors["wander_px"] < 0.2


def test_a_wander_is_not_taken_for_correlated_jitter(degraded):
    drawn = {"wander_px": 0.5, "wander_rows": 14.0, "jitter_x_px": 0.15, "jitter_y_px": 0.15, "jitter_correlation": 0.3}
    rows, split, scan, _ = scan_of(*degraded(2, scan=drawn))
    jitter, errors = fit_jitter(rows, split.constant_px, scan)
    assert jitter.jitter_x_px == pytest.approx(0.15, abs=3 * errors["jitter_x_px"])
    assert jitter.jitter_y_px == pytest.approx(0.15, abs=3 * errors["jitter_y_px"])
    assert max(errors["jitter_x_px"], errors["jitter_y_px"]) < 0.05
    assert jitter.jitter_correlation == pytest.approx(0.3, abs=max(3 * errors["jitter_correlation"], 0.1))


def test_the_wander_of_many_rows_is_well_known(degraded):
    flat = replace(degraded()[1], warp=None)
    scan = ScanConfig(wander_px=0.4, wander_rows=20.0, jitter_x_px=0.2, jitter_y_px=0.2)
    errors = []
    for count in (256, 4096):
        rng = np.random.default_rng(count)
        steps = wander(count, [scan], Noise([count]))[0].numpy() + rng.normal(0, 0.2, (2, count))
        values = np.concatenate([np.zeros((2, count)), steps])[..., None] + rng.normal(0, 0.2, (4, count, 8))
        fit, error = fit_wander(Rows(values, np.ones_like(values)), scan, flat, (count, 512))
        assert fit.wander_px == pytest.approx(0.4, abs=3 * error["wander_px"])
        errors.append(error["wander_px"])
    assert errors[1] < 0.5 * errors[0]
