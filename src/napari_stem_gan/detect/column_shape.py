"""What one atomic column looks like: Gauss–Hermite functions, so that tails and aberrations of the probe fit too.

A column is ``A Σ c_mn g_m(y/σ) g_n(x/σ)`` with ``g_n(t) = He_n(t) exp(−t²/2) / √n!``: the Gaussian (c_00 = 1), its
width (second order), coma and three-fold astigmatism (third order) and the tails of the probe (even orders). First
orders are left out: they would only move the column. Derivatives are exact: ``g_n' = −√(n + 1) g_{n+1}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

HIGHEST_ORDER = 6
REACH_SIGMAS = 2.5
WIDTH = ((2, 0), (0, 2))
ORDERS = tuple(
    (m, n) for m in range(HIGHEST_ORDER + 1) for n in range(HIGHEST_ORDER + 1) if 2 <= m + n <= HIGHEST_ORDER
)


@dataclass(frozen=True)
class ColumnShape:
    """Shape of the columns of an image; brightness 1 means a Gaussian part of height 1.

    Parameters
    ----------
    sigma_px
        Standard deviation of the Gaussian part.
    coefficients
        Of each kind of column, shape ``(kinds, orders, orders)`` for (y, x).
    """

    sigma_px: float
    coefficients: Tensor

    @classmethod
    def gaussian(cls, sigma_px: float, kinds: int, device: torch.device | str = "cpu") -> ColumnShape:
        """Plain Gaussians."""
        coefficients = torch.zeros(kinds, HIGHEST_ORDER + 2, HIGHEST_ORDER + 2, device=device)
        coefficients[:, 0, 0] = 1.0
        return cls(sigma_px, coefficients)

    @property
    def reach_px(self) -> int:
        """Half the side of the square that a column is drawn on."""
        return int(-(-REACH_SIGMAS * self.sigma_px // 1))

    def peak(self) -> Tensor:
        """Height of a column of brightness 1 at its position, of each kind, ``(kinds,)``."""
        at_zero = hermite(torch.zeros(1, device=self.coefficients.device), self.coefficients.shape[1])[:, 0]
        return torch.einsum("kmn,m,n->k", self.coefficients, at_zero, at_zero)

    def with_change(self, common: Tensor, width: Tensor) -> ColumnShape:
        """Add to the coefficients of `ORDERS` ``(orders,)``, and to both second orders of each kind ``(kinds,)``."""
        changed = self.coefficients.clone()
        for value, (m, n) in zip(common, ORDERS, strict=True):
            changed[:, m, n] += value
        for m, n in WIDTH:
            changed[:, m, n] += width
        return replace(self, coefficients=changed)

    def profiles(self, offset_px: Tensor) -> Tensor:
        """Hermite functions around columns ``(N, 2)`` off the middle pixel: ``(N, 2, orders, K)``."""
        steps = torch.arange(-self.reach_px, self.reach_px + 1, device=offset_px.device, dtype=offset_px.dtype)
        t = (steps - offset_px[..., None]) / self.sigma_px  # (N, 2, K)
        return hermite(t, self.coefficients.shape[1]).movedim(0, 2)

    def patches(self, offset_px: Tensor, kind: Tensor) -> Tensor:
        """Columns of brightness 1 and their slopes by the column's y and x, ``(3, N, K, K)``.

        Parameters
        ----------
        offset_px
            Column minus middle pixel, shape ``(N, 2)`` as (y, x).
        kind
            Kind of each column, shape ``(N,)``.
        """
        profiles = self.profiles(offset_px)
        raised = torch.sqrt(torch.arange(1.0, self.coefficients.shape[1], device=offset_px.device)) / self.sigma_px
        along_y, along_x = torch.zeros_like(self.coefficients), torch.zeros_like(self.coefficients)
        along_y[:, 1:] = self.coefficients[:, :-1] * raised[:, None]
        along_x[:, :, 1:] = self.coefficients[:, :, :-1] * raised
        every = torch.stack([self.coefficients, along_y, along_x])[:, kind]  # (3, N, orders, orders)
        return profiles[:, 0].transpose(1, 2) @ every @ profiles[:, 1]

    def basis(self, offset_px: Tensor, orders: Sequence[tuple[int, int]]) -> Tensor:
        """Single Hermite functions, ``(N, len(orders), K, K)``."""
        profiles = self.profiles(offset_px)
        rows = profiles[:, 0, [m for m, _ in orders]]
        cols = profiles[:, 1, [n for _, n in orders]]
        return rows[..., :, None] * cols[..., None, :]


def hermite(t: Tensor, count: int) -> Tensor:
    """Normalised Hermite functions ``g_0 … g_{count−1}`` at `t`, shape ``(count, …)``."""
    values = [torch.exp(-(t**2) / 2)]
    for n in range(count - 1):
        below = values[n - 1] * n**0.5 if n else 0.0
        values.append((t * values[n] - below) / (n + 1) ** 0.5)
    return torch.stack(values)
