"""The patch discriminator of restoration, conditional on the distorted image (Lobato et al. 2023, figure 10)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

FEATURES = (64, 128, 256, 512)


class PatchDiscriminator(nn.Module):
    """Judge 70×70 patches of a pair (distorted, restored or true) image; instance norm, no sigmoid."""

    def __init__(self, features: tuple[int, ...] = FEATURES) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, features[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        last = len(features) - 2
        for index, (before, after) in enumerate(pairwise(features)):
            stride = 1 if index == last else 2
            layers.append(nn.Conv2d(before, after, 4, stride=stride, padding=1))
            layers += [nn.InstanceNorm2d(after, affine=True), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(features[-1], 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, distorted: Tensor, image: Tensor) -> Tensor:
        """Map two ``(B, 1, Y, X)`` images to raw patch scores ``(B, 1, y, x)``; 30×30 for 256×256."""
        return self.layers(torch.cat([distorted, image], dim=1))  # type: ignore[no-any-return]
