import math

import numpy as np
import pytest
import torch

from napari_stem_gan.restore.render import airy_transfer, radial_profile, render, spline_spectrum, spread
from napari_stem_gan.restore.specimens import KINDS, draw_specimen


def test_the_profile_is_the_papers_sum_of_three():
    r, radius = torch.tensor([0.0, 0.5]), torch.tensor(0.5)
    heights = torch.tensor([0.5, 0.7, 0.9])
    values = radial_profile(r, radius, heights, torch.tensor(4.0))
    assert float(values[0]) == pytest.approx(2.1)
    assert float(values[1]) == pytest.approx(0.5 * math.exp(-0.5) + 0.7 * math.exp(-1) + 0.9 / 2)


def test_spread_points_have_the_spectrum_of_a_delta():
    grid = spread(torch.tensor([[10.3, 20.7]]), torch.tensor([2.0]), torch.tensor([0]), (1, 32, 48))[0]
    assert float(grid.sum()) == pytest.approx(2.0, rel=1e-5)
    spectrum = torch.fft.fft(grid.sum(dim=0))[:8] / torch.sinc(torch.fft.fftfreq(48)[:8]) ** 4
    expected = 2 * torch.exp(-2j * math.pi * torch.arange(8) * 20.7 / 48)
    torch.testing.assert_close(spectrum, expected.to(spectrum.dtype), atol=0.02, rtol=0)


def test_the_spline_spectrum_fits_rfft2():
    assert spline_spectrum(32).shape == torch.fft.rfft2(torch.zeros(32, 32)).shape
    assert float(spline_spectrum(32)[0, 0]) == 1.0


def test_the_ideal_transfer_falls_from_one_to_zero_at_its_limit():
    values = airy_transfer(torch.tensor([0.0, 0.5, 1.0, 1.5]), torch.tensor(1.0))
    expected = [1.0, 2 / math.pi * (math.acos(0.5) - 0.5 * math.sqrt(0.75)), 0.0, 0.0]
    torch.testing.assert_close(values, torch.tensor(expected))


def test_images_are_positive_with_brightest_pixel_one():
    rng = np.random.default_rng(0)
    specimens = [draw_specimen(rng, size_px=64, pixel_size_A=0.2, kind=kind) for kind in KINDS]
    images = render(specimens, 64, rng)
    assert images.shape == (len(KINDS), 1, 64, 64)
    assert torch.isfinite(images).all()
    assert float(images.min()) >= 0
    torch.testing.assert_close(images.amax(dim=(1, 2, 3)), torch.ones(len(KINDS)))


def test_a_column_appears_at_its_place():
    rng = np.random.default_rng(5)
    specimen = draw_specimen(rng, size_px=64, pixel_size_A=0.2, kind="atoms")
    one = type(specimen)(
        kind="atoms",
        pixel_size_A=0.2,
        positions_px=np.array([[20.0, 37.0]]),
        weights=np.ones(1),
        profiles=np.zeros(1, np.intp),
    )
    image = render([one], 64, rng)[0, 0].numpy()
    assert np.unravel_index(image.argmax(), image.shape) == (20, 37)
