"""Scan distortions: jitter, wander, drift and fast-scan smear, none of which shifts an image on average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.degrade.fast_scan import fast_scan_kernel, smear
from napari_stem_gan.degrade.noise import Noise, Source, as_noise, torch_generator
from napari_stem_gan.degrade.resample import moved
from napari_stem_gan.image import FloatImage

__all__ = [
    "apply_scan", "as_batch", "displacement", "distort", "fast_scan_kernel", "move_systematically", "per_image",
    "row_jitter", "smear", "systematic_shift", "torch_generator", "wander",
]  # fmt: skip
Config = TypeVar("Config")


def per_image(configs: Sequence[object], name: str, like: Tensor) -> Tensor:
    """Collect one field of one config per image as ``(B, 1, 1, 1)``."""
    values = [float(getattr(config, name)) for config in configs]
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1, 1)


def as_batch(image: Tensor, config: Config | Sequence[Config]) -> tuple[Tensor, list[Config]]:
    """View an image ``(Y, X)`` or ``(B, 1, Y, X)`` as a batch with one config for each image."""
    batch = image if image.ndim == 4 else image[None, None]
    configs = list(config) if isinstance(config, Sequence) else [config] * batch.shape[0]
    if len(configs) != batch.shape[0]:
        raise ValueError(f"configs must be one per image, got {len(configs)} for {batch.shape[0]} images; repeat them")
    return batch, configs


def row_jitter(rows: int, sigma: Tensor, phi: Tensor, source: Source, effect: str = "jitter") -> Tensor:
    """Draw AR(1) series of row shifts with mean 0 (Lobato et al. 2023, eq. 41).

    Parameters
    ----------
    rows
        Number of rows.
    sigma, phi
        Standard deviation of one step and correlation, both ``(B, 1, 1, 1)``.
    source
        Source of randomness.
    effect
        Name of the stream.

    Returns
    -------
    Tensor
        Shifts, shape ``(B, 1, rows, 1)``.
    """
    correlation = phi.view(-1, 1)
    steps = as_noise(source, len(sigma), sigma.device).normal(effect, rows)
    first = steps[:, :1] / torch.sqrt(1 - correlation**2)  # in its stationary state from the first row on
    memory = correlation ** torch.arange(rows, device=sigma.device)
    spectrum = torch.fft.rfft(torch.cat([first, steps[:, 1:]], 1), 2 * rows) * torch.fft.rfft(memory, 2 * rows)
    series = torch.fft.irfft(spectrum, 2 * rows)[:, :rows]  # s_n = Σ_k φ^k step_(n−k)
    series = series - series.mean(dim=1, keepdim=True)
    return (series * sigma.view(-1, 1))[:, None, :, None]


def wander(rows: int, configs: Sequence[ScanConfig], source: Source = None) -> Tensor:
    """Draw how the scan wanders slowly: Gaussian series of covariance ``w² exp(−n² / 2L²)`` over n rows, of mean 0.

    Parameters
    ----------
    rows
        Number of rows.
    configs
        One per image; w is its ``wander_px``, L its ``wander_rows``.
    source
        Source of randomness.

    Returns
    -------
    Tensor
        Shifts along y and x in pixels, shape ``(B, 2, rows)``.
    """
    noise = as_noise(source, len(configs), "cpu")
    if not any(config.wander_px for config in configs):
        return torch.zeros(len(configs), 2, rows, device=noise.device)
    steps = torch.stack([noise.normal(f"wander {axis}", 2 * rows) for axis in "yx"], 1)  # twice: it wraps around
    size, length = (per_image(configs, name, steps).view(-1, 1, 1) for name in ("wander_px", "wander_rows"))
    frequency = torch.fft.rfftfreq(2 * rows, device=steps.device)
    response = torch.exp(-((math.pi * length * frequency) ** 2))
    gain = torch.fft.irfft(response**2, 2 * rows)[..., :1].sqrt()  # of a white series
    series = torch.fft.irfft(torch.fft.rfft(steps) * response, 2 * rows)[..., :rows] * size / gain
    return series - series.mean(dim=-1, keepdim=True)


def displacement(
    shape: tuple[int, int],
    config: ScanConfig | Sequence[ScanConfig],
    source: Source = None,
    *,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw where each pixel really looked: pixel (y, x) samples the ideal image at (y + d_y, x + d_x).

    A feature at p in the ideal image therefore appears near p − d(p) in the distorted one.

    Parameters
    ----------
    shape
        Height and width in pixels.
    config
        One config, or one per image of a batch.
    source
        Source of randomness, on `device`.
    device
        Where to compute.

    Returns
    -------
    Tensor
        ``(2, Y, X)`` for one config, ``(B, 2, Y, X)`` for a sequence; in pixels, (y, x), of mean 0.
    """
    configs = list(config) if isinstance(config, Sequence) else [config]
    shifts = _row_shifts(shape, configs, as_noise(source, len(configs), device))
    both = torch.cat([part.expand(-1, -1, *shape) for part in shifts], dim=1)  # (B, 2, Y, X)
    return both if isinstance(config, Sequence) else both[0]


def _row_shifts(shape: tuple[int, int], configs: Sequence[ScanConfig], noise: Noise) -> tuple[Tensor, Tensor]:
    """Displacement along y ``(B, 1, Y, 1)`` and along x ``(B, 1, Y, 1)``, or ``(B, 1, Y, X)`` with a fly-back."""
    like = torch.zeros(1, device=noise.device)
    phi = per_image(configs, "jitter_correlation", like)
    jitter_y, jitter_x = (
        row_jitter(shape[0], per_image(configs, f"jitter_{axis}_px", like), phi, noise, f"jitter {axis}")
        for axis in "yx"
    )
    y = torch.arange(shape[0], device=noise.device, dtype=like.dtype).view(1, 1, -1, 1)
    x = torch.arange(shape[1], device=noise.device, dtype=like.dtype).view(1, 1, 1, -1)
    d_y, d_x = systematic_shift(configs, shape, y, x)
    slow = wander(shape[0], configs, noise)[..., None]  # (B, 2, Y, 1)
    return jitter_y + d_y + slow[:, :1], jitter_x + d_x + slow[:, 1:]


def systematic_shift(
    configs: Sequence[ScanConfig], shape: tuple[int, int], y: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """The part of the displacement that is not random, at pixels (`y`, `x`): drift and fly-back.

    Parameters
    ----------
    configs
        One per image.
    shape
        Height and width of the image, whose middle does not move.
    y, x
        Where, each ``(B, 1, Y, X)`` or broadcast to that.

    Returns
    -------
    tuple
        Displacement along y and x in pixels.
    """
    slow = y - (shape[0] - 1) / 2
    d_y = per_image(configs, "drift_scale", slow) * slow
    d_x = per_image(configs, "drift_shear", slow) * slow
    if any(config.flyback_px for config in configs):
        lag, length = (per_image(configs, name, slow) for name in ("flyback_px", "flyback_length_px"))
        mean = lag * (1 - torch.exp(-shape[1] / length)) / (1 - torch.exp(-1 / length)) / shape[1]
        d_x = d_x - lag * torch.exp(-x.clamp_min(0) / length) + mean
    return d_y, d_x


def distort(
    image: Tensor,
    config: ScanConfig | Sequence[ScanConfig],
    source: Source = None,
    *,
    field: Tensor | None = None,
    drift_px: Tensor | None = None,
) -> Tensor:
    """Distort images as the scan does.

    Parameters
    ----------
    image
        Ideal image ``(Y, X)`` or batch ``(B, 1, Y, X)``.
    config
        One config, or one per image.
    source
        Source of randomness.
    field
        Displacement to use instead of a drawn one, ``(B, 2, Y, X)`` or ``(2, Y, X)`` in pixels.
    drift_px
        Shift of each whole image on top of the drawn one, ``(B, 2)`` as (y, x).

    Returns
    -------
    Tensor
        Distorted image, same shape as `image`.
    """
    batch, configs = as_batch(image, config)
    if field is None:
        noise = as_noise(source, len(configs), batch.device)
        shifts = _row_shifts((batch.shape[-2], batch.shape[-1]), configs, noise)
    else:
        field = field if field.ndim == 4 else field[None]
        shifts = field[:, :1], field[:, 1:]
    if drift_px is not None:
        shifts = shifts[0] + drift_px[:, 0].view(-1, 1, 1, 1), shifts[1] + drift_px[:, 1].view(-1, 1, 1, 1)
    seen = moved(moved(batch, shifts[0], -2), shifts[1], -1)
    seen = smear(seen, *(per_image(configs, name, seen) for name in ("smear_px", "smear_lorentzian", "ringing")))
    return seen.reshape(image.shape)


def apply_scan(image: FloatImage, config: ScanConfig, rng: np.random.Generator) -> FloatImage:
    """Distort a NumPy image ``(Y, X)``; see `distort`."""
    result = distort(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)), config, Noise.of([rng]))
    return result.numpy().astype(np.float32)


def move_systematically(
    points_px: NDArray[np.float64], config: ScanConfig, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Move points ``(N, 2)`` of the ideal image to where drift and fly-back show them; jitter moves none on average."""
    moved = torch.as_tensor(np.asarray(points_px, float).reshape(-1, 2))
    start = moved
    for _ in range(12):
        y, x = (part.view(1, 1, -1, 1) for part in moved.T)
        shift = torch.cat([s.reshape(-1, 1) for s in systematic_shift([config], shape, y, x)], 1)
        moved = start - shift
    return np.asarray(moved.numpy())
