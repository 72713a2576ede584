"""What holds for all columns of an image: their shape, the noise, and how far errors exceed those of lone columns.

Fitted once, on the part of the image whose columns stand out most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_stem_gan.detect.column_model import Columns, Linear, Part, refined, start
from napari_stem_gan.detect.column_noise import NoiseLine, error_factors, noise_line
from napari_stem_gan.detect.column_shape import ORDERS, WIDTH, ColumnShape

KNOTS = 1.25  # distance of the background's knots in lattice constants
SAMPLE_CONSTANTS = 20  # side of the part that is fitted, in lattice constants
ROUNDS = 2
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
        Errors of (brightness, y, x) over those of a lone column in white noise, shape ``(3,)``.
    knot_px
        Distance of the background's knots.
    """

    shape: ColumnShape
    noise: NoiseLine
    brightness: Tensor
    factors: Tensor
    knot_px: float


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
    knot_px = KNOTS * constant_px
    part, _ = cut(image, places, kind, _sample(image, places, SAMPLE_CONSTANTS * constant_px), shape, knot_px)
    columns = start(part)
    for _ in range(2):  # brightness, then places
        columns = refined(Linear.around(part, shape, columns), shape, columns)
    for _ in range(ROUNDS):
        linear = weighted(Linear.around(part, shape, columns))
        shape = _better_shape(linear, shape, columns)
        columns = refined(Linear.around(linear.part, shape, columns), shape, columns)
    linear = Linear.around(part, shape, columns)
    noise = noise_line(linear.level, part.data - linear.level)
    inside = _inside(part.sites_px, part.data.shape, shape.reach_px)
    usual = _usual(columns.brightness, part.kind, inside, len(shape.coefficients))
    whole = inside & (columns.brightness > 0.5 * usual[part.kind])
    return Setting(shape, noise, usual, error_factors(weighted(linear, noise), whole), knot_px)


def weighted(linear: Linear, noise: NoiseLine | None = None) -> Linear:
    """The same model with weights from `noise`, or from the noise it leaves."""
    residual = linear.part.data - linear.level
    line = noise_line(linear.level, residual) if noise is None else noise
    return linear.weighted(replace(linear.part, weight=line.weight(linear.level, residual)))


def cut(
    image: Tensor, places: Tensor, kind: Tensor, corners: Corners, shape: ColumnShape, knot_px: float
) -> tuple[Part, Tensor]:
    """A part of the image and the indices of the sites that reach onto it."""
    first, last = corners
    corner = torch.tensor(first, device=image.device)
    end = torch.tensor(last, device=image.device)
    near = ((places > corner - shape.reach_px) & (places < end + shape.reach_px)).all(1).nonzero()[:, 0]
    data = image[first[0] : last[0], first[1] : last[1]]
    return Part.of(data, places[near] - corner, kind[near], reach_px=shape.reach_px, knot_px=knot_px), near


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
