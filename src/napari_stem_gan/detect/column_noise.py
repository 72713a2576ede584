"""Noise of an image around its columns: its variance by brightness, and how far it moves fitted numbers.

Counting noise grows with brightness, so that bright pixels count less. The line ``variance = floor + slope × level`` is
read from the residual itself: neither dose, gain nor offset of the detector need be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.column_model import Linear, difference
from napari_stem_gan.detect.column_part import normal_like

LEVELS = 12
LEAST_VARIANCE = 0.05  # of the median's, so that no pixel counts for everything
OUTLIER_SIGMAS = 5.0
FREE_OF_COLUMNS = 0.33  # cycles per pixel along y
ROBUST = 1.4826
FEWEST = 8  # columns to judge errors by


@dataclass(frozen=True)
class NoiseLine:
    """Variance of a pixel as a line over its level.

    Parameters
    ----------
    floor, slope
        In image units squared, and in image units.
    least
        Smallest variance that is believed.
    """

    floor: float
    slope: float
    least: float

    def variance(self, level: Tensor) -> Tensor:
        """Variance of pixels with expected values `level`."""
        return (self.floor + self.slope * level).clamp_min(self.least)

    def weight(self, level: Tensor, residual: Tensor) -> Tensor:
        """One over the variance, any shape; residuals beyond `OUTLIER_SIGMAS` count less (Huber's weights).

        References
        ----------
        .. [1] P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35, 73 (1964),
           doi:10.1214/aoms/1177703732.
        """
        variance = self.variance(level)
        far = residual.abs() / (OUTLIER_SIGMAS * variance.sqrt())
        return 1 / (variance * far.clamp_min(1.0))


def noise_line(level: Tensor, residual: Tensor) -> NoiseLine:
    """Fit the line to the spread of residuals between quantiles of the level; robust against defects and clouds.

    Parameters
    ----------
    level
        Expected value of each pixel, any shape.
    residual
        Data minus that, same shape.

    Returns
    -------
    NoiseLine
        Flat, at the median variance, where noise does not grow with the level.
    """
    x, r = level.reshape(-1).cpu().numpy().astype(float), residual.reshape(-1).cpu().numpy().astype(float)
    groups = np.array_split(np.argsort(x), LEVELS)
    middle = np.array([x[g].mean() for g in groups])
    variance = np.array([_clipped_variance(r[g]) for g in groups])
    variance = np.maximum(variance, 1e-12 * max(float(np.ptp(x)) ** 2, 1e-30))
    slope, floor = np.polyfit(middle, variance, 1, w=1 / variance)  # a variance is known to a share of itself
    if slope <= 0:
        slope, floor = 0.0, float(np.median(variance))
    return NoiseLine(float(floor), float(slope), LEAST_VARIANCE * float(np.median(variance)))


def _clipped_variance(values: np.ndarray) -> float:
    """Variance without outliers; few counts are no bell curve, so that a median deviation alone would mislead."""
    away = np.abs(values - np.median(values))
    return float((values[away <= OUTLIER_SIGMAS * ROBUST * np.median(away)] ** 2).mean())


def error_factors(linear: Linear, inner: Tensor, *, seed: int = 0) -> Tensor:
    """How much wider errors are than those of each column alone in white noise, of (brightness, y, x): ``(3,)``.

    Columns, background, rows and noise like the image's own are drawn and solved for: what neighbours, contamination,
    rows and noise that is correlated along them leave unknown widens the errors.

    Parameters
    ----------
    linear
        The model at the fitted columns.
    inner
        Columns to judge by, shape ``(N,)``.
    seed
        Seed of what is drawn.

    Returns
    -------
    Tensor
        1 where fewer than `FEWEST` columns are judged by.
    """
    if inner.sum() < FEWEST:
        return torch.ones(3, device=inner.device)
    rng, width = np.random.default_rng(seed), linear.part.weight.rsqrt()
    alone = torch.diagonal(torch.linalg.inv(linear.block), dim1=1, dim2=2)
    ours = ((linear.part.data - linear.level) / width).clamp(-OUTLIER_SIGMAS, OUTLIER_SIGMAS)
    true = linear.drawn(rng)
    off = difference(linear.solve(linear.forward(true) + _noise_like(ours, rng) * width), true)[0]
    return (off**2 / alone)[inner].mean(0).sqrt()


def _noise_like(white: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise with the power of a residual ``(Y, X)`` over frequencies along x, read where columns have none along y."""
    power = torch.fft.rfft2(white).abs().square()
    free = torch.fft.fftfreq(white.shape[0], device=white.device).abs() > FREE_OF_COLUMNS
    along_x = power[free].mean(0) / white.numel()
    return torch.fft.irfft2(torch.fft.rfft2(normal_like(white, rng)) * along_x.sqrt(), s=white.shape)
