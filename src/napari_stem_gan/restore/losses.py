"""Losses of the restoration network (Lobato et al. 2023, eqs 2-15).

Images are standardised batches ``(B, 1, Y, X)``; every loss is a scalar.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_STD = 0.1
WINDOWS_PX = (2, 4, 8, 16)
FOURIER_POWER = 0.125


def contrast_weight(target: Tensor) -> Tensor:
    """Weight of each image, 1 / max(0.1, std), so that faint images count as much: ``(B, 1, 1, 1)`` (eq. 5)."""
    return 1 / target.std(dim=(-3, -2, -1), keepdim=True).clamp(min=MIN_STD)


def l1_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, weighted by contrast (eq. 4)."""
    return (contrast_weight(target) * (target - output).abs()).mean()


def l2_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, weighted by contrast (eq. 6)."""
    return (contrast_weight(target) * (target - output) ** 2).mean()


def whiten(image: Tensor, window_px: int) -> Tensor:
    """Subtract the local mean and divide by the local standard deviation, at least 0.1 (eq. 7)."""
    before, after = window_px // 2, window_px - 1 - window_px // 2
    padded = F.pad(image, (before, after, before, after), mode="reflect")
    mean = F.avg_pool2d(padded, window_px, stride=1)
    square = F.avg_pool2d(padded**2, window_px, stride=1)
    variance = (square - mean**2).clamp(min=MIN_STD**2)  # clamped first: the root of 0 has no gradient
    return (image - mean) / torch.sqrt(variance)


def whitening_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference after whitening with windows of 2, 4, 8 and 16 pixels (eq. 8)."""
    parts = [(whiten(target, window) - whiten(output, window)).abs().mean() for window in WINDOWS_PX]
    return torch.stack(parts).mean()


def fourier_loss(output: Tensor, target: Tensor, power: float = FOURIER_POWER) -> Tensor:
    """Mean of |F(y - ŷ)| to a small power, which lifts high frequencies (eq. 9)."""
    difference = torch.fft.rfft2((target - output).float(), norm="ortho")
    magnitude_squared = difference.real**2 + difference.imag**2
    return ((magnitude_squared + 1e-8) ** (power / 2)).mean()  # type: ignore[no-any-return]


def mean_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the images' means (eq. 10)."""
    return (target.mean(dim=(-3, -2, -1)) - output.mean(dim=(-3, -2, -1))).abs().mean()


def std_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the images' standard deviations (eq. 11)."""
    return (target.std(dim=(-3, -2, -1)) - output.std(dim=(-3, -2, -1))).abs().mean()


LOSSES = {
    "l1": l1_loss,
    "l2": l2_loss,
    "whitening": whitening_loss,
    "fourier": fourier_loss,
    "mean": mean_loss,
    "std": std_loss,
}


def pixel_losses(output: Tensor, target: Tensor, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Evaluate the pixel-wise losses with a positive weight, already weighted (eq. 14)."""
    return {name: weight * LOSSES[name](output, target) for name, weight in weights.items() if weight > 0}


def adversarial_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average loss of the generator from the critic's raw outputs (eqs 2, 3, 12)."""
    return F.softplus(real - fake.mean()).mean() + F.softplus(-(fake - real.mean())).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average loss of the discriminator from its raw outputs (eq. 15)."""
    return F.softplus(-(real - fake.mean())).mean() + F.softplus(fake - real.mean()).mean()
