"""Scan distortions: jitter, drift and fast-scan smear, none of which shifts an image on average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.image import FloatImage

KERNEL_PX = 32
TAPS = (-2, -1, 0, 1, 2, 3)  # neighbours of a sampled point
Config = TypeVar("Config")


def torch_generator(rng: np.random.Generator, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a torch generator that `rng` seeds."""
    return torch.Generator(device=device).manual_seed(int(rng.integers(2**62)))


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


def row_jitter(rows: int, sigma: Tensor, phi: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw AR(1) series of row shifts with mean 0 (Lobato et al. 2023, eq. 41).

    Parameters
    ----------
    rows
        Number of rows.
    sigma, phi
        Standard deviation of one step and correlation, both ``(B, 1, 1, 1)``.
    generator
        Source of randomness.

    Returns
    -------
    Tensor
        Shifts, shape ``(B, 1, rows, 1)``.
    """
    steps = torch.randn(sigma.shape[0], rows, generator=generator, device=sigma.device, dtype=sigma.dtype)
    correlation = phi.view(-1)
    value = steps[:, 0] / torch.sqrt(1 - correlation**2)
    shifts = [value]
    for row in range(1, rows):
        value = correlation * value + steps[:, row]
        shifts.append(value)
    series = torch.stack(shifts, dim=1)  # (B, rows)
    series = series - series.mean(dim=1, keepdim=True)
    return (series * sigma.view(-1, 1))[:, None, :, None]


def displacement(
    shape: tuple[int, int],
    config: ScanConfig | Sequence[ScanConfig],
    generator: torch.Generator | None = None,
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
    generator
        Source of randomness, on `device`.
    device
        Where to compute.

    Returns
    -------
    Tensor
        ``(2, Y, X)`` for one config, ``(B, 2, Y, X)`` for a sequence; in pixels, (y, x), of mean 0.
    """
    configs = list(config) if isinstance(config, Sequence) else [config]
    like = torch.zeros(1, device=device)
    phi = per_image(configs, "jitter_correlation", like)
    field = [
        row_jitter(shape[0], per_image(configs, name, like), phi, generator) for name in ("jitter_y_px", "jitter_x_px")
    ]
    y = torch.arange(shape[0], device=device, dtype=like.dtype) - (shape[0] - 1) / 2
    slow = y.view(1, 1, -1, 1)
    d_y = field[0] + per_image(configs, "drift_scale", like) * slow
    d_x = field[1] + per_image(configs, "drift_shear", like) * slow
    both = torch.cat([d_y, d_x], dim=1).expand(-1, -1, -1, shape[1])  # (B, 2, Y, X)
    return both if isinstance(config, Sequence) else both[0]


def warp(image: Tensor, field: Tensor) -> Tensor:
    """Sample ``(B, C, Y, X)`` images at displaced pixels by interpolation of fifth order.

    The cubic kernel of ``grid_sample`` moves an image by up to 1.5 times a small displacement, so that drawn jitter
    would not be the jitter of the image.

    Parameters
    ----------
    image
        Images ``(B, C, Y, X)``.
    field
        Displacement (y, x) in pixels, ``(B, 2, Y, X)``; its y part changes slowly along x.
    """
    shifts = [part[..., :1] if part.stride(-1) == 0 else part for part in (field[:, :1], field[:, 1:])]  # whole rows
    return _moved(_moved(image, shifts[0], -2), shifts[1], -1)


def _moved(image: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Sample at pixels displaced by `shift` ``(B, 1, Y, X)`` along one axis; beyond the edges the image is mirrored."""
    whole = torch.floor(shift)
    part = shift - whole
    weights = [math.prod((part - other) / (tap - other) for other in TAPS if other != tap) for tap in TAPS]
    length, shape = image.shape[axis], [1] * image.ndim
    shape[axis] = length
    index = torch.arange(length, device=image.device).view(shape) + whole.long()
    result = torch.zeros_like(image)
    for tap, weight in zip(TAPS, weights, strict=True):
        at = (index + tap).remainder(max(2 * length - 2, 1))
        at = torch.minimum(at, (2 * length - 2 - at).abs())
        result.addcmul_(weight, torch.gather(image, axis, at.expand_as(image)))
    return result


def fast_scan_kernel(length_px: Tensor, lorentzian: Tensor, ringing: Tensor) -> Tensor:
    """Make the detector's response along the fast axis: decay and damped oscillation (eqs 48, 49).

    Parameters
    ----------
    length_px, lorentzian, ringing
        Decay length in pixels, share of the Lorentzian in the decay, share of the oscillation, all ``(B, 1, 1, 1)``.

    Returns
    -------
    Tensor
        Causal kernels ``(B, KERNEL_PX)``, each of sum 1.
    """
    length = length_px.view(-1, 1).clamp(min=1e-3)
    x = torch.arange(KERNEL_PX, device=length.device, dtype=length.dtype)[None]
    slow, fast = 1 / (1 + (x / length) ** 2), torch.exp(-x / length)
    wave = torch.exp(-x / (2 * length)) * torch.cos(math.pi * x / (2 * length.clamp(min=1.0)))
    slow, fast, wave = (part / part.sum(dim=1, keepdim=True) for part in (slow, fast, wave))
    share, ring = lorentzian.view(-1, 1), ringing.view(-1, 1)
    return (1 - ring) * (share * slow + (1 - share) * fast) + ring * wave


def smear(image: Tensor, length_px: Tensor, lorentzian: Tensor, ringing: Tensor) -> Tensor:
    """Convolve along the fast axis with the detector's response and take out its mean delay.

    Parameters
    ----------
    image
        Images ``(B, 1, Y, X)``.
    length_px, lorentzian, ringing
        See `fast_scan_kernel`; a length of 0 leaves the image as it is.
    """
    if not bool((length_px > 0).any()):
        return image
    kernel = fast_scan_kernel(length_px, lorentzian, ringing)
    pad = min(KERNEL_PX, image.shape[-1] - 1)
    padded = F.pad(image, (pad, pad, 0, 0), mode="reflect")
    width = padded.shape[-1]
    delay = (kernel * torch.arange(KERNEL_PX, device=kernel.device, dtype=kernel.dtype)).sum(dim=1)  # (B,)
    frequency = torch.fft.rfftfreq(width, device=kernel.device)
    centre = torch.exp(2j * math.pi * frequency[None] * delay[:, None])
    response = (torch.fft.rfft(F.pad(kernel, (0, width))[:, :width], dim=1) * centre)[:, None, None]
    smeared = torch.fft.irfft(torch.fft.rfft(padded, dim=-1) * response, n=width, dim=-1)[..., pad : width - pad]
    return torch.where(length_px > 0, smeared, image)


def distort(
    image: Tensor,
    config: ScanConfig | Sequence[ScanConfig],
    generator: torch.Generator | None = None,
    *,
    field: Tensor | None = None,
) -> Tensor:
    """Distort images as the scan does.

    Parameters
    ----------
    image
        Ideal image ``(Y, X)`` or batch ``(B, 1, Y, X)``.
    config
        One config, or one per image.
    generator
        Source of randomness.
    field
        Displacement to use instead of a drawn one, ``(B, 2, Y, X)`` or ``(2, Y, X)`` in pixels.

    Returns
    -------
    Tensor
        Distorted image, same shape as `image`.
    """
    batch, configs = as_batch(image, config)
    if field is None:
        field = displacement((batch.shape[-2], batch.shape[-1]), configs, generator, device=batch.device)
    field = field if field.ndim == 4 else field[None]
    moved = warp(batch, field) if bool(field.any()) else batch
    moved = smear(moved, *(per_image(configs, name, moved) for name in ("smear_px", "smear_lorentzian", "ringing")))
    return moved.reshape(image.shape)


def apply_scan(image: FloatImage, config: ScanConfig, rng: np.random.Generator) -> FloatImage:
    """Distort a NumPy image ``(Y, X)``; see `distort`."""
    result = distort(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)), config, torch_generator(rng))
    return result.numpy().astype(np.float32)


def scan_with_field(
    image: FloatImage, config: ScanConfig, rng: np.random.Generator
) -> tuple[FloatImage, NDArray[np.float32]]:
    """Distort a NumPy image and return the displacement ``(2, Y, X)`` too, so that labels can follow."""
    field = displacement((image.shape[0], image.shape[1]), config, torch_generator(rng))
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    return distort(tensor, config, field=field).numpy().astype(np.float32), field.numpy().astype(np.float32)


def move_points(points_px: NDArray[np.float64], field: NDArray[np.float32]) -> NDArray[np.float64]:
    """Move points ``(N, 2)`` of the ideal image to where they appear after the displacement `field`.

    Solves q + d(q) = p by four fixed-point steps, on the smooth part of the field (row jitter of
    single rows blurs a column but does not move it).
    """
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    smooth = gaussian_filter1d(field, 3.0, axis=1, mode="nearest")
    moved = np.asarray(points_px, dtype=np.float64).copy()
    for _ in range(4):
        shift = np.stack([map_coordinates(part, moved.T, order=1, mode="nearest") for part in smooth], axis=1)
        moved = points_px - shift
    return moved
