"""Noise of an image around its columns: its variance by brightness.

Counting noise grows with brightness, so that bright pixels count less. The line ``variance = floor + slope × level`` is
read from the residual itself: neither dose, gain nor offset of the detector need be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

LEVELS = 12
LEAST_VARIANCE = 0.05  # of the median's, so that no pixel counts for everything
OUTLIER_SIGMAS = 5.0
ROBUST = 1.4826


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
