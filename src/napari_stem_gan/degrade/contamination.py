"""Hydrocarbon contamination: a skewed random field of two length scales, with clusters."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from napari_stem_gan.degrade.config import ContaminationConfig, draw_contamination
from napari_stem_gan.degrade.noise import Noise, torch_generator
from napari_stem_gan.image import FloatImage

__all__ = ["ContaminationConfig", "contamination", "contamination_field", "draw_contamination", "gaussian_field"]

FLOOR = 0.002
SAMPLE = 2**18
NEGLIGIBLE = 1.2
"""In units of 1 / length: the frequency beyond which a field holds less than a millionth of its power."""


def contamination_field(
    shape: tuple[int, int], pixel_size_A: float, config: ContaminationConfig, rng: np.random.Generator
) -> FloatImage:
    """Draw a field ``(Y, X)`` ≥ 0 with standard deviation ``config.amount`` over a wide area.

    Parameters
    ----------
    shape
        Height and width in pixels.
    pixel_size_A
        Pixel size in Å.
    config
        Amount, length scales, skew and clusters.
    rng
        Source of every draw.
    """
    return contamination(shape, pixel_size_A, config, Noise.of([rng])).numpy()


def contamination(shape: tuple[int, int], pixel_size_A: float, config: ContaminationConfig, noise: Noise) -> Tensor:
    """Draw the field of `contamination_field` for the first image of `noise`, on its device."""
    field = torch.zeros(shape, device=noise.device)
    if config.amount > 0:
        field += config.amount * _two_scales(shape, pixel_size_A, config, noise)
    if config.clusters_per_100nm2 > 0:
        field += _clusters(shape, pixel_size_A, config.clusters_per_100nm2, noise)
    return field


def _two_scales(shape: tuple[int, int], pixel_size_A: float, config: ContaminationConfig, noise: Noise) -> Tensor:
    """Coarse and fine field of unit variance, skewed and lifted to ≥ 0."""
    coarse = _smooth(shape, 10 * config.coarse_nm / pixel_size_A, noise.generator("coarse", 0))
    fine = _smooth(shape, 10 * config.fine_nm / pixel_size_A, noise.generator("fine", 0))
    share = config.fine_fraction
    field = math.sqrt(1 - share**2) * coarse + share * fine * (1 + 0.5 * torch.tanh(coarse))
    if config.skew > 0:  # a log-normal field of unit variance
        s = min(config.skew, 1.5) * 0.6
        spread = math.sqrt((math.exp(s * s) - 1) * math.exp(s * s))
        field = (torch.exp(s * field) - math.exp(s * s / 2)) / spread
    return (field - quantile(field, FLOOR)).clamp_min(0)


def quantile(image: Tensor, q: float) -> Tensor:
    """Quantile of an image ``(Y, X)``, of every n-th pixel where it is large."""
    step = math.ceil(math.sqrt(image.numel() / SAMPLE))
    values = image[::step, ::step].reshape(-1)
    place = round(q * (len(values) - 1))
    if values.device.type == "cpu":
        return torch.kthvalue(values, place + 1).values  # no full sort
    return torch.sort(values).values[place]


def gaussian_field(shape: tuple[int, int], length_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian random field of unit variance with correlation length `length_px` (standard deviation of the blur)."""
    return _smooth(shape, length_px, torch_generator(rng)).numpy().astype(np.float64)


def _smooth(shape: tuple[int, int], length_px: float, generator: torch.Generator) -> Tensor:
    """The field of `gaussian_field` on the generator's device; only its low frequencies are drawn."""
    pad = min(3 * length_px, max(shape))
    grid = [int(next_fast_len(math.ceil(n + pad), True)) for n in shape]
    low = [min(n, 2 * math.ceil(NEGLIGIBLE / length_px * n) + 2) for n in grid]
    device = generator.device
    ky = (torch.fft.fftfreq(low[0], device=device) * low[0] / grid[0])[:, None]
    kx = (torch.fft.rfftfreq(low[1], device=device) * low[1] / grid[1])[None]
    filter_ = torch.exp(-((math.pi * length_px) ** 2) * (ky**2 + kx**2))
    white = torch.randn(low, generator=generator, device=device)
    spectrum = torch.fft.rfft2(white) * filter_
    wide = spectrum.new_zeros(grid[0], grid[1] // 2 + 1)
    up, down = (low[0] + 1) // 2, low[0] // 2
    wide[:up, : spectrum.shape[1]] = spectrum[:up]
    wide[grid[0] - down :, : spectrum.shape[1]] = spectrum[up:]
    field = torch.fft.irfft2(wide, s=grid)[: shape[0], : shape[1]]
    expected = math.sqrt(_power(filter_, low[1]) * low[0] * low[1]) / (grid[0] * grid[1])  # spread over a wide area
    return field / max(expected, 1e-12)


def _power(filter_: Tensor, width: int) -> float:
    """Σ |filter|² over the full spectrum, from the half spectrum of an rfft."""
    doubled = torch.full((filter_.shape[1],), 2.0, device=filter_.device)
    doubled[0] = 1.0
    if width % 2 == 0:
        doubled[-1] = 1.0
    return float((filter_**2 * doubled).sum())


def _clusters(shape: tuple[int, int], pixel_size_A: float, per_100nm2: float, noise: Noise) -> Tensor:
    """Small bright blobs of a few atoms: a sum of separable Gaussians, as one product of two matrices."""
    generator = noise.generator("clusters", 0)
    mean = torch.tensor(per_100nm2 * shape[0] * shape[1] * pixel_size_A**2 / 1e4, device=generator.device)
    count = int(torch.poisson(mean, generator=generator))
    drawn = torch.rand(count, 4, generator=generator, device=generator.device)
    sigma = (0.5 + 2.5 * drawn[:, 2:3]) / pixel_size_A
    along_y, along_x = (
        torch.exp(-((torch.arange(n, device=generator.device) - drawn[:, a : a + 1] * n) ** 2) / (2 * sigma**2))
        for a, n in enumerate(shape)
    )  # (clusters, Y), (clusters, X)
    return ((0.2 + drawn[:, 3:]) * along_y).T @ along_x
