"""Background between columns: a smooth random field whose power at each frequency is read from the image itself.

Contamination is brightest where it varies slowly, counting noise is alike at all frequencies. Knowing how much of each
there is, a fit neither takes contamination for columns nor noise for contamination: it is the best linear one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
KNOTS = 0.5  # distance of knots in lattice constants
PAD = 3  # knots beyond each side; cubic splines reach two of them
FIRST_LENGTH, FIRST_FLOOR = 0.25, 1e-4  # of a field as rough as any contamination: in lattice constants, of its peak
LEAST_TOLD = 0.02  # of what noise leaves unknown: less power cannot be told from none
LEAST_SHARE = 0.2  # of a field that is buried in noise little is found, and it matters little
FEWEST = 12  # Fourier coefficients that one ring averages over


@dataclass(frozen=True)
class Power:
    """Mean power of the field's coefficients by frequency, a line between points in its logarithm.

    Parameters
    ----------
    knot_px
        Distance of the knots.
    frequency
        Cycles per pixel, rising, shape ``(R,)``.
    value
        Variance of a coefficient's Fourier transform over the number of knots, shape ``(R,)``.
    """

    knot_px: float
    frequency: Array
    value: Array

    @classmethod
    def first(cls, constant_px: float) -> Power:
        """Power of a rough field, for an image of spread 1 of which nothing is known yet."""
        frequency = np.linspace(0, 2 / constant_px, 40)
        bell = np.exp(-((2 * np.pi * FIRST_LENGTH * constant_px * frequency) ** 2))
        return cls(KNOTS * constant_px, frequency, np.maximum(bell, FIRST_FLOOR))

    def at(self, frequency: Tensor) -> Tensor:
        """Power at frequencies of any shape; beyond the last it stays."""
        logarithm = np.interp(frequency.cpu().numpy(), self.frequency, np.log(self.value))
        return torch.as_tensor(np.exp(logarithm), dtype=frequency.dtype, device=frequency.device)


@dataclass(frozen=True)
class Background:
    """The background of one part: cubic splines on a grid of knots, with what is expected of their coefficients.

    Parameters
    ----------
    rows, cols
        From knots to pixels, ``(Y, ky)`` and ``(X, kx)``.
    expected
        Power of the field.
    frequency
        Of each Fourier coefficient of the knots in cycles per pixel, ``(ky, kx // 2 + 1)``.
    precision
        One over the expected power there, 0 for the mean, which may be anything.
    """

    rows: Tensor
    cols: Tensor
    expected: Power
    frequency: Tensor
    precision: Tensor

    @classmethod
    def of(cls, data: Tensor, power: Power) -> Background:
        """The background of an image ``(Y, X)``."""
        rows, cols = (_splines(n, power.knot_px, data) for n in data.shape)
        fy = torch.fft.fftfreq(rows.shape[1], power.knot_px, device=data.device)[:, None]
        fx = torch.fft.rfftfreq(cols.shape[1], power.knot_px, device=data.device)[None]
        frequency = torch.hypot(fy, fx)
        precision = 1 / power.at(frequency)
        precision[0, 0] = 0.0
        return cls(rows, cols, power, frequency, precision)

    @property
    def knots(self) -> tuple[int, int]:
        """How many knots along y and x."""
        return self.rows.shape[1], self.cols.shape[1]

    def image(self, knots: Tensor) -> Tensor:
        """Background ``(Y, X)`` of coefficients ``(ky, kx)``."""
        return self.rows @ knots @ self.cols.T

    def adjoint(self, image: Tensor) -> Tensor:
        """Products of an image ``(Y, X)`` with every spline, ``(ky, kx)``."""
        return self.rows.T @ image @ self.cols

    def filtered(self, knots: Tensor, response: Tensor) -> Tensor:
        """Coefficients ``(ky, kx)`` with every frequency multiplied."""
        return torch.fft.irfft2(torch.fft.rfft2(knots) * response, s=self.knots)

    def drawn(self, rng: np.random.Generator) -> Tensor:
        """Random coefficients ``(ky, kx)`` with the expected power, of mean 0."""
        white = torch.as_tensor(rng.standard_normal(self.knots), dtype=self.rows.dtype, device=self.rows.device)
        gain = torch.where(self.precision > 0, self.precision, torch.inf).rsqrt()
        return self.filtered(white, gain)

    def transfer(self) -> Tensor:
        """Sum of squares of the background's pixels over that of its coefficients, of each frequency."""
        fy, fx = torch.fft.fft(_band(self.rows)).real, torch.fft.rfft(_band(self.cols)).real
        return (fy[:, None] * fx[None]).clamp_min(0.0)

    def power(self, found: Tensor, unknown: Tensor) -> Power:
        """Power of the field that left coefficients `found` when fitted with the present expectation.

        Parameters
        ----------
        found
            Fitted coefficients, ``(ky, kx)``.
        unknown
            One draw of fitted minus true coefficients of fields like the expected one, ``(ky, kx)``.

        Returns
        -------
        Power
            Falling with frequency.
        """
        count = found.numel()
        squares = [torch.fft.rfft2(k).abs().square() / count for k in (found, unknown)]
        mean, left, expected, frequency = _rings(self.frequency, *squares, 1 / self.precision.clamp_min(1e-12))
        value = np.minimum.accumulate(true_power(mean, left, expected))  # contamination is the weaker, the finer
        return Power(self.expected.knot_px, frequency, value)


def true_power(found: Array, left: Array, expected: Array) -> Array:
    """Variance of unknowns, from mean squares of what was fitted and of what such a fit leaves unknown.

    With an expected variance S and noise N the fit keeps γ = S / (S + N) of unknown and noise: it finds
    γ² (true variance + N) and leaves γ N.

    Parameters
    ----------
    found
        Mean squares of fitted unknowns, any shape.
    left
        Mean squares of fitted minus true ones, drawn with the expected variance.
    expected
        That variance.
    """
    share = (1 - left / expected).clip(LEAST_SHARE, 1.0)
    return np.asarray(np.maximum(found / share**2 - left / share, LEAST_TOLD * left / share))


def _band(matrix: Tensor) -> Tensor:
    """Products of the middle spline with all others, its own first, ``(knots,)``."""
    middle = matrix.shape[1] // 2
    return torch.roll(matrix.T @ matrix[:, middle], -middle)


def _rings(frequency: Tensor, *values: Tensor) -> tuple[Array, ...]:
    """Means of values over rings of like frequency, and the frequency of each ring."""
    f = frequency.reshape(-1).cpu().numpy().astype(float)[1:]  # without the mean
    order = np.argsort(f)
    edges = _edges(len(order))
    rings = np.split(order, edges)
    columns = [v.reshape(-1).cpu().numpy().astype(float)[1:] for v in values]
    return (*(np.array([c[r].mean() for r in rings]) for c in columns), np.array([f[r].mean() for r in rings]))


def _edges(count: int) -> list[int]:
    """Where to split a sorted list: groups that grow from `FEWEST` on, so that rings are about evenly wide."""
    edges, number = [], 1
    while FEWEST * number * (number + 1) // 2 < count - FEWEST * number:
        edges.append(FEWEST * number * (number + 1) // 2)
        number += 1
    return edges


def _splines(length: int, step: float, like: Tensor) -> Tensor:
    """Cubic B-splines `step` pixels apart, over an axis of pixels and a little more, ``(length, knots)``."""
    count = math.ceil((length - 1) / step) + 1 + 2 * PAD
    pixels = torch.arange(length, device=like.device, dtype=like.dtype) / step + PAD
    t = (pixels[:, None] - torch.arange(count, device=like.device)).abs()
    inner, outer = 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp_min(0) ** 3 / 6
    return torch.where(t < 1, inner, outer).to(like.dtype)
