"""A part of an image with its columns, background and rows, and what is expected of them before looking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_background import Background
from napari_stem_gan.detect.column_shape import ColumnShape

PRIOR_SIGMAS = 0.5  # how far columns may lie from their sites, in standard deviations of the column
FIRST_ROW_VARIANCE = 0.03  # of offsets, in an image of spread 1 of whose rows nothing is known yet
Change = tuple[Tensor, Tensor, Tensor]
"""Of columns (brightness, y, x) ``(N, 3)``, of the background's coefficients, of rows (offset, y, x) ``(Y, 3)``."""


@dataclass(frozen=True)
class Columns:
    """Columns, background and rows of one part.

    Parameters
    ----------
    brightness
        Shape ``(N,)``.
    shift_px
        Column minus site, shape ``(N, 2)`` as (y, x).
    knots
        Coefficients of the background, shape ``(ky, kx)``.
    rows
        What is added to each row, and how far it is shifted along y and x, shape ``(Y, 3)``.
    """

    brightness: Tensor
    shift_px: Tensor
    knots: Tensor
    rows: Tensor

    @property
    def unknowns(self) -> Change:
        """As the unknowns that are solved for."""
        return torch.cat([self.brightness[:, None], self.shift_px], 1), self.knots, self.rows


@dataclass(frozen=True)
class Part:
    """A part of an image with the sites on and around it, and what is expected before looking.

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
    background
        What lies between the columns.
    mean, precision
        Expected (brightness, y, x) of each column and one over the variance of that, 0: anything; shape ``(N, 3)``.
    row_variance
        Variance of offset and shifts of a row, shape ``(3,)``; 0: there is none.
    reach_px
        Half the side of the square that a column is drawn on.
    """

    data: Tensor
    weight: Tensor
    sites_px: Tensor
    kind: Tensor
    background: Background
    mean: Tensor
    precision: Tensor
    row_variance: Tensor
    reach_px: int

    @classmethod
    def of(
        cls, data: Tensor, sites_px: Tensor, kind: Tensor, *, shape: ColumnShape, background: Background,
    ) -> Part:  # fmt: skip
        """A part with even weights, whose columns lie near their sites and may be of any brightness."""
        tight = 1 / (PRIOR_SIGMAS * shape.sigma_px) ** 2
        precision = data.new_tensor([0.0, tight, tight]).repeat(len(sites_px), 1)
        none, even = torch.zeros_like(precision), torch.ones_like(data)
        rows = data.new_tensor([FIRST_ROW_VARIANCE, 0.0, 0.0])
        return cls(data, even, sites_px, kind, background, none, precision, rows, shape.reach_px)

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


def start(part: Part) -> Columns:
    """No brightness, no shift and no background anywhere."""
    count, zero = len(part.sites_px), part.data.new_zeros
    return Columns(zero(count), zero(count, 2), zero(*part.background.knots), zero(len(part.data), 3))


def normal_like(like: Tensor, rng: np.random.Generator) -> Tensor:
    """Standard normal numbers of the shape, type and device of `like`."""
    return torch.as_tensor(rng.standard_normal(tuple(like.shape)), dtype=like.dtype, device=like.device)
