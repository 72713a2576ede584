"""All columns of a part of an image over a smooth background: drawing them, and solving for all of them at once.

Neighbours overlap, so that columns, background, offsets and shifts of rows are solved for together: Gauss–Newton steps,
each by conjugate gradients on the normal equations, preconditioned by the 3 × 3 block of every column and by the
frequencies of the background. The matrix is never built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_part import Change, Columns, Part, normal_like
from napari_stem_gan.detect.column_shape import ColumnShape

LARGEST_SHIFT_SIGMAS = 1.5
LEAST_INFORMATION, LEAST_ROW_VARIANCE = 1e-6, 1e-9  # of the usual: what no pixel tells stays where it is
ITERATIONS, TOLERANCE = 12, 1e-3
LEFT_BY_COLUMNS = 0.2  # of what pixels tell of the background; a guess, for the preconditioner
Operator = Callable[[Change], Change]


@dataclass(frozen=True)
class Linear:
    """The model around given columns, linear in its unknowns.

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
    slopes
        Derivatives of the image by a shift of all columns along y and x, shape ``(2, Y, X)``.
    block
        Normal matrix of each column alone with what is expected of it, shape ``(N, 3, 3)``.
    prior
        Precision of what is expected of it, nowhere 0, shape ``(N, 3)``.
    """

    part: Part
    level: Tensor
    design: Tensor
    index: Tensor
    slopes: Tensor
    block: Tensor
    prior: Tensor

    @classmethod
    def around(cls, part: Part, shape: ColumnShape, columns: Columns) -> Linear:
        """Model and derivatives at `columns`."""
        design = shape.patches(part.sites_px + columns.shift_px - part.middle, part.kind).flatten(2)
        index = part.index().reshape(-1)
        loose = LEAST_INFORMATION * float(part.weight.mean() * design[0].square().sum(1).mean())
        level = part.drawn(design[0] * columns.brightness[:, None], index) + part.background.image(columns.knots)
        design[1:] *= columns.brightness[:, None]
        slopes = torch.stack([part.drawn(d, index) for d in design[1:]])
        level = level + _of_rows(columns.rows, slopes)
        return cls(part, level, design, index, slopes, torch.empty(0), part.precision.clamp_min(loose)).weighted(part)

    def weighted(self, part: Part) -> Linear:
        """The same with the weights of `part`."""
        local = part.read(part.weight, self.index)
        block = torch.diag_embed(self.prior)
        for i in range(3):
            product = self.design[i] * local
            for j in range(i, 3):
                value = (product * self.design[j]).sum(1)
                block[:, i, j] += value
                if j > i:
                    block[:, j, i] += value
        return replace(self, part=part, block=block)

    def forward(self, change: Change) -> Tensor:
        """Image ``(Y, X)`` of a change of the unknowns."""
        columns, knots, rows = change
        patches = self.design[0] * columns[:, :1]
        for i in (1, 2):
            patches.addcmul_(self.design[i], columns[:, i : i + 1])
        return self.part.drawn(patches, self.index) + self.part.background.image(knots) + _of_rows(rows, self.slopes)

    def adjoint(self, image: Tensor) -> Change:
        """Products of all derivatives with an image ``(Y, X)``."""
        local = self.part.read(image, self.index)
        columns = torch.stack([(d * local).sum(1) for d in self.design], 1)
        return columns, self.part.background.adjoint(image), self._by_rows(image)

    def expected(self, change: Change) -> Change:
        """Precision of what is expected, times a change."""
        background = self.part.background
        return self.prior * change[0], background.filtered(change[1], background.precision), self._rows * change[2]

    @property
    def _rows(self) -> Tensor:
        return 1 / self.part.row_variance.clamp_min(LEAST_ROW_VARIANCE)

    def _by_rows(self, image: Tensor) -> Tensor:
        return torch.stack([image.sum(1), *(image * self.slopes).sum(2)], 1)

    def solve(self, residual: Tensor, already: Change | None = None, iterations: int = ITERATIONS) -> Change:
        """Most likely change of the unknowns that explains a residual image.

        Parameters
        ----------
        residual
            Shape ``(Y, X)``.
        already
            How far the unknowns, that the residual was taken at, are from what is expected of them; None: not.
        iterations
            Most steps of conjugate gradients.

        Returns
        -------
        Change
            Of columns ``(N, 3)``, coefficients of the background ``(ky, kx)`` and rows ``(Y, 3)``.
        """
        weight, inverse, background = self.part.weight, torch.linalg.inv(self.block), self.part.background
        response = 1 / (LEFT_BY_COLUMNS * weight.mean() * background.transfer() + background.precision)
        across = torch.stack([weight.sum(1), *(weight * self.slopes**2).sum(2)], 1) + self._rows

        def normal(change: Change) -> Change:
            return _plus(self.adjoint(weight * self.forward(change)), self.expected(change), 1.0)

        def precondition(change: Change) -> Change:
            columns, knots, rows = change
            return (inverse @ columns[..., None])[..., 0], background.filtered(knots, response), rows / across

        right = self.adjoint(weight * residual)
        right = right if already is None else _plus(right, self.expected(already), -1.0)
        return conjugate_gradients(normal, precondition, right, iterations)

    def drawn(self, rng: np.random.Generator) -> Change:
        """Random unknowns such as are expected, around what is expected; 0 where anything is."""
        part = self.part
        columns = normal_like(self.prior, rng) * torch.where(part.precision > 0, part.precision, torch.inf).rsqrt()
        rows = normal_like(part.data[:, :3], rng) * part.row_variance.sqrt()
        return columns, part.background.drawn(rng), rows


def _of_rows(rows: Tensor, slopes: Tensor) -> Tensor:
    """Image ``(Y, X)`` of offsets and shifts of rows ``(Y, 3)``."""
    return rows[:, :1] + rows[:, 1:2] * slopes[0] + rows[:, 2:] * slopes[1]


def conjugate_gradients(normal: Operator, precondition: Operator, right: Change, iterations: int) -> Change:
    """Solve ``normal(x) = right`` from 0.

    Parameters
    ----------
    normal
        Symmetric and positive.
    precondition
        Roughly its inverse, symmetric and positive too.
    right
        Right-hand side.
    iterations
        Most steps; fewer where the residual has fallen to `TOLERANCE` of the first one.

    References
    ----------
    .. [1] M. R. Hestenes & E. Stiefel, "Methods of conjugate gradients for solving linear systems",
       J. Res. Natl. Bur. Stand. 49, 409 (1952), doi:10.6028/jres.049.044.
    """
    x, r = _times(right, 0.0), right
    p = z = precondition(r)
    power = first = _dot(r, z)
    for _ in range(iterations):
        if not power > TOLERANCE**2 * first:
            break
        q = normal(p)
        step = power / _dot(p, q)
        x, r = _plus(x, p, step), _plus(r, q, -step)
        z = precondition(r)
        before, power = power, _dot(r, z)
        p = _plus(z, p, power / before)
    return x


def refined(linear: Linear, shape: ColumnShape, columns: Columns) -> Columns:
    """One Gauss–Newton step of all unknowns together.

    Parameters
    ----------
    linear
        The model at `columns`.
    shape
        Of the columns, the width of which limits their steps.
    columns
        Where to start.
    """
    unknown, knots, rows = columns.unknowns
    already = torch.where(linear.part.precision > 0, unknown - linear.part.mean, 0.0)
    change, more, offset = linear.solve(linear.part.data - linear.level, (already, knots, rows))
    limit = LARGEST_SHIFT_SIGMAS * shape.sigma_px
    shift = (columns.shift_px + change[:, 1:]).clamp(-limit, limit)
    return Columns(columns.brightness + change[:, 0], shift, knots + more, rows + offset)


def difference(a: Change, b: Change) -> Change:
    """One change of the unknowns minus another."""
    return _plus(a, b, -1.0)


def _dot(a: Change, b: Change) -> float:
    return sum(float((u * v).sum(dtype=torch.float64)) for u, v in zip(a, b, strict=True))


def _plus(a: Change, b: Change, factor: float) -> Change:
    return a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]


def _times(a: Change, factor: float) -> Change:
    return factor * a[0], factor * a[1], factor * a[2]
