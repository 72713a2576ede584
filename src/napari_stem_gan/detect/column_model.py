"""All columns of a part of an image over a smooth background: drawing them, and solving for all of them at once.

Neighbours overlap, so that columns and background are solved for together: Gauss–Newton steps, each by conjugate
gradients on the normal equations, preconditioned by the 3 × 3 block of every column. The matrix is never built.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_stem_gan.detect.column_shape import ColumnShape

PRIOR_SIGMAS = 0.5  # how far columns may lie from their sites, in standard deviations of the column
LARGEST_SHIFT_SIGMAS = 1.5
LEAST_INFORMATION, KNOT_RIDGE = 1e-6, 1e-4  # of the usual: what no pixel tells stays where it is
ITERATIONS, TOLERANCE = 7, 3e-3
Pair = tuple[Tensor, Tensor]
Operator = Callable[[Tensor, Tensor], Pair]


@dataclass(frozen=True)
class Columns:
    """Columns and background of one part.

    Parameters
    ----------
    brightness
        Shape ``(N,)``.
    shift_px
        Column minus site, shape ``(N, 2)`` as (y, x).
    knots
        Background on a coarse grid, shape ``(ky, kx)``.
    """

    brightness: Tensor
    shift_px: Tensor
    knots: Tensor


@dataclass(frozen=True)
class Part:
    """A part of an image with the sites on and around it.

    Parameters
    ----------
    data
        Shape ``(Y, X)``.
    weight
        One over the noise's variance, shape ``(Y, X)``.
    sites_px
        Shape ``(N, 2)`` as (y, x) in this part's pixels.
    kind
        Kind of each column, shape ``(N,)``.
    rows, cols
        Interpolation from the background's knots to pixels, ``(Y, ky)`` and ``(X, kx)``.
    reach_px
        Half the side of the square that a column is drawn on.
    """

    data: Tensor
    weight: Tensor
    sites_px: Tensor
    kind: Tensor
    rows: Tensor
    cols: Tensor
    reach_px: int

    @classmethod
    def of(cls, data: Tensor, sites_px: Tensor, kind: Tensor, *, reach_px: int, knot_px: float) -> Part:
        """A part with even weights; background knots are `knot_px` apart."""
        rows, cols = (_hat(n, knot_px, data) for n in data.shape)
        return cls(data, torch.ones_like(data), sites_px, kind, rows, cols, reach_px)

    @property
    def margin(self) -> int:
        """Pixels around the part that columns at its rim are drawn on."""
        return 2 * self.reach_px + 1

    @property
    def middle(self) -> Tensor:
        """Pixel nearest to each site, ``(N, 2)``; sites far outside are drawn at the margin's rim."""
        limit = torch.tensor(self.data.shape, device=self.data.device) + self.reach_px
        return torch.minimum(torch.round(self.sites_px).long().clamp_min(-self.reach_px - 1), limit)

    def index(self) -> Tensor:
        """Place of each column's pixels in the flat image with its margin, ``(N, K²)``."""
        steps = torch.arange(-self.reach_px, self.reach_px + 1, device=self.data.device)
        corner = self.middle + self.margin
        rows, cols = corner[:, 0, None] + steps, corner[:, 1, None] + steps
        return (rows[:, :, None] * (self.data.shape[1] + 2 * self.margin) + cols[:, None, :]).flatten(1)

    def drawn(self, patches: Tensor, index: Tensor) -> Tensor:
        """Sum of columns' patches ``(N, K²)`` as an image ``(Y, X)``; `index` is flat."""
        shape = [n + 2 * self.margin for n in self.data.shape]
        flat = torch.zeros(shape[0] * shape[1], device=self.data.device)
        flat.index_add_(0, index, patches.reshape(-1))
        inner = slice(self.margin, -self.margin)
        return flat.view(shape[0], shape[1])[inner, inner]

    def read(self, image: Tensor, index: Tensor) -> Tensor:
        """Pixels ``(N, K²)`` of an image ``(Y, X)`` around each column, 0 beyond it; `index` is flat."""
        padded = torch.nn.functional.pad(image, [self.margin] * 4)
        return padded.reshape(-1).index_select(0, index).view(len(self.sites_px), -1)

    def background(self, knots: Tensor) -> Tensor:
        """Background ``(Y, X)`` from its knots."""
        return self.rows @ knots @ self.cols.T


def start(part: Part) -> Columns:
    """Nothing anywhere."""
    count, zero = len(part.sites_px), part.data.new_zeros
    return Columns(zero(count), zero(count, 2), zero(part.rows.shape[1], part.cols.shape[1]))


@dataclass(frozen=True)
class Linear:
    """The model around given columns, linear in (brightness, y, x) of each and in the knots.

    Parameters
    ----------
    part
        Where; its weights count.
    level
        The model itself, shape ``(Y, X)``.
    design
        Derivatives of each column's pixels by (brightness, y, x), shape ``(3, N, K²)``.
    index
        Their places, shape ``(N K²,)``.
    block
        Normal matrix of each column alone with its prior, shape ``(N, 3, 3)``.
    prior
        Prior precision of (brightness, y, x), shape ``(3,)``.
    """

    part: Part
    level: Tensor
    design: Tensor
    index: Tensor
    block: Tensor
    prior: Tensor

    @classmethod
    def around(cls, part: Part, shape: ColumnShape, columns: Columns) -> Linear:
        """Model and derivatives at `columns`."""
        design = shape.patches(part.sites_px + columns.shift_px - part.middle, part.kind).flatten(2)
        index = part.index().reshape(-1)
        level = part.drawn(design[0] * columns.brightness[:, None], index) + part.background(columns.knots)
        loose = LEAST_INFORMATION * float(part.weight.mean() * design[0].square().sum(1).mean())
        design[1:] *= columns.brightness[:, None]
        tight = 1 / (PRIOR_SIGMAS * shape.sigma_px) ** 2
        prior = part.data.new_tensor([loose, tight, tight])
        return cls(part, level, design, index, torch.empty(0), prior).weighted(part)

    def weighted(self, part: Part) -> Linear:
        """The same with the weights of `part`."""
        local = part.read(part.weight, self.index)
        block = torch.diag(self.prior).repeat(len(local), 1, 1)
        for i in range(3):
            product = self.design[i] * local
            for j in range(i, 3):
                value = (product * self.design[j]).sum(1)
                block[:, i, j] += value
                if j > i:
                    block[:, j, i] += value
        return replace(self, part=part, block=block)

    def forward(self, change: Tensor, knots: Tensor) -> Tensor:
        """Image ``(Y, X)`` of a change ``(N, 3)`` of the columns and of the knots."""
        patches = self.design[0] * change[:, :1]
        for i in (1, 2):
            patches.addcmul_(self.design[i], change[:, i : i + 1])
        return self.part.drawn(patches, self.index) + self.part.background(knots)

    def adjoint(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Products of all derivatives with an image ``(Y, X)``."""
        local = self.part.read(image, self.index)
        return torch.stack([(d * local).sum(1) for d in self.design], 1), self.part.rows.T @ image @ self.part.cols

    def solve(
        self, residual: Tensor, pull: Tensor | None = None, iterations: int = ITERATIONS
    ) -> tuple[Tensor, Tensor]:
        """Least-squares change of columns ``(N, 3)`` and knots that explains a residual image.

        Parameters
        ----------
        residual
            Shape ``(Y, X)``.
        pull
            How far the columns already are from their prior means, shape ``(N, 3)``.
        iterations
            Most steps of conjugate gradients.
        """
        weight, inverse = self.part.weight, torch.linalg.inv(self.block)
        diagonal = (self.part.rows**2).T @ weight @ self.part.cols**2
        ridge = KNOT_RIDGE * diagonal.mean()

        def normal(change: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
            columns, background = self.adjoint(weight * self.forward(change, knots))
            return columns + self.prior * change, background + ridge * knots

        def precondition(change: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
            return (inverse @ change[..., None])[..., 0], knots / (diagonal + ridge)

        right, right_knots = self.adjoint(weight * residual)
        right = right if pull is None else right - self.prior * pull
        return conjugate_gradients(normal, precondition, (right, right_knots), iterations)


def conjugate_gradients(normal: Operator, precondition: Operator, right: Pair, iterations: int) -> Pair:
    """Solve ``normal(x) = right`` from 0; `right` and the solution are pairs (columns, knots)."""
    x, r = (torch.zeros_like(right[0]), torch.zeros_like(right[1])), right
    p = z = precondition(*r)
    power = first = _dot(r, z)
    for _ in range(iterations):
        if not power > TOLERANCE**2 * first:
            break
        q = normal(*p)
        step = power / _dot(p, q)
        x, r = _plus(x, p, step), _plus(r, q, -step)
        z = precondition(*r)
        before, power = power, _dot(r, z)
        p = _plus(z, p, power / before)
    return x


def refined(linear: Linear, shape: ColumnShape, columns: Columns) -> Columns:
    """One Gauss–Newton step of all columns and the background together, from where `linear` was taken."""
    pull = torch.cat([torch.zeros_like(columns.shift_px[:, :1]), columns.shift_px], 1)
    change, knots = linear.solve(linear.part.data - linear.level, pull)
    limit = LARGEST_SHIFT_SIGMAS * shape.sigma_px
    shift = (columns.shift_px + change[:, 1:]).clamp(-limit, limit)
    return Columns(columns.brightness + change[:, 0], shift, columns.knots + knots)


def _dot(a: Pair, b: Pair) -> float:
    return sum(float((u * v).sum(dtype=torch.float64)) for u, v in zip(a, b, strict=True))


def _plus(a: Pair, b: Pair, factor: float) -> Pair:
    return a[0] + factor * b[0], a[1] + factor * b[1]


def _hat(length: int, step: float, like: Tensor) -> Tensor:
    """Linear interpolation from equally spaced knots to pixels, ``(length, knots)``."""
    knots = max(2, math.ceil(length / step) + 1)
    place = torch.linspace(0, knots - 1, length, device=like.device)
    return (1 - (place[:, None] - torch.arange(knots, device=like.device)).abs()).clamp_min(0).to(like.dtype)
