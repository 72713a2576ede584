"""What holds for all columns of an image: their shape, the noise, and how far errors exceed those of lone columns.

Fitted once, on the part of the image whose columns stand out most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_background import Background, Power, true_power
from napari_stem_gan.detect.column_errors import Drawing, error_factors
from napari_stem_gan.detect.column_model import LEAST_ROW_VARIANCE, Linear, difference, refined
from napari_stem_gan.detect.column_noise import NoiseLine, noise_line
from napari_stem_gan.detect.column_part import Columns, Part, normal_like, start
from napari_stem_gan.detect.column_places import fitted_stray, settled
from napari_stem_gan.detect.column_shape import ColumnShape
from napari_stem_gan.detect.column_shape_fit import fitted_shape

SAMPLE_CONSTANTS = 20  # side of the part that is fitted, in lattice constants
ROUNDS = 2
FIRST_ROW_SHIFT = 0.1  # standard deviations of a column
LEAST_WHOLE = 0.5  # of the usual brightness
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

    Returns
    -------
    Setting
        In units of `image`; factors are 1 for kinds of which the part holds too few columns to judge by.
    """
    corners = _best_corners(image, places, SAMPLE_CONSTANTS * constant_px)
    shape, rng = ColumnShape.gaussian(sigma_px, int(kind.max()) + 1, image.device), np.random.default_rng(0)
    part, _ = cut(image, places, kind, corners, shape, Power.first(constant_px))
    part, shape, columns = _first_fit(part, shape, rng)
    linear = Linear.around(part, shape, columns)
    sample = _Sample.of(linear, shape, columns)
    linear = weighted(linear, sample.noise)
    linear, columns, _ = sample.refitted(linear, _with_row_shifts(linear.part, shape), columns)
    linear, columns, stray = sample.refitted(linear, _better_expected(linear, columns, rng), columns)
    groups = torch.stack([sample.whole & (part.kind == k) for k in range(len(sample.usual))])
    factors = error_factors(Drawing.of(linear, part, columns, stray), groups)
    power, rows = linear.part.background.expected, linear.part.row_variance
    return Setting(shape, sample.noise, sample.usual, factors, power, rows, stray)


@dataclass(frozen=True)
class _Sample:
    """What the part that is fitted has told before its columns settle.

    Parameters
    ----------
    shape, noise
        Of its columns and pixels.
    usual
        Usual brightness of each kind, shape ``(kinds,)``.
    whole
        Columns that lie wholly inside and are not much darker than usual, shape ``(N,)``.
    """

    shape: ColumnShape
    noise: NoiseLine
    usual: Tensor
    whole: Tensor

    @classmethod
    def of(cls, linear: Linear, shape: ColumnShape, columns: Columns) -> _Sample:
        """Noise and usual columns of a model at fitted columns."""
        part = linear.part
        noise = noise_line(linear.level, part.data - linear.level)
        inside = _inside(part.sites_px, part.data.shape, shape.reach_px)
        usual = _usual(columns.brightness, part.kind, inside, len(shape.coefficients))
        return cls(shape, noise, usual, inside & (columns.brightness > LEAST_WHOLE * usual[part.kind]))

    def refitted(self, linear: Linear, part: Part, columns: Columns) -> tuple[Linear, Columns, float]:
        """Model, columns and how far these stray, fitted again with columns expected on the lattice of `linear`.

        What else is expected, of background and rows, is as in `part`.
        """
        stray = fitted_stray(linear, columns, self.whole, self.shape.sigma_px)
        part = settled(replace(linear, part=part), columns, stray, self.usual)
        columns = refined(self._linear(part, columns), self.shape, columns)
        return self._linear(part, columns), columns, stray

    def _linear(self, part: Part, columns: Columns) -> Linear:
        return weighted(Linear.around(part, self.shape, columns), self.noise)


def _first_fit(part: Part, shape: ColumnShape, rng: np.random.Generator) -> tuple[Part, ColumnShape, Columns]:
    """Part, shape and columns after rounds in which background, offsets of rows and shape are read from each other."""
    columns = start(part)
    for _ in range(2):  # brightness, then places
        columns = refined(Linear.around(part, shape, columns), shape, columns)
    for _ in range(ROUNDS):
        linear = weighted(Linear.around(part, shape, columns))
        part = _better_expected(linear, columns, rng)
        shape = fitted_shape(linear, shape, columns)
        columns = refined(Linear.around(part, shape, columns), shape, columns)
    return part, shape, columns


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


def _with_row_shifts(part: Part, shape: ColumnShape) -> Part:
    """The part with rows that may be shifted, too."""
    variance = part.row_variance.clone()
    variance[1:] = (FIRST_ROW_SHIFT * shape.sigma_px) ** 2
    return replace(part, row_variance=variance)


def weighted(linear: Linear, noise: NoiseLine | None = None) -> Linear:
    """The same model with weights from `noise`; None: from the noise that it leaves."""
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
    """Cut a part out of an image.

    Parameters
    ----------
    image
        Shape ``(Y, X)``.
    places, kind
        All sites, shape ``(N, 2)`` as (y, x), and the kinds of their columns, ``(N,)``.
    corners
        First pixel (y, x) of the part, and the first one beyond it.
    shape, power
        Of columns and background.
    row_variance
        Of offset and shifts of rows, shape ``(3,)``; None: offsets alone, of which nothing is known yet.

    Returns
    -------
    tuple
        The part, and the indices of the sites that reach onto it.
    """
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


def _best_corners(image: Tensor, places: Tensor, side: float) -> Corners:
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
