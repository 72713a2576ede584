import numpy as np
import pytest
from scipy import ndimage

from napari_stem_gan.crystal.spectrum import central_crop, power_spectrum, spectrum


def wave(frequency, shape=(200, 256), noise=0.3):
    y, x = np.mgrid[: shape[0], : shape[1]]
    signal = np.cos(2 * np.pi * (frequency[0] * y + frequency[1] * x))
    return (signal + np.random.default_rng(0).normal(0, noise, shape)).astype(np.float32)


@pytest.mark.parametrize("frequency", [(0.0613, 0.1247), (-0.11, 0.073)])
def test_the_strongest_peak_lies_within_a_quarter_bin_of_the_wave(frequency):
    found = spectrum(wave(frequency))
    np.testing.assert_allclose(found.peaks[0] / found.bin, np.array(frequency) / found.bin, atol=0.25)


def test_a_wave_stands_far_above_the_background_and_noise_does_not():
    found = spectrum(wave((0.06, 0.125)))
    assert found.at(np.array([0.06, 0.125])) > 100
    assert 0.2 < np.median(found.at(np.random.default_rng(0).uniform(0.2, 0.4, (300, 2)))) < 3


def test_surprise_is_minus_the_logarithm_of_the_chance_in_noise():
    found = spectrum(np.random.default_rng(1).normal(size=(512, 512)).astype(np.float32))
    ratio = np.sort(found.ratio[:, 260:].ravel())[::-1]
    for rank in (30, 300, 3000):
        assert found.surprise(ratio[rank]) == pytest.approx(np.log(len(ratio) / rank), abs=0.8)


def test_a_peak_is_located_within_a_fifth_of_a_bin():
    found = spectrum(wave((0.0613, 0.1247)))
    where, ratio = found.locate(np.array([[0.064, 0.127]]), 2)
    np.testing.assert_allclose(where[0] / found.bin, np.array([0.0613, 0.1247]) / found.bin, atol=0.2)
    assert ratio[0] > 100


def test_beyond_nyquist_there_is_nothing():
    assert spectrum(wave((0.06, 0.125))).at(np.array([0.7, 0.1])) == 0


def test_brightness_and_offset_do_not_matter():
    image = wave((0.06, 0.125))
    first, second = spectrum(image), spectrum(500 * image + 1000)
    np.testing.assert_allclose(first.peaks[0], second.peaks[0], atol=1e-4)


def test_the_crop_is_central():
    data = np.arange(100, dtype=np.float32).reshape(10, 10)
    np.testing.assert_array_equal(central_crop(data, 4), data[3:7, 3:7])


def test_the_highest_of_a_window_is_that_of_its_bins():
    found = spectrum(wave((0.0613, 0.1247), shape=(120, 131)))
    rows, cols = np.mgrid[:120, :131]
    frequency = np.stack([(rows - 60) / 120, (cols - 65) / 131], -1)
    for reach in (1, 2, 3, 5):
        wanted = ndimage.maximum_filter(found.ratio, 2 * reach + 1)
        np.testing.assert_array_equal(found.highest(frequency, reach), wanted)


@pytest.mark.parametrize("shape", [(96, 128), (97, 128), (96, 129), (97, 129)])
def test_the_power_is_that_of_the_windowed_image_without_its_row_levels(shape):
    image = wave((0.06, 0.125), shape=shape)
    low, high = np.quantile(image[::2, ::2], [0.001, 0.999])
    rows, cols = (np.hanning(n) for n in shape)
    level = np.clip(image, low, high)
    level = level - (level @ cols / cols.sum())[:, None]
    wanted = np.abs(np.fft.fftshift(np.fft.fft2(level * rows[:, None] * cols))) ** 2
    np.testing.assert_allclose(power_spectrum(image), wanted, rtol=1e-3, atol=1e-6 * wanted.max())


@pytest.mark.parametrize("unit", [1e-19, 1e19])
def test_the_unit_of_the_pixels_does_not_matter(draw_crystal, unit):
    data = draw_crystal(dose_e_per_A2=3e4).image.data
    there, here = spectrum((data.astype(np.float64) * unit).astype(np.float32)), spectrum(data)
    np.testing.assert_allclose(there.peaks[:10], here.peaks[:10], atol=1e-4)
    np.testing.assert_allclose(there.strength[:10], here.strength[:10], rtol=1e-2)
