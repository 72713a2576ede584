"""The discriminators and what the FFT discriminator sees."""

from __future__ import annotations

import pytest
import torch

from napari_stem_gan.translate.config import CycleGANConfig, paper_config
from napari_stem_gan.translate.discriminators import (
    FFTDiscriminator,
    PaperDiscriminator,
    PatchDiscriminator,
    build_discriminator,
    log_power_spectrum,
)


def test_paper_discriminator_has_2_76_million_parameters() -> None:
    count = sum(p.numel() for p in PaperDiscriminator().parameters())
    assert count == pytest.approx(2.76e6, rel=0.002)


def test_paper_discriminator_gives_a_30_by_30_map() -> None:
    assert PaperDiscriminator()(torch.randn(1, 1, 256, 256)).shape == (1, 1, 30, 30)


def test_spectrum_is_unchanged_by_a_circular_shift_without_window() -> None:
    x = torch.randn(2, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    shifted = torch.roll(x, (7, -11), dims=(-2, -1))
    assert torch.allclose(log_power_spectrum(x, window=False), log_power_spectrum(shifted, window=False), atol=2e-3)


def test_spectrum_hardly_changes_with_a_shift_under_the_window() -> None:
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    waves = torch.cos(2 * torch.pi * rows / 8) + torch.cos(2 * torch.pi * columns / 8)
    noise = 0.1 * torch.randn(128, 128, generator=torch.Generator().manual_seed(0))
    shifted = torch.roll(waves, (3, 2), dims=(0, 1))
    first, second = log_power_spectrum(waves + noise), log_power_spectrum(shifted + noise)
    assert (first - second).abs().median() < 0.2


def test_spectrum_is_standardised_with_zero_frequency_in_the_middle() -> None:
    x = torch.randn(1, 1, 64, 64) + 5.0
    x = x + 10 * torch.linspace(-1, 1, 64)[:, None]
    spectrum = log_power_spectrum(x)
    assert spectrum.mean().abs() < 1e-4
    assert spectrum.std() == pytest.approx(1.0, abs=1e-3)
    assert spectrum[0, 0, 30:35, 30:35].max() == spectrum.max()


def test_calibrated_spectrum_of_real_images_has_no_fall_off() -> None:
    net = FFTDiscriminator(PatchDiscriminator())
    smooth = torch.nn.functional.avg_pool2d(torch.randn(16, 1, 70, 70), 7, stride=1)
    net.calibrate(smooth)
    spectrum = log_power_spectrum(smooth, mean=net.mean, spread=net.spread)
    assert spectrum[..., 30:34, 30:34].mean().abs() < 0.5
    assert spectrum[..., :4, :4].mean().abs() < 0.5


def test_fft_discriminator_passes_gradients_to_the_image() -> None:
    x = torch.randn(2, 1, 64, 64, requires_grad=True)
    build_discriminator(CycleGANConfig(), fft=True)(x).mean().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_scores_are_not_squashed() -> None:
    net = build_discriminator(paper_config())
    scores = net(100 * torch.randn(1, 1, 256, 256))
    assert scores.min() < 0
