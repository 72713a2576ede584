"""How much wider errors are than those of each column alone in white noise: everything is drawn, and fitted again.

What neighbours, contamination, rows and noise that is correlated along them leave unknown widens the errors. So does
the local lattice: where rows jitter, it is first seen through columns that moved with their rows, alike for all of one
row, and how rows are shifted is then told from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_model import Linear, difference
from napari_stem_gan.detect.column_noise import OUTLIER_SIGMAS
from napari_stem_gan.detect.column_part import Columns, Part, normal_like
from napari_stem_gan.detect.column_places import local_lattice

FREE_OF_COLUMNS = 0.33  # cycles per pixel along y
FEWEST = 8  # columns to judge errors by
DRAWS = 3
MOST_HANDED_ON = 0.75  # more cannot be told from a wandering lattice


@dataclass(frozen=True)
class Drawing:
    """What is drawn and fitted again.

    Parameters
    ----------
    linear
        The model at the fitted columns, with all that is expected of them.
    before
        The same before the lattice and the shifts of rows were known.
    correlation
        Share of its shift along y and along x that a row hands on to the next one.
    stray_px
        How far columns lie off the local lattice, standard deviation along an axis.
    """

    linear: Linear
    before: Linear
    correlation: tuple[float, float]
    stray_px: float

    @classmethod
    def of(cls, linear: Linear, first: Part, columns: Columns, stray_px: float) -> Drawing:
        """From the part with what was expected at first, and the columns with the rows that were found."""
        first = replace(first, weight=linear.part.weight)
        before = replace(linear, prior=torch.maximum(first.precision, linear.prior.min())).weighted(first)
        return cls(linear, before, (_correlation(columns.rows[:, 1]), _correlation(columns.rows[:, 2])), stray_px)

    def off(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Fitted minus true (brightness, y, x) of drawn columns ``(N, 3)``, and what lattice and slow rows add."""
        linear, width = self.linear, self.linear.part.weight.rsqrt()
        ours = ((linear.part.data - linear.level) / width).clamp(-OUTLIER_SIGMAS, OUTLIER_SIGMAS)
        true = linear.drawn(rng)
        seen = linear.forward(true) + _noise_like(ours, rng) * width
        slow = torch.zeros_like(true[0]), torch.zeros_like(true[1]), self._slow(true[2])
        more = linear.forward(slow)
        lattice = self._lattice(seen + more)
        pulled = torch.cat([torch.zeros_like(lattice[:, :1]), -lattice], 1), slow[1], torch.zeros_like(slow[2])
        return difference(linear.solve(seen), true)[0], linear.solve(more, pulled)[0]

    def _slow(self, rows: Tensor) -> Tensor:
        """What makes of independent shifts of rows ``(Y, 3)`` such as each row hands on to the next."""
        slow = torch.zeros_like(rows)
        for axis, share in enumerate(self.correlation, start=1):
            slow[:, axis] = _handed_on(rows[:, axis], share) - rows[:, axis]
        return slow

    def _lattice(self, seen: Tensor) -> Tensor:
        """Shift of the lattice at each site ``(N, 2)`` as it is seen before rows may be shifted; truly 0."""
        found, knots, rows = self.before.solve(seen)
        return local_lattice(self.before, Columns(found[:, 0], found[:, 1:], knots, rows), self.stray_px)


def error_factors(drawing: Drawing, groups: Tensor, *, seed: int = 0) -> Tensor:
    """Errors of (brightness, y, x) over those of lone columns, as root mean squares.

    Parameters
    ----------
    drawing
        What is drawn.
    groups
        Columns to judge by in each group, shape ``(G, N)``.
    seed
        Seed of what is drawn.

    Returns
    -------
    Tensor
        Shape ``(G, 3)``; 1 for groups of fewer than `FEWEST` columns.
    """
    rng = np.random.default_rng(seed)
    alone = torch.diagonal(torch.linalg.inv(drawing.linear.block), dim1=1, dim2=2)
    off = [drawing.off(rng) for _ in range(DRAWS)]
    places = torch.stack([(known + added)[:, 1:].square() for known, added in off]).mean(0)
    squares = torch.cat([off[0][0][:, :1].square(), places], 1) / alone
    return torch.stack([squares[g].mean(0).sqrt() if g.sum() >= FEWEST else torch.ones_like(alone[0]) for g in groups])


def _correlation(shift: Tensor) -> float:
    """Share of its shift that a row ``(Y,)`` hands on, from how neighbours and next neighbours differ.

    What varies slowly is lattice to the fit, and does not count here.
    """
    near, far = (float((shift[step:] - shift[:-step]).square().mean()) for step in (1, 2))
    return min(max(far / near - 1, 0.0), MOST_HANDED_ON) if near > 0 else 0.0


def _handed_on(shift: Tensor, share: float) -> Tensor:
    """Series of first order ``(Y,)`` of independent numbers, whose neighbours differ as much as those do."""
    row = torch.arange(len(shift), device=shift.device)
    handed = (share ** (row[:, None] - row).clamp_min(0).to(shift.dtype)).tril() * (1 + share) ** 0.5
    handed[:, 0] /= (1 - share**2) ** 0.5  # stationary from the first row on
    return handed @ shift


def _noise_like(white: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise with the power of a residual ``(Y, X)`` over frequencies along x, read where columns have none along y."""
    power = torch.fft.rfft2(white).abs().square()
    free = torch.fft.fftfreq(white.shape[0], device=white.device).abs() > FREE_OF_COLUMNS
    along_x = power[free].mean(0) / white.numel()
    return torch.fft.irfft2(torch.fft.rfft2(normal_like(white, rng)) * along_x.sqrt(), s=white.shape)
