"""Exact intervals of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatArray = NDArray[np.float64]


def poisson_interval(count: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Exact central interval of a Poisson mean.

    Parameters
    ----------
    count
        What was counted, any shape, ≥ 0; a mean of several dependent counts need not be whole.
    level
        Chance that the interval holds the mean is at least this, 0 to 1.

    Returns
    -------
    tuple
        Lower and upper ends; the lower one of 0 is 0.

    References
    ----------
    Garwood, Biometrika 28 (1936) 437, doi:10.1093/biomet/28.3-4.437.
    """
    number = np.asarray(count, float)
    tail = (1 - level) / 2
    low = np.where(number > 0, special.gammaincinv(np.maximum(number, 1e-9), tail), 0.0)
    return np.asarray(low), np.asarray(special.gammaincinv(number + 1, 1 - tail))


def binomial_interval(hits: ArrayLike, trials: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Exact central interval of a share.

    Parameters
    ----------
    hits, trials
        How many of how many, 0 ≤ hits ≤ trials; need not be whole.
    level
        Chance that the interval holds the share is at least this, 0 to 1.

    Returns
    -------
    tuple
        Lower and upper ends; NaN without trials.

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934) 404, doi:10.1093/biomet/26.4.404.
    """
    k, n = np.asarray(hits, float), np.asarray(trials, float)
    tail = (1 - level) / 2
    low = np.where(k > 0, special.betaincinv(np.maximum(k, 1e-9), n - k + 1, tail), 0.0)
    high = np.where(k < n, special.betaincinv(k + 1, np.maximum(n - k, 1e-9), 1 - tail), 1.0)
    return _known(low, n), _known(high, n)


def _known(values: Any, trials: FloatArray) -> FloatArray:
    return np.asarray(np.where(trials > 0, values, np.nan))
