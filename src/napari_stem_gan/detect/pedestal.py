"""What a site without its column still shows: tails of its neighbours that the fit took for brightness of the column.

In a perfect crystal a lobe of an aberrated probe that falls from one sublattice on the other cannot be told from
brightness there; only where atoms are missing does it show. So it is read from the missing atoms of the image itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HALF = 0.46  # brightness of one atom of two: between 0.43 and 0.5 (SCIENCE 2.4)
OWN_SPREAD = 0.06  # of the brightness of columns that are alike, beyond the noise
STEPS = np.linspace(-0.1, 0.6, 71)
USUAL = 0.1  # mean of pedestals before looking
SHARES = {1.0: 0.97, HALF: 0.02, 0.0: 0.005}  # of columns with all their atoms, with one of two, with none
FAINT = 2.0  # of the usual error: columns beyond the image
OTHER, RANGE = 0.005, 4.0  # share of foreign atoms, and over how many units of brightness they are spread


def pedestal(ratio: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    """Likeliest pedestal of columns of two atoms, in units of what a whole column has above it.

    Parameters
    ----------
    ratio
        Fitted brightness of the columns of one sublattice over the usual one, shape ``(N,)``.
    error
        Its standard error, shape ``(N,)``.

    Returns
    -------
    float
        0 where missing atoms tell nothing.
    """
    seen = error < FAINT * np.median(error) if len(error) else np.zeros(0, bool)
    ratio, error = ratio[seen], error[seen]
    if not len(ratio):
        return 0.0
    scale = 1 + STEPS[:, None]
    width = np.hypot(error[None], OWN_SPREAD)
    density = np.full((len(STEPS), len(ratio)), OTHER / RANGE)
    for brightness, share in SHARES.items():
        off = (ratio[None] - (brightness + STEPS[:, None]) / scale) / width
        density += share * np.exp(-(off**2) / 2) / (np.sqrt(2 * np.pi) * width)
    plausible = np.log(density).sum(1) - np.abs(STEPS) / USUAL
    return float(STEPS[plausible.argmax()])


def without_pedestal(ratio: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Brightness of the columns alone over the usual one: 0 where there is none, 1 where it is whole.

    Parameters
    ----------
    ratio
        Fitted brightness over the usual one, any shape.
    height
        From `pedestal`.
    """
    return np.asarray(ratio * (1 + height) - height)
