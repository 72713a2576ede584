"""Patch discriminators of the image and of its power spectrum (the FFT discriminator)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_stem_gan.translate.config import CycleGANConfig

COMPACT_FEATURES = (24, 48, 96)
RADIAL_BINS = 64
MAX_FREQUENCY = 0.5 * 2**0.5  # cycles per pixel, the corner of the spectrum
CALIBRATION_DECAY = 0.95


class PatchDiscriminator(nn.Module):
    """Compact discriminator: one score for every 22-pixel neighbourhood, spectral norm, no sigmoid.

    Parameters
    ----------
    features
        Channels of the three stride-2 or stride-1 convolutions before the score.
    """

    def __init__(self, features: Sequence[int] = COMPACT_FEATURES) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = [1, *features[:-1]]
        for level, (i, o) in enumerate(zip(inputs, features, strict=True)):
            stride = 2 if level < 2 else 1
            layers += [spectral_norm(nn.Conv2d(i, o, 4, stride=stride, padding=1)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 1, Y, X)`` to scores ``(B, 1, y, x)``: 1 means real, 0 means translated."""
        return self.body(x).float()  # type: ignore[no-any-return]


class PaperDiscriminator(nn.Module):
    """70×70 patch discriminator of Khan et al. with 2.76 M parameters: a 30×30 map for 256 px."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 64, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.3),
            *_paper_block(64, 128, stride=2, padding=1),
            *_paper_block(128, 256, stride=2, padding=1),
            nn.ZeroPad2d(1),
            *_paper_block(256, 512, stride=1, padding=0),
            nn.ZeroPad2d(1),
            nn.Conv2d(512, 1, 4),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 1, 256, 256)`` to scores ``(B, 1, 30, 30)``."""
        return self.body(x).float()  # type: ignore[no-any-return]


def log_power_spectrum(
    image: Tensor, *, mean: Tensor | None = None, spread: Tensor | None = None, window: bool = True
) -> Tensor:
    """Return the normalised logarithm of the power spectrum, zero frequency in the middle.

    Parameters
    ----------
    image
        Images, shape ``(..., Y, X)``.
    mean
        Mean log spectrum to subtract, as a radial profile ``(RADIAL_BINS,)`` from frequency zero to
        `MAX_FREQUENCY`; None subtracts the mean of each spectrum.
    spread
        Spread to divide by, the same shape; None divides by the standard deviation of each spectrum.
    window
        Multiply by a Hann window first, so that the edges leave no cross in the spectrum.

    Returns
    -------
        Spectra of the same shape, float32.
    """
    with torch.autocast(image.device.type, enabled=False):
        x = image.float()
        x = x - x.mean(dim=(-2, -1), keepdim=True)
        if window:
            x = x * _hann(x)
        power = torch.fft.fft2(x, norm="ortho").abs().square()
        log = torch.fft.fftshift(torch.log(power + 1e-5), dim=(-2, -1))
        if mean is None or spread is None:
            offset = log.mean(dim=(-2, -1), keepdim=True)
            scale = log.std(dim=(-2, -1), keepdim=True)
            return torch.div(log - offset, scale + 1e-6)
        index = _radial_index(log)
        return torch.div(log - mean[index], spread[index].clamp_min(1e-3))


class FFTDiscriminator(nn.Module):
    """A patch discriminator that sees the log power spectrum.

    The mean log spectrum and its spread are kept as radial profiles of the real images of its
    domain (`calibrate`), so that it sees deviations and not the steep fall of every spectrum.

    Parameters
    ----------
    body
        Discriminator of images ``(B, 1, Y, X)``.
    window
        Use the Hann window.
    """

    mean: Tensor
    spread: Tensor
    calibrated: Tensor

    def __init__(self, body: nn.Module, *, window: bool = True) -> None:
        super().__init__()
        self.body = body
        self.window = window
        self.register_buffer("mean", torch.zeros(RADIAL_BINS))
        self.register_buffer("spread", torch.ones(RADIAL_BINS))
        self.register_buffer("calibrated", torch.zeros(1))

    @torch.no_grad()
    def calibrate(self, real: Tensor) -> None:
        """Update the mean log spectrum and its spread with real images ``(B, 1, Y, X)``."""
        zero, one = torch.zeros_like(self.mean), torch.ones_like(self.spread)
        log = log_power_spectrum(real, mean=zero, spread=one, window=self.window)
        index = _radial_index(log).expand_as(log).reshape(-1)
        values = log.reshape(-1)
        count = torch.bincount(index, minlength=RADIAL_BINS).clamp_min(1)
        mean = torch.zeros_like(zero).index_add_(0, index, values) / count
        square = torch.zeros_like(zero).index_add_(0, index, (values - mean[index]) ** 2) / count
        weight = torch.where(self.calibrated > 0, 1 - CALIBRATION_DECAY, 1.0)
        self.mean += weight * (mean - self.mean)
        self.spread += weight * (square.sqrt().clamp_min(0.1) - self.spread)
        self.calibrated.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 1, Y, X)`` to scores ``(B, 1, y, x)``."""
        spectrum = log_power_spectrum(x, mean=self.mean, spread=self.spread, window=self.window)
        return self.body(spectrum.clamp(-6, 6))  # type: ignore[no-any-return]


def build_discriminator(config: CycleGANConfig, *, fft: bool = False) -> nn.Module:
    """Return a new discriminator of the preset, of images or of power spectra."""
    body = PaperDiscriminator() if config.preset == "paper" else PatchDiscriminator()
    return FFTDiscriminator(body) if fft else body


def _paper_block(i: int, o: int, *, stride: int, padding: int) -> list[nn.Module]:
    conv = nn.Conv2d(i, o, 4, stride=stride, padding=padding, bias=False)
    return [conv, nn.InstanceNorm2d(o, affine=True), nn.LeakyReLU(0.3)]


def _hann(x: Tensor) -> Tensor:
    """Two-dimensional Hann window of mean square 1, shape ``(Y, X)``."""
    y_window, x_window = (torch.hann_window(n, device=x.device) for n in x.shape[-2:])
    window = y_window[:, None] * x_window[None, :]
    return window / window.square().mean().sqrt()


def _radial_index(x: Tensor) -> Tensor:
    """Radial bin of every pixel of a shifted spectrum, shape ``(Y, X)``."""
    fy, fx = (torch.fft.fftshift(torch.fft.fftfreq(n, device=x.device)) for n in x.shape[-2:])
    radius = torch.hypot(fy[:, None], fx[None, :])
    return (radius / MAX_FREQUENCY * RADIAL_BINS).long().clamp_max(RADIAL_BINS - 1)


__all__ = [
    "FFTDiscriminator",
    "PaperDiscriminator",
    "PatchDiscriminator",
    "build_discriminator",
    "log_power_spectrum",
]
