import numpy as np
import pytest

from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.detector import apply_detector
from napari_stem_gan.simulate.fit_lattice import split_lattice
from napari_stem_gan.simulate.fit_noise import digits, measure_noise, noise_level, row_noise, single_electrons
from napari_stem_gan.simulate.fit_scan import measure_rows

BAND = 0.24


def beyond(shape):
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]) > BAND


def test_white_noise_has_its_level_and_no_tail():
    noise = np.random.default_rng(0).normal(0, 3.0, (256, 256)).astype(np.float32)
    variance, tail, _ = noise_level(noise, beyond(noise.shape))
    assert variance == pytest.approx(9.0, rel=0.03)
    assert tail == 0


@pytest.mark.parametrize("tail_px", [0.4, 0.8, 1.2])
def test_the_detector_s_decay_and_the_noise_before_it_are_found(tail_px):
    detector = DetectorConfig(dose_e_per_A2=1e5, tail_px=tail_px)
    flat = np.full((256, 256), 0.1, np.float32)  # 400 electrons a pixel
    counted = apply_detector(flat, 0.2, detector, np.random.default_rng(0))
    variance, tail, error = noise_level(counted, beyond(counted.shape))
    assert tail == pytest.approx(tail_px, abs=4 * error)
    assert error < 0.05
    assert variance == pytest.approx(400, rel=0.05)


def test_noise_against_brightness_tells_gain_and_dark_level(degraded):
    image, found = degraded(gain=50.0, offset=300.0, dose_e_per_A2=3e4)
    split = split_lattice(image.data, found)
    noise = measure_noise(split, split.residual, BAND)
    assert noise.per_unit == pytest.approx(50, rel=0.05)
    assert noise.dark == pytest.approx(300, abs=4 * noise.errors["dark"])
    assert noise.errors["dark"] < 0.2 * (image.data.mean() - 300)


def test_gain_and_dark_level_of_rows_are_told_apart(degraded):
    found = []
    for name, value in (("row_noise", 0.03), ("row_offset_e", 3.0)):
        image, lattice = degraded(2, dose_e_per_A2=1e5, **{name: value})
        found.append(row_noise(measure_rows(split_lattice(image.data, lattice)), float(image.data.mean()))[0])
    assert found[0]["row_noise"] == pytest.approx(0.03, rel=0.15)
    assert found[0]["row_offset"] < 0.6
    assert found[1]["row_offset"] == pytest.approx(3.0, rel=0.15)
    assert found[1]["row_noise"] < 0.012


def test_calm_rows_have_no_noise(degraded):
    image, lattice = degraded(dose_e_per_A2=1e5)
    values, errors = row_noise(measure_rows(split_lattice(image.data, lattice)), float(image.data.mean()))
    assert values["row_noise"] < 0.004
    assert 0 < errors["row_noise"] < 0.01


def test_steps_and_clipping_of_the_converter_are_seen():
    smooth = np.random.default_rng(0).normal(1000, 100, (128, 128)).astype(np.float32)
    assert digits(smooth) == (0.0, None)
    assert digits(np.round(smooth / 4) * 4)[0] == 4.0
    assert digits(np.minimum(smooth, 1100))[1] == 1100
    assert digits(np.round(smooth)) == (1.0, None)


def test_counts_of_single_electrons_are_seen_unless_they_are_smeared():
    flat = np.full((128, 128), 0.01, np.float32)  # 12 electrons a pixel
    counted, smeared = (
        apply_detector(flat, 0.2, DetectorConfig(dose_e_per_A2=3e4, gain=40.0, pmt_spread=p), np.random.default_rng(0))
        for p in (0.0, 0.4)
    )
    assert single_electrons(counted, 41.0)
    assert not single_electrons(smeared, 41.0)
