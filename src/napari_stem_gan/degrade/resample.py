"""Sampling images at displaced pixels by interpolation of fifth order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TAPS = (-2, -1, 0, 1, 2, 3)  # neighbours of a sampled point


def moved(image: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Sample images at displaced pixels; beyond the edges the image is mirrored.

    The cubic kernel of ``grid_sample`` moves an image by up to 1.5 times a small displacement, so that drawn jitter
    would not be the jitter of the image. Two axes one after the other are right where the displacement along y
    changes slowly along x, as in every scan.

    Parameters
    ----------
    image
        Images ``(B, C, Y, X)``.
    shift
        Displacement along `axis` in pixels, ``(B, 1, Y, X)`` or, faster, ``(B, 1, Y, 1)``: one for each row.
    axis
        −2 for y, −1 for x.
    """
    if not bool(shift.any()):
        return image
    whole = torch.floor(shift)
    weights = [_lagrange(shift - whole, tap) for tap in TAPS]
    if shift.shape[-1] == 1:
        return _moved_rows(image, whole.long(), weights) if axis == -2 else _moved_along(image, whole.long(), weights)
    shape = [1] * image.ndim
    shape[axis] = image.shape[axis]
    index = torch.arange(image.shape[axis], device=image.device).view(shape) + whole.long()
    result = torch.zeros_like(image)
    for tap, weight in zip(TAPS, weights, strict=True):
        at = _mirrored(index + tap, image.shape[axis])
        result.addcmul_(weight, torch.gather(image, axis, at.expand_as(image)))
    return result


def _moved_rows(image: Tensor, whole: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Mix whole rows: `whole` and each weight are ``(B, 1, Y, 1)``."""
    rows = torch.arange(image.shape[-2], device=image.device) + whole[:, 0, :, 0]  # (B, Y)
    batch = torch.arange(len(image), device=image.device)[:, None]
    result = torch.zeros_like(image)
    flat = image.transpose(1, 2)  # (B, Y, C, X)
    for tap, weight in zip(TAPS, weights, strict=True):
        result.addcmul_(weight, flat[batch, _mirrored(rows + tap, image.shape[-2])].transpose(1, 2))
    return result


def _moved_along(image: Tensor, whole: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Move each row along itself: one gather for whole pixels, then six neighbours."""
    width = image.shape[-1]
    columns = torch.arange(TAPS[0], width + TAPS[-1], device=image.device) + whole  # (B, 1, Y, X + 5)
    aligned = torch.gather(image, -1, _mirrored(columns, width).expand(-1, image.shape[1], -1, -1))
    result = torch.zeros_like(image)
    for tap, weight in zip(TAPS, weights, strict=True):
        result.addcmul_(weight, aligned[..., tap - TAPS[0] : tap - TAPS[0] + width])
    return result


def _mirrored(index: Tensor, length: int) -> Tensor:
    """Indices beyond the edges, mirrored at the first and last pixel."""
    index = index.remainder(max(2 * length - 2, 1))
    return torch.minimum(index, (2 * length - 2 - index).abs())


def _lagrange(part: Tensor, tap: int) -> Tensor:
    """Weight of the neighbour `tap` at the fraction `part` of a pixel."""
    weight = torch.ones_like(part)
    for other in TAPS:
        if other != tap:
            weight = weight * ((part - other) / (tap - other))
    return weight
