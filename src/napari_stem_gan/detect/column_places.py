"""Where columns are expected: where their neighbours say that the lattice is, give or take what columns stray from it.

A faint column that may lie anywhere near its site is taken for the next peak of the noise, and so comes out too bright.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from napari_stem_gan.detect.column_model import Linear
from napari_stem_gan.detect.column_part import Columns, Part

NEIGHBOURS = 18  # the three nearest shells of a hexagonal crystal
LEAST_STRAY, LARGEST_STRAY = 0.03, 0.5  # standard deviations of a column
SPREAD_OUTSIDE = 0.3  # of the brightness of columns beyond the image, which only show their tails
ROUNDS = 3


def settled(linear: Linear, columns: Columns, stray_px: float, usual: Tensor) -> Part:
    """The part with columns expected around the local lattice, and about usual ones beyond the image.

    Parameters
    ----------
    linear, columns
        The model that was solved, and what was found.
    stray_px
        How far columns lie off the local lattice, standard deviation along an axis.
    usual
        Usual brightness of each kind, shape ``(kinds,)``.

    Returns
    -------
    Part
        Of `linear`, with `Part.mean` and `Part.precision` of all columns.
    """
    part = linear.part
    lattice = local_lattice(linear, columns, stray_px)
    mean, precision = part.mean.clone(), part.precision.clone()
    mean[:, 1:], precision[:, 1:] = lattice, stray_px**-2
    last = torch.tensor(part.data.shape, device=part.data.device) - 1
    outside = ((part.sites_px < 0) | (part.sites_px > last)).any(1)
    expected = usual[part.kind[outside]]
    mean[outside, 0], precision[outside, 0] = expected, (SPREAD_OUTSIDE * expected).square().clamp_min(1e-12) ** -1
    return replace(part, mean=mean, precision=precision)


def local_lattice(linear: Linear, columns: Columns, stray_px: float) -> Tensor:
    """Shift of the lattice at each site: the mean of its neighbours', those known better counting more.

    Parameters
    ----------
    linear, columns
        The model that was solved, and what was found.
    stray_px
        How far columns lie off the local lattice, standard deviation along an axis.

    Returns
    -------
    Tensor
        In pixels, shape ``(N, 2)`` as (y, x).
    """
    sites = linear.part.sites_px.cpu().numpy()
    count = min(NEIGHBOURS + 1, len(sites))
    near = torch.as_tensor(cKDTree(sites).query(sites, k=count)[1].reshape(len(sites), count)[:, 1:])
    near = near.to(columns.shift_px.device)
    shift, variance = _by_itself(linear, columns)
    weight = 1 / (variance + stray_px**2)
    return (weight[near] * shift[near]).sum(1) / weight[near].sum(1).clamp_min(1e-12)


def fitted_stray(linear: Linear, columns: Columns, inner: Tensor, sigma_px: float) -> float:
    """How far columns stray from the local lattice beyond the errors of their places, in pixels along an axis.

    Parameters
    ----------
    linear
        The model at the fitted columns.
    columns
        The fitted columns.
    inner
        Columns to judge by, shape ``(N,)``.
    sigma_px
        Standard deviation of a column.

    Returns
    -------
    float
        Between `LEAST_STRAY` and `LARGEST_STRAY` of `sigma_px`; the latter where columns are too few to tell.
    """
    if int(inner.sum()) < NEIGHBOURS:
        return LARGEST_STRAY * sigma_px
    stray, (shift, variance) = LARGEST_STRAY * sigma_px, _by_itself(linear, columns)
    for _ in range(ROUNDS):
        off = (shift - local_lattice(linear, columns, stray))[inner].cpu().numpy().astype(float)
        error = variance[inner].cpu().numpy().astype(float)
        known = (error + stray**2) ** -2.0
        far = np.minimum(off**2, 9 * (error + stray**2))  # single columns may be pushed aside
        excess = (known * (far - error)).sum() / known.sum()
        stray = float(np.sqrt(np.clip(excess, (LEAST_STRAY * sigma_px) ** 2, (LARGEST_STRAY * sigma_px) ** 2)))
    return stray


def _by_itself(linear: Linear, columns: Columns) -> tuple[Tensor, Tensor]:
    """Shift of each column as its own pixels tell it, and the variance of that by noise alone, both ``(N, 2)``."""
    known = torch.diagonal(linear.block, dim1=1, dim2=2)[:, 1:]
    own = (known - linear.prior[:, 1:]).clamp_min(1e-3 * known)
    mean = linear.part.mean[:, 1:]
    return mean + (columns.shift_px - mean) * known / own, 1 / own
