"""Loss of the finder: cross-entropy on heat maps that looks hardest at lattice sites and at defects."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

SITE_WEIGHT = 8.0
DEFECT_WEIGHT = 12.0


def heat_map_loss(logits: Tensor, target: Tensor, sites: Tensor) -> Tensor:
    """Weighted binary cross-entropy.

    Parameters
    ----------
    logits, target
        Shape ``(B, classes, y, x)``; targets between 0 and 1.
    sites
        Site channels of the input, shape ``(B, 2, y, x)``; pixels on sites count more.
    """
    near_site = sites.amax(1, keepdim=True)
    near_defect = target.amax(1, keepdim=True)
    weight = 1 + SITE_WEIGHT * near_site + DEFECT_WEIGHT * near_defect
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * weight).sum() / (weight.sum() * logits.shape[1])
