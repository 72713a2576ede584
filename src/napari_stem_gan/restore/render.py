"""Render batches of random specimens: columns on a grid, convolved with random probes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.degrade.config import log_uniform
from napari_stem_gan.restore.specimens import MARGIN_PX, PROFILES, Specimen


def radial_profile(r: Tensor, radius: Tensor, heights: Tensor, power: Tensor) -> Tensor:
    """Evaluate a column's profile: Gaussian + exponential + Butterworth (Lobato et al. 2023, eq. 17).

    Parameters
    ----------
    r
        Distance in Å, any shape ``(..., Y, X)``.
    radius, power
        r^m in Å and n, broadcastable to `r`.
    heights
        h1, h2, h3 stacked along the first axis, each broadcastable to `r`.
    """
    scaled = r / radius
    gaussian, exponential = torch.exp(-0.5 * scaled**2), torch.exp(-scaled)
    butterworth = 1 / (1 + scaled.clamp(max=8.0) ** (2 * power))
    return heights[0] * gaussian + heights[1] * exponential + heights[2] * butterworth


def spread(positions_px: Tensor, weights: Tensor, plane: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Put weighted points on planes of a periodic grid with cubic B-splines.

    Parameters
    ----------
    positions_px
        ``(N, 2)`` as (y, x).
    weights, plane
        Weight and plane of each point, ``(N,)``.
    shape
        Planes, height, width.

    Returns
    -------
    Tensor
        ``(planes, height, width)``; divide its spectrum by `spline_spectrum` to get exact points.
    """
    base = torch.floor(positions_px).long() - 1
    t = positions_px - torch.floor(positions_px)  # (N, 2)
    kernel = torch.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=-1
    ) / 6  # (N, 2, 4)  # fmt: skip
    steps = torch.arange(4, device=positions_px.device)
    rows = (base[:, 0, None] + steps) % shape[1]
    cols = (base[:, 1, None] + steps) % shape[2]
    values = weights[:, None, None] * kernel[:, 0, :, None] * kernel[:, 1, None, :]
    index = (plane[:, None, None] * shape[1] + rows[:, :, None]) * shape[2] + cols[:, None, :]
    grid = torch.zeros(shape[0] * shape[1] * shape[2], device=positions_px.device)
    return grid.index_add_(0, index.reshape(-1), values.reshape(-1)).view(shape)


def spline_spectrum(side: int, device: torch.device | str = "cpu") -> Tensor:
    """Fourier transform of the cubic B-spline on the half plane of `rfft2`, ``(side, side // 2 + 1)``."""
    y = torch.sinc(torch.fft.fftfreq(side, device=device)) ** 4
    x = torch.sinc(torch.fft.rfftfreq(side, device=device)) ** 4
    return y[:, None] * x[None]


def airy_transfer(k: Tensor, limit: Tensor) -> Tensor:
    """Transfer function of an ideal incoherent probe: overlap of two discs, 0 beyond `limit`, 1 at 0."""
    ratio = (k / limit).clamp(max=1.0)
    return (2 / math.pi) * (torch.arccos(ratio) - ratio * torch.sqrt(1 - ratio**2))


def probe_transfer(specimens: Sequence[Specimen], side: int, rng: np.random.Generator) -> Tensor:
    """Random transfer functions of each specimen and profile, 1 at zero frequency: ``(B, P, side, side // 2 + 1)``.

    Half are ideal probes blurred by source size and vibration, half are profiles of eq. 17 whose
    radius grows from one kind of column to the next.
    """
    pixel = torch.tensor([s.pixel_size_A for s in specimens]).view(-1, 1, 1)
    k_px = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    k = k_px / pixel  # (B, side, half) in 1/Å
    sigma = torch.tensor([log_uniform(rng, max(0.2, 0.7 * s.pixel_size_A), 0.55) for s in specimens]).view(-1, 1, 1)
    limit = torch.tensor([rng.uniform(0.9, 2.4) for _ in specimens]).view(-1, 1, 1)
    ideal = airy_transfer(k, limit) * torch.exp(-2 * (math.pi * sigma * k) ** 2)
    axis = torch.fft.fftfreq(side) * side
    r = torch.hypot(axis[:, None], axis[None])[None, None] * pixel[:, None]  # (B, 1, side, side) in Å
    draws = [_profile_draw(rng, s.pixel_size_A) for s in specimens]
    radius, heights, power = (torch.tensor(np.array(part), dtype=torch.float32) for part in zip(*draws, strict=True))
    profile = radial_profile(r, radius[..., None, None], heights.permute(1, 0)[..., None, None, None],
                             power.view(-1, 1, 1, 1))  # fmt: skip
    general = torch.fft.rfft2(profile).real
    general = general / general[..., :1, :1]
    use_ideal = torch.from_numpy(rng.random(len(specimens)) < 0.5).view(-1, 1, 1, 1)
    return torch.where(use_ideal, ideal[:, None].expand_as(general), general)


def _profile_draw(rng: np.random.Generator, pixel_size_A: float) -> tuple[list[float], list[float], float]:
    """Radii (growing with the kind), h1 to h3 and n of eq. 17."""
    first = log_uniform(rng, max(0.25, 0.8 * pixel_size_A), 0.9)
    growth = rng.uniform(1.0, 1.15)
    heights = rng.uniform(0.5, 1.0, 3) * [1.0, rng.choice([0.0, 0.3, 1.0]), rng.choice([0.0, 0.3, 1.0])]
    return [first * growth**i for i in range(PROFILES)], list(heights), float(rng.uniform(4, 16))


def smooth_noise(specimens: Sequence[Specimen], side: int, transfer: Tensor, rng: np.random.Generator) -> Tensor:
    """Amorphous support or contamination of standard deviation 1, ``(B, side, side)``."""
    white = torch.from_numpy(rng.standard_normal((len(specimens), side, side), dtype=np.float32))
    k_px = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    length_px = torch.tensor([s.grain_length_A / s.pixel_size_A for s in specimens]).view(-1, 1, 1)
    filtered = torch.fft.rfft2(white) * transfer[:, 0] * torch.exp(-((math.pi * length_px * k_px) ** 2))
    filtered[:, 0, 0] = 0
    noise = torch.fft.irfft2(filtered, s=(side, side))
    return noise / noise.std(dim=(-2, -1), keepdim=True).clamp(min=1e-6)  # type: ignore[no-any-return]


def render(specimens: Sequence[Specimen], size_px: int, rng: np.random.Generator) -> Tensor:
    """Render undistorted, noise-free images.

    Parameters
    ----------
    specimens
        Drawn for images of `size_px`.
    size_px
        Side of the images.
    rng
        Draws probes and textures.

    Returns
    -------
    Tensor
        ``(B, 1, size_px, size_px)``, at least 0, brightest pixel 1.
    """
    side = size_px + 2 * MARGIN_PX
    count = len(specimens)
    positions = torch.from_numpy(np.concatenate([s.positions_px for s in specimens])).float() + MARGIN_PX
    weights = torch.from_numpy(np.concatenate([s.weights for s in specimens])).float()
    plane = np.concatenate([s.profiles + PROFILES * i for i, s in enumerate(specimens)])
    grid = spread(positions, weights, torch.from_numpy(plane), (count * PROFILES, side, side))
    transfer = probe_transfer(specimens, side, rng)
    spectrum = torch.fft.rfft2(grid.view(count, PROFILES, side, side)) / spline_spectrum(side)
    columns = torch.fft.irfft2((spectrum * transfer).sum(dim=1), s=(side, side)).clamp(min=0)
    peak = columns.amax(dim=(-2, -1), keepdim=True)
    columns = columns / torch.where(peak > 0, peak, torch.ones_like(peak))
    image = columns + _smooth_parts(specimens, side, columns, transfer, rng)
    image = image[:, None, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].clamp(min=0)
    return image / image.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-6)  # type: ignore[no-any-return]


def _smooth_parts(
    specimens: Sequence[Specimen], side: int, columns: Tensor, transfer: Tensor, rng: np.random.Generator
) -> Tensor:
    """Background plane, haze that follows the thickness, and texture: ``(B, side, side)``."""

    def values(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(list(numbers), dtype=torch.float32).view(-1, 1, 1)

    axis = torch.linspace(-0.5, 0.5, side)
    constant, along_y, along_x = (values([s.background[i] for s in specimens]) for i in range(3))
    plane = constant + along_y * axis[:, None] + along_x * axis[None]
    k_px = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    blur_px = values([3.0 / s.pixel_size_A for s in specimens])
    blurred = torch.fft.irfft2(
        torch.fft.rfft2(columns) * torch.exp(-2 * (math.pi * blur_px * k_px) ** 2), s=(side, side)
    )
    blurred = blurred / blurred.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-6)
    texture = smooth_noise(specimens, side, transfer, rng) * values([s.grain for s in specimens])
    lift = 2 * values([s.grain for s in specimens])
    return plane + values([s.haze for s in specimens]) * blurred + texture + lift  # type: ignore[no-any-return]
