"""Network blocks that two or more rooms use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """Two 3×3 convolutions with group norm and SiLU, with a residual connection."""

    def __init__(self, in_channels: int, out_channels: int, *, groups: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, Y, X)`` to ``(B, out, Y, X)``."""
        y = F.silu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.silu(y + self.skip(x))


class UNet(nn.Module):
    """U-Net of residual blocks; sides must be multiples of ``2 ** (len(features) - 1)``."""

    def __init__(self, in_channels: int, out_channels: int, features: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.multiple = 2 ** (len(features) - 1)
        inputs = [in_channels, *features[:-1]]
        self.down = nn.ModuleList(ConvBlock(i, o) for i, o in zip(inputs, features, strict=True))
        pairs = list(zip(reversed(features[1:]), reversed(features[:-1]), strict=True))
        self.reduce = nn.ModuleList(nn.Conv2d(deep, shallow, 1) for deep, shallow in pairs)
        self.up = nn.ModuleList(ConvBlock(2 * shallow, shallow) for _, shallow in pairs)
        self.head = nn.Conv2d(features[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, Y, X)`` to ``(B, out, Y, X)``."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))
            skips.append(x)
        for reduce, up, skip in zip(self.reduce, self.up, reversed(skips[:-1]), strict=True):
            x = F.interpolate(reduce(x), scale_factor=2, mode="nearest")
            x = up(torch.cat([x, skip], dim=1))
        return self.head(x)  # type: ignore[no-any-return]
