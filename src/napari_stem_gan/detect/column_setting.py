"""What holds for all columns of an image: their shape, the noise, and how far errors exceed those of lone columns.

Fitted once, on the part of the image whose columns stand out most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_background import Background, Power, true_power
from napari_stem_gan.detect.column_model import LEAST_ROW_VARIANCE, Linear, difference, refined
from napari_stem_gan.detect.column_noise import NoiseLine, error_factors, noise_line
from napari_stem_gan.detect.column_part import Columns, Part, normal_like, start
from napari_stem_gan.detect.column_places import fitted_stray, settled
from napari_stem_gan.detect.column_shape import ORDERS, WIDTH, ColumnShape

SAMPLE_CONSTANTS = 20  # side of the part that is fitted, in lattice constants
ROUNDS = 2
FIRST_ROW_SHIFT = 0.1  # standard deviations of a column
SHAPE_RIDGE = 100.0  # coefficients are of the order of 0.1
Corners = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Setting:
    """What holds for all columns of an image.

    Parameters
    ----------
    shape
        Of the columns of each kind.
    noise
        Variance by level.
    brightness
        Usual brightness of each kind, shape ``(kinds,)``.
    factors
        Errors of (brightness, y, x) over those of a lone column in white noise, shape ``(kinds, 3)``.
    power
        Of the background.
    row_variance
        Of offset and shifts of rows, shape ``(3,)``.
    stray_px
        How far columns lie off the local lattice, standard deviation along an axis.
    """

    shape: ColumnShape
    noise: NoiseLine
    brightness: Tensor
    factors: Tensor
    power: Power
    row_variance: Tensor
    stray_px: float


def fit_setting(image: Tensor, places: Tensor, kind: Tensor, sigma_px: float, constant_px: float) -> Setting:
    """Fit shape and noise on a part of the image that is full of columns.

    Parameters
    ----------
    image
        Shape ``(Y, X)``.
    places
        Sites, shape ``(N, 2)`` as (y, x).
    kind
        Kind of each site's column, from 0, shape ``(N,)``.
    sigma_px
        Standard deviation of a column, roughly.
    constant_px
        Lattice constant.
    """
    shape = ColumnShape.gaussian(sigma_px, int(kind.max()) + 1, image.device)
    corners, power = _sample(image, places, SAMPLE_CONSTANTS * constant_px), Power.first(constant_px)
    part, _ = cut(image, places, kind, corners, shape, power)
    columns = start(part)
    for _ in range(2):  # brightness, then places
        columns = refined(Linear.around(part, shape, columns), shape, columns)
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        linear = weighted(Linear.around(part, shape, columns))
        part = _better_expected(linear, columns, rng)
        shape = _better_shape(linear, shape, columns)
        columns = refined(Linear.around(part, shape, columns), shape, columns)
    linear = Linear.around(part, shape, columns)
    noise = noise_line(linear.level, part.data - linear.level)
    inside = _inside(part.sites_px, part.data.shape, shape.reach_px)
    usual = _usual(columns.brightness, part.kind, inside, len(shape.coefficients))
    whole = inside & (columns.brightness > 0.5 * usual[part.kind])
    linear = weighted(linear, noise)
    stray = fitted_stray(linear, columns, whole, shape.sigma_px)
    part = with_row_shifts(settled(linear, columns, stray, usual), shape)
    columns = refined(weighted(Linear.around(part, shape, columns), noise), shape, columns)
    linear = weighted(Linear.around(part, shape, columns), noise)
    stray = fitted_stray(linear, columns, whole, shape.sigma_px)
    part = settled(replace(linear, part=_better_expected(linear, columns, rng)), columns, stray, usual)
    columns = refined(weighted(Linear.around(part, shape, columns), noise), shape, columns)
    linear = weighted(Linear.around(part, shape, columns), noise)
    factors = torch.stack([error_factors(linear, whole & (part.kind == k)) for k in range(len(usual))])
    return Setting(shape, noise, usual, factors, part.background.expected, part.row_variance, stray)


def _better_expected(linear: Linear, columns: Columns, rng: np.random.Generator) -> Part:
    """The part with the power of background and rows, from what was fitted and what such a fit leaves of drawn ones."""
    part = linear.part
    true = linear.drawn(rng)
    fitted = linear.solve(linear.forward(true) + normal_like(part.data, rng) * part.weight.rsqrt())
    _, knots, rows = difference(fitted, true)
    power = part.background.power(columns.knots, knots)
    return replace(part, background=Background.of(part.data, power), row_variance=_row_variance(part, columns, rows))


def _row_variance(part: Part, columns: Columns, unknown: Tensor) -> Tensor:
    """Variance of offset and shifts ``(3,)`` from row to row; what varies slowly is background and lattice."""
    found, left = (v.diff(dim=0).square().mean(0) / 2 for v in (columns.rows, unknown))
    expected = part.row_variance.clamp_min(LEAST_ROW_VARIANCE)
    told = true_power(*(v.double().cpu().numpy() for v in (found, left, expected)))
    return torch.where(part.row_variance > 0, torch.as_tensor(told).to(part.row_variance), 0.0)


def with_row_shifts(part: Part, shape: ColumnShape) -> Part:
    """The part with rows that may be shifted, too."""
    variance = part.row_variance.clone()
    variance[1:] = (FIRST_ROW_SHIFT * shape.sigma_px) ** 2
    return replace(part, row_variance=variance)


def weighted(linear: Linear, noise: NoiseLine | None = None) -> Linear:
    """The same model with weights from `noise`, or from the noise it leaves."""
    residual = linear.part.data - linear.level
    line = noise_line(linear.level, residual) if noise is None else noise
    return linear.weighted(replace(linear.part, weight=line.weight(linear.level, residual)))


def cut(
    image: Tensor,
    places: Tensor,
    kind: Tensor,
    corners: Corners,
    shape: ColumnShape,
    power: Power,
    row_variance: Tensor | None = None,
) -> tuple[Part, Tensor]:
    """A part of the image and the indices of the sites that reach onto it."""
    first, last = corners
    corner = torch.tensor(first, device=image.device)
    end = torch.tensor(last, device=image.device)
    near = ((places > corner - shape.reach_px) & (places < end + shape.reach_px)).all(1).nonzero()[:, 0]
    data = image[first[0] : last[0], first[1] : last[1]]
    background = Background.of(data, power)
    part = Part.of(data, places[near] - corner, kind[near], shape=shape, background=background)
    return part if row_variance is None else replace(part, row_variance=row_variance), near


def _usual(brightness: Tensor, kind: Tensor, inside: Tensor, kinds: int) -> Tensor:
    """Median brightness of each kind, of all where a kind is not inside."""
    usual = brightness.median().repeat(kinds)
    for k in range(kinds):
        own = inside & (kind == k)
        if own.any():
            usual[k] = brightness[own].median()
    return usual


def _sample(image: Tensor, places: Tensor, side: float) -> Corners:
    """Corners of the part, of about `side` pixels, whose sites stand out most from what is around them."""
    count = [max(1, round(n / side)) for n in image.shape]
    size = [-(-n // c) for n, c in zip(image.shape, count, strict=True)]
    pixel = torch.round(places).long()
    on = ((pixel >= 0) & (pixel < torch.tensor(image.shape, device=image.device))).all(1)
    pixel = pixel[on]
    cell = (pixel[:, 0] // size[0]) * count[1] + pixel[:, 1] // size[1]
    bright = torch.zeros(count[0] * count[1], device=image.device).index_add_(0, cell, image[pixel[:, 0], pixel[:, 1]])
    number = torch.bincount(cell, minlength=count[0] * count[1])
    mean = torch.nn.functional.adaptive_avg_pool2d(image[None], (count[0], count[1])).flatten()
    best = int((bright - number * mean).argmax())
    first = (best // count[1] * size[0], best % count[1] * size[1])
    return first, (min(first[0] + size[0], image.shape[0]), min(first[1] + size[1], image.shape[1]))


def _inside(places: Tensor, shape: tuple[int, ...] | torch.Size, rim: float) -> Tensor:
    return ((places >= rim) & (places <= torch.tensor(shape, device=places.device) - 1 - rim)).all(1)


def _better_shape(linear: Linear, shape: ColumnShape, columns: Columns) -> ColumnShape:
    """One weighted least-squares step of the common shape; brightness and place of each kind move along."""
    part, index = linear.part, linear.index.view(len(linear.block), -1)
    residual = part.data - linear.level
    offset = part.sites_px + columns.shift_px - part.middle
    own = [part.kind == k for k in range(len(shape.coefficients))]
    basis = shape.basis(offset, ORDERS).flatten(2) * columns.brightness[:, None, None]  # (N, orders, K²)
    images = [part.drawn(basis[:, i], linear.index) for i in range(len(ORDERS))]
    wide = basis[:, ORDERS.index(WIDTH[0])] + basis[:, ORDERS.index(WIDTH[1])]
    images += [part.drawn(wide[o], index[o].reshape(-1)) for o in own[1:]]
    images += [part.drawn(d[o], index[o].reshape(-1)) for o in own for d in linear.design]
    design = torch.stack([*images, torch.ones_like(residual)]).flatten(1)  # (unknowns, pixels)
    normal = (design * part.weight.reshape(-1)) @ design.T
    normal.diagonal().add_(SHAPE_RIDGE)
    right = design @ (part.weight * residual).reshape(-1)
    solution = torch.linalg.solve(normal.double(), right.double()).to(right.dtype)
    width = torch.cat([solution.new_zeros(1), solution[len(ORDERS) : len(ORDERS) + len(own) - 1]])
    return shape.with_change(solution[: len(ORDERS)], width)
