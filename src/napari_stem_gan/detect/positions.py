"""Positions of all columns of an image with standard errors, by one weighted least-squares fit.

The image is a sum of columns of one shape (`column_shape`) over a random background (`column_background`) and rows that
are offset and shifted (`column_part`), with weights from its own noise (`column_noise`). Columns are expected where
their neighbours say that the lattice is, give or take what they are seen to stray (`column_places`): bright columns lie
where their pixels say, faint ones are drawn to the lattice as far as noise demands. All that holds for the whole image
is fitted once, on the best part of the crystal (`column_setting`); then all columns are fitted part by part
(`column_model`). The errors come near the Cramér–Rao bound, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.column_model import Linear, refined
from napari_stem_gan.detect.column_noise import NoiseLine
from napari_stem_gan.detect.column_part import Part, start
from napari_stem_gan.detect.column_places import settled
from napari_stem_gan.detect.column_setting import Setting, cut, fit_setting, weighted
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.probe import FWHM_PER_SIGMA
from napari_stem_gan.training import threads_for

LEAST_SIGMA_PX = 1.2  # finer sampling tells nothing more: pixels are averaged down to it
PART_PX = 1024
STEPS = 3
RIM_KNOTS = 10


@dataclass(frozen=True)
class ColumnFit:
    """Fitted columns, all arrays in the order of the sites.

    Parameters
    ----------
    positions_px
        Shape ``(N, 2)`` as (y, x) in image pixels.
    errors_px
        Standard error along each axis, shape ``(N, 2)``; of an empty site how far columns stray from the lattice. Holds
        noise, its correlation, contamination and rows that jitter.
    amplitude, amplitude_error
        Height of the column over the background in image units and its standard error, shape ``(N,)``.
    background
        Background at the column in image units, shape ``(N,)``.
    misfit
        Mean square of what the fit leaves around the column over the noise's variance, shape ``(N,)``: about 1.
    """

    positions_px: NDArray[np.float64]
    errors_px: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    amplitude_error: NDArray[np.float64]
    background: NDArray[np.float64]
    misfit: NDArray[np.float64]


def fit_columns(
    data: FloatImage, sites: Sites, fwhm_px: float, *, device: str | torch.device = "cpu"
) -> ColumnFit:
    """Fit all columns of an image together.

    Parameters
    ----------
    data
        Raw image ``(Y, X)``, any brightness scale.
    sites
        Where columns are expected, to within half their width; those outside the image only lend their tails.
    fwhm_px
        Full width at half maximum of a column in image pixels.
    device
        Where to compute.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not fwhm_px > 0:
        raise ValueError(f"fwhm_px must be positive, got {fwhm_px}; match the image first")
    if len(sites) < 3:
        return _nothing(sites)
    binning = max(1, int(fwhm_px / FWHM_PER_SIGMA / LEAST_SIGMA_PX))
    image, offset, scale = _standardised(data, binning, device)
    places = torch.as_tensor((sites.positions_px + 0.5) / binning - 0.5, dtype=torch.float32, device=device)
    kind = torch.as_tensor(np.unique(sites.column, return_inverse=True)[1], device=device)
    constant = _constant_px(sites) / binning
    with threads_for(image.numel()):
        setting = fit_setting(image, places, kind, fwhm_px / FWHM_PER_SIGMA / binning, constant)
        found = _all_parts(image, places, kind, setting)
    shift, error, height, height_error, level, misfit = (t.cpu().numpy().astype(float) for t in found)
    return ColumnFit(
        sites.positions_px + shift * binning, error * binning, height * scale, height_error * scale,
        level * scale + offset, misfit,
    )  # fmt: skip


def _nothing(sites: Sites) -> ColumnFit:
    blank = np.full(len(sites), np.nan)
    return ColumnFit(sites.positions_px.copy(), np.full((len(sites), 2), np.nan), blank, blank, blank, blank)


def _standardised(data: FloatImage, binning: int, device: str | torch.device) -> tuple[Tensor, float, float]:
    """Image averaged over `binning` pixels, of spread 1 around 0, and the offset and scale that were taken out."""
    tensor = torch.as_tensor(np.ascontiguousarray(data, np.float32), device=device)[None, None]
    image = torch.nn.functional.avg_pool2d(tensor, binning)[0, 0] if binning > 1 else tensor[0, 0]
    offset, scale = float(image.double().mean()), float(image.double().std()) or 1.0
    return (image - offset) / scale, offset, scale


def _constant_px(sites: Sites) -> float:
    """Lattice constant in pixels, from the distance of neighbouring sites."""
    nearest = cKDTree(sites.positions_px).query(sites.positions_px, k=2)[0][:, 1]
    return float(np.median(nearest)) / sites.material.neighbour_distance_A * sites.material.constant_A


def _all_parts(image: Tensor, places: Tensor, kind: Tensor, setting: Setting) -> tuple[Tensor, ...]:
    """Shift, its error, height, its error, background and misfit of every column, part by part."""
    count = len(places)
    unknown = [image.new_full((count,), torch.nan) for _ in range(4)]  # too far outside to lend a tail
    results = (image.new_zeros(count, 2), image.new_full((count, 2), torch.nan), *unknown)
    rim = round(RIM_KNOTS * setting.power.knot_px)
    for y in range(0, image.shape[0], PART_PX):
        for x in range(0, image.shape[1], PART_PX):
            last = (min(y + PART_PX + rim, image.shape[0]), min(x + PART_PX + rim, image.shape[1]))
            corners = ((max(y - rim, 0), max(x - rim, 0)), last)
            part, near = cut(image, places, kind, corners, setting.shape, setting.power)
            if not len(near):
                continue
            own = _own(places[near], (y, x), image.shape)
            for whole, value in zip(results, _fit_part(part, setting), strict=True):
                whole[near[own]] = value[own]
    return results


def _own(places: Tensor, corner: tuple[int, int], shape: torch.Size) -> Tensor:
    """Whether sites belong to the part at `corner`; those outside the image belong to the part at its rim."""
    inner = torch.minimum(places.clamp_min(0), torch.tensor(shape, device=places.device) - 1.0)
    low = torch.tensor(corner, device=places.device)
    return ((inner >= low) & (inner < low + PART_PX)).all(1)


def _fit_part(part: Part, setting: Setting) -> tuple[Tensor, ...]:
    """Shift ``(N, 2)``, its error, height ``(N,)``, its error, background and misfit of the columns of one part."""
    shape = setting.shape
    columns = replace(start(part), brightness=setting.brightness[part.kind])
    for step in range(STEPS):
        linear = weighted(Linear.around(part, shape, columns), setting.noise)
        columns = refined(linear, shape, columns)
        if step == 0:
            part = settled(linear, columns, setting.stray_px, setting.brightness)
            part = replace(part, row_variance=setting.row_variance)
    covariance = torch.linalg.inv(linear.block)
    error = torch.diagonal(covariance, dim1=1, dim2=2).sqrt() * setting.factors[part.kind]
    peak = shape.peak()[part.kind]
    index = torch.minimum(part.middle.clamp_min(0), torch.tensor(part.data.shape, device=part.data.device) - 1)
    level = part.background.image(columns.knots)[index[:, 0], index[:, 1]]
    misfit = _misfit(Linear.around(part, shape, columns), setting.noise)
    return columns.shift_px, error[:, 1:], columns.brightness * peak, error[:, 0] * peak, level, misfit


def _misfit(linear: Linear, noise: NoiseLine) -> Tensor:
    """Mean over the pixels of each column of the squared residual over the noise's variance, ``(N,)``."""
    squares = (linear.part.data - linear.level).square() / noise.variance(linear.level)
    own = (linear.part.read(image, linear.index).sum(1) for image in (squares, torch.ones_like(squares)))
    total, count = own
    return torch.where(count > 0, total / count.clamp_min(1), 1.0)
