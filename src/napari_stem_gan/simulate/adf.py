"""Incoherent annular dark-field image with exact sub-pixel atom positions.

``F(k) = OTF(k) Σ_j σ_j exp(−2πi k·r_j)``: atoms are spread on a grid twice as fine as the probe's band limit asks
for, with a Kaiser–Bessel kernel whose transform is divided out (a type-1 non-uniform FFT), so that a position costs
the same wherever it lies in a pixel. Frequencies beyond the band limit are never touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.probe import band_limit, transfer_tensor

KERNEL_WIDTH = 6
KERNEL_BETA = 2.34 * KERNEL_WIDTH
MARGIN_A = 12.0
ATOMS_AT_ONCE = 100_000

Atoms = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class _Plan:
    """Grids of one rendering: every shape is (y, x)."""

    shape: tuple[int, int]
    """Pixels of the image that is wanted."""
    margin: int
    """Pixels rendered around it and cut."""
    fine: int
    """Points per pixel and axis; more than 1 where pixels are coarser than the band limit."""
    grid: tuple[int, int]
    """Points of the periodic field."""
    low: tuple[int, int]
    """Points that just hold the band limit."""
    point_A: float
    """Distance of two points in Å."""

    @property
    def field_A(self) -> tuple[float, float]:
        return self.grid[0] * self.point_A, self.grid[1] * self.point_A


def _plan(shape: tuple[int, int], pixel_size_A: float, limit: float, periodic: bool) -> _Plan:
    fine = max(1, math.ceil(2.02 * limit * pixel_size_A))
    margin = 0 if periodic else math.ceil(MARGIN_A / pixel_size_A)
    padded = [n if periodic else int(next_fast_len(n + 2 * margin, True)) for n in shape]
    point_A = pixel_size_A / fine
    grid = [n * fine for n in padded]
    low = [min(n, 2 * int(next_fast_len(math.ceil(limit * n * point_A) + 3, True))) for n in grid]
    return _Plan(shape, margin, fine, (grid[0], grid[1]), (low[0], low[1]), point_A)


def render(
    positions_px: NDArray[np.float64],
    weights_A2: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    pixel_size_A: float,
    optics: OpticsConfig,
    periodic: bool = False,
    device: str | torch.device = "cpu",
) -> FloatImage:
    """Fraction of the beam that reaches the detector at each pixel.

    Parameters
    ----------
    positions_px
        Atoms, shape ``(N, 2)`` as (y, x), pixel centres at integers; those outside the field count too.
    weights_A2
        Partial cross-section of each atom in Å², shape ``(N,)``.
    shape
        Height and width of the image.
    pixel_size_A
        Pixel size in Å. Coarser than the probe's band limit: rendered finer and averaged over pixels, exactly.
    optics
        Probe and detector.
    periodic
        True: the field is one period; False: the field is open (a margin of 12 Å is rendered and cut).
    device
        Where to compute.

    Returns
    -------
    NDArray
        Shape ``(Y, X)``, float32, ≥ 0.
    """
    options = {"pixel_size_A": pixel_size_A, "optics": optics, "periodic": periodic, "device": device}
    image = render_batch([(positions_px, weights_A2)], shape, **options)[0]  # type: ignore[arg-type]
    return np.asarray(image.cpu().numpy(), np.float32)


def render_batch(
    atoms: Sequence[Atoms],
    shape: tuple[int, int],
    *,
    pixel_size_A: float | Sequence[float],
    optics: OpticsConfig | Sequence[OpticsConfig],
    periodic: bool = False,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Render several fields of one size together; see `render`.

    Parameters
    ----------
    atoms
        Positions ``(N, 2)`` in pixels and weights ``(N,)`` in Å² of each field.
    shape
        Height and width of every image.
    pixel_size_A
        Pixel size in Å: one, or one per field.
    optics
        Probe and detector: one, or one per field.
    periodic, device
        As in `render`.

    Returns
    -------
    Tensor
        ``(B, Y, X)`` float32 on `device`, each as `render` makes it.
    """
    sizes = [float(s) for s in pixel_size_A] if isinstance(pixel_size_A, Sequence) else [pixel_size_A] * len(atoms)
    probes = list(optics) if isinstance(optics, Sequence) else [optics] * len(atoms)
    if not len(sizes) == len(probes) == len(atoms):
        raise ValueError(
            f"pixel sizes and optics must be one or one per field, got {len(sizes)} and {len(probes)} for "
            f"{len(atoms)} fields; repeat them"
        )
    plans = [_plan(shape, s, band_limit(o), periodic) for s, o in zip(sizes, probes, strict=True)]
    result = torch.zeros(len(atoms), *shape, device=device)
    for grids in dict.fromkeys((p.grid, p.low, p.margin, p.fine) for p in plans):
        alike = [i for i, p in enumerate(plans) if (p.grid, p.low, p.margin, p.fine) == grids]
        chosen = [plans[i] for i in alike]
        result[alike] = _render_alike([atoms[i] for i in alike], chosen, [probes[i] for i in alike], periodic, device)
    return result


def _render_alike(
    atoms: Sequence[Atoms],
    plans: Sequence[_Plan],
    optics: Sequence[OpticsConfig],
    periodic: bool,
    device: str | torch.device,
) -> Tensor:
    """Render fields that share their grids, (B, Y, X)."""
    plan = plans[0]
    placed = [_inside(positions, weights, plan, periodic) for positions, weights in atoms]
    spectrum = _structure_factor(placed, plan, device)  # (B, low_y, low_x // 2 + 1)
    if len(set(zip(optics, plans, strict=True))) == 1:
        spectrum = spectrum * _transfer(optics[0], plan, str(device))
    else:
        spectrum = spectrum * torch.stack([_transfer(o, p, str(device)) for o, p in zip(optics, plans, strict=True)])
    area = torch.tensor([p.point_A**2 for p in plans], device=device).view(-1, 1, 1)
    image = torch.fft.irfft2(_widen(spectrum, plan), s=plan.grid) / area
    rows, cols = (slice(plan.margin * plan.fine, (plan.margin + n) * plan.fine, plan.fine) for n in plan.shape)
    return image[:, rows, cols].clamp_min(0)


def _inside(positions_px: NDArray[np.float64], weights: NDArray[np.float64], plan: _Plan, periodic: bool) -> Atoms:
    """Atoms on the grid, in its points, with their weights."""
    positions = (np.asarray(positions_px, float).reshape(-1, 2) + plan.margin) * plan.fine
    keep = np.ones(len(positions), bool) if periodic else ((positions >= 0) & (positions <= _last(plan))).all(1)
    return positions[keep], np.asarray(weights, float)[keep]


def _last(plan: _Plan) -> NDArray[np.float64]:
    return np.array(plan.grid, float) - 1


@lru_cache(maxsize=4)
def _transfer(optics: OpticsConfig, plan: _Plan, device: str) -> Tensor:
    """Transfer on the low grid, the kernel's own transform divided out, times that of a coarse pixel's square."""
    transfer = transfer_tensor(optics, plan.low, plan.field_A, device)
    ky = torch.fft.fftfreq(plan.low[0], device=device)[:, None]
    kx = torch.fft.rfftfreq(plan.low[1], device=device)[None]
    transfer = transfer / (_kaiser_bessel_transform(ky / 2) * _kaiser_bessel_transform(kx / 2))
    if plan.fine == 1:
        return transfer
    across = [plan.fine * low / grid for low, grid in zip(plan.low, plan.grid, strict=True)]  # cycles per pixel
    return transfer * torch.sinc(ky * across[0]) * torch.sinc(kx * across[1])


def _structure_factor(atoms: Sequence[Atoms], plan: _Plan, device: str | torch.device) -> Tensor:
    """Σ_j w_j exp(−2πi k·r_j) times the kernel's transform on the low grid, (B, low_y, low_x // 2 + 1)."""
    fine = (2 * plan.low[0], 2 * plan.low[1])
    spread = torch.zeros(len(atoms) * fine[0] * fine[1], device=device)
    scale = np.array(fine) / np.array(plan.grid)
    for image, (positions, weights) in enumerate(atoms):
        for first in range(0, len(positions), ATOMS_AT_ONCE):
            part = slice(first, first + ATOMS_AT_ONCE)
            _spread(spread, positions[part] * scale, weights[part], fine, image)
    spectrum = torch.fft.rfft2(spread.view(len(atoms), *fine))
    up, down = (plan.low[0] + 1) // 2, plan.low[0] // 2
    half_x = plan.low[1] // 2 + 1
    return torch.cat([spectrum[:, :up, :half_x], spectrum[:, fine[0] - down :, :half_x]], dim=1)


def _spread(
    target: Tensor, place: NDArray[np.float64], weights: NDArray[np.float64], grid: tuple[int, int], image: int
) -> None:
    """Add atoms at `place` (grid points) to image number `image` of the flat `target`."""
    first = np.floor(place)
    rest = torch.as_tensor((place - first).astype(np.float32), device=target.device)  # (N, 2) in 0..1
    corner = torch.as_tensor(first.astype(np.int64), device=target.device) - KERNEL_WIDTH // 2 + 1
    offsets = torch.arange(KERNEL_WIDTH, device=target.device)
    kernel = _kaiser_bessel((offsets - KERNEL_WIDTH // 2 + 1) - rest[:, :, None])  # (N, 2, W)
    weight = torch.as_tensor(weights.astype(np.float32), device=target.device)
    values = (weight[:, None] * kernel[:, 0])[:, :, None] * kernel[:, 1, None, :]
    rows = (corner[:, 0, None] + offsets) % grid[0] + image * grid[0]
    cols = (corner[:, 1, None] + offsets) % grid[1]
    target.index_add_(0, (rows[:, :, None] * grid[1] + cols[:, None, :]).reshape(-1), values.reshape(-1))


def _widen(spectrum: Tensor, plan: _Plan) -> Tensor:
    """Put the low frequencies into the half spectrum of the whole grid."""
    if plan.low == plan.grid:
        return spectrum
    wide = spectrum.new_zeros(len(spectrum), plan.grid[0], plan.grid[1] // 2 + 1)
    up, down = (plan.low[0] + 1) // 2, plan.low[0] // 2
    wide[:, :up, : spectrum.shape[2]] = spectrum[:, :up]
    wide[:, plan.grid[0] - down :, : spectrum.shape[2]] = spectrum[:, up:]
    return wide


def _kaiser_bessel(distance: Tensor) -> Tensor:
    """Kaiser–Bessel window at `distance` in fine pixels."""
    t = (1 - (2 * distance / KERNEL_WIDTH) ** 2).clamp_min(0)
    return torch.special.i0(KERNEL_BETA * torch.sqrt(t)) * (t > 0) / float(np.i0(KERNEL_BETA))


def _kaiser_bessel_transform(frequency: Tensor) -> Tensor:
    """Fourier transform of the window at `frequency` in cycles per fine pixel."""
    argument = torch.sqrt((KERNEL_BETA**2 - (np.pi * KERNEL_WIDTH * frequency) ** 2).clamp_min(1e-6))
    return KERNEL_WIDTH * torch.sinh(argument) / argument / float(np.i0(KERNEL_BETA))


def atom_weights_A2(
    elements: NDArray[np.str_], column_size: NDArray[np.intp], optics: OpticsConfig, *, stack_factor: float = 1.0
) -> NDArray[np.float64]:
    """Partial cross-section of each atom, with a factor for atoms that share a column.

    Parameters
    ----------
    elements
        Chemical symbols, shape ``(N,)``.
    column_size
        Atoms in the atom's column, shape ``(N,)``.
    optics
        Beam energy and detector angles.
    stack_factor
        Intensity of a two-atom column over the sum of two single atoms (`stack.pair_stack_factor`; about 1.15 for Se₂
        at 80 kV).
    """
    names, inverse = np.unique(elements, return_inverse=True)
    sigma = [
        partial_cross_section_A2(str(n), optics.energy_keV, optics.adf_inner_mrad, optics.adf_outer_mrad) for n in names
    ]
    weights = np.array(sigma)[inverse] if len(names) else np.zeros(0)
    return np.asarray(np.where(column_size > 1, weights * stack_factor, weights))
