"""CGRDN: the concatenated grouped residual dense network of Lobato et al. (2023), figure 9."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_stem_gan.restore.config import COMPACT, CGRDNConfig


class RDB(nn.Module):
    """Residual dense block: dense 3×3 layers, fused by a 1×1 layer, plus its input."""

    def __init__(self, features: int, growth: int, layers: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Conv2d(features + i * growth, growth, 3, padding=1) for i in range(layers))
        self.fuse = nn.Conv2d(features + layers * growth, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, features, Y, X)`` to the same shape."""
        grown = x
        for layer in self.dense:
            grown = torch.cat([grown, F.relu(layer(grown))], dim=1)
        return x + self.fuse(grown)  # type: ignore[no-any-return]


class GRDB(nn.Module):
    """Grouped residual dense block: residual dense blocks in series, all outputs fused, plus its input."""

    def __init__(self, config: CGRDNConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(RDB(config.features, config.growth, config.layers) for _ in range(config.blocks))
        self.fuse = nn.Conv2d(config.features * config.blocks, config.features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, features, Y, X)`` to the same shape."""
        outputs, y = [], x
        for block in self.blocks:
            y = block(y)
            outputs.append(y)
        return x + self.fuse(torch.cat(outputs, dim=1))  # type: ignore[no-any-return]


class CGRDN(nn.Module):
    """The restoration network; works at half resolution, adds its correction to the input.

    Parameters
    ----------
    config
        Size of the network; `COMPACT` by default, `PAPER` has 7,035,521 parameters.

    References
    ----------
    .. [1] I. Lobato, T. Friedrich, S. Van Aert, "Deep convolutional neural networks to restore
       single-shot electron microscopy images" (2023), arXiv:2303.17025.
    """

    def __init__(self, config: CGRDNConfig = COMPACT) -> None:
        super().__init__()
        width = config.features
        self.config = config
        self.head = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 4, stride=2, padding=1)
        self.groups = nn.ModuleList(GRDB(config) for _ in range(config.groups))
        self.fuse = nn.Conv2d(width * config.groups, width, 1)
        self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.tail = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Restore standardised images ``(B, 1, Y, X)`` of any size; odd sides are padded and cropped."""
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        shallow = self.down(self.head(padded))  # (B, F, Y/2, X/2)
        outputs, y = [], shallow
        for group in self.groups:
            y = group(y)
            outputs.append(y)
        deep = shallow + self.fuse(torch.cat(outputs, dim=1))
        correction = self.tail(self.up(deep)).float()  # (B, 1, Y, X)
        return (padded + correction)[..., :height, :width]  # type: ignore[no-any-return]


def parameter_count(network: nn.Module) -> int:
    """Count the trainable numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
