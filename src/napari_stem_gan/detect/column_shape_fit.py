"""The shape of the columns, from what a model with columns of a given shape leaves of the image."""

from __future__ import annotations

import torch

from napari_stem_gan.detect.column_model import Linear
from napari_stem_gan.detect.column_part import Columns
from napari_stem_gan.detect.column_shape import ORDERS, WIDTH, ColumnShape

SHAPE_RIDGE = 100.0  # coefficients are of the order of 0.1


def fitted_shape(linear: Linear, shape: ColumnShape, columns: Columns) -> ColumnShape:
    """One weighted least-squares step of the shape that all columns share, and of the width of each kind.

    Brightness and place of each kind move along, so that the step leaves them free.

    Parameters
    ----------
    linear
        The model at `columns`, with its weights.
    shape, columns
        Where to start.
    """
    part, index = linear.part, linear.index.view(len(linear.block), -1)
    residual = part.data - linear.level
    offset = part.sites_px + columns.shift_px - part.middle
    own = [part.kind == k for k in range(len(shape.coefficients))]
    basis = shape.basis(offset, ORDERS).flatten(2) * columns.brightness[:, None, None]  # (N, orders, K²)
    images = [part.drawn(basis[:, i], linear.index) for i in range(len(ORDERS))]
    wide = basis[:, ORDERS.index(WIDTH[0])] + basis[:, ORDERS.index(WIDTH[1])]
    images += [part.drawn(wide[o], index[o].reshape(-1)) for o in own[1:]]
    images += [part.drawn(d[o], index[o].reshape(-1)) for o in own for d in linear.design]
    design = torch.stack([*images, torch.ones_like(residual)]).flatten(1)  # (unknowns, pixels)
    normal = (design * part.weight.reshape(-1)) @ design.T
    normal.diagonal().add_(SHAPE_RIDGE)
    right = design @ (part.weight * residual).reshape(-1)
    solution = torch.linalg.solve(normal.double(), right.double()).to(right.dtype)
    width = torch.cat([solution.new_zeros(1), solution[len(ORDERS) : len(ORDERS) + len(own) - 1]])
    return shape.with_change(solution[: len(ORDERS)], width)
