"""Generators: `Generator` (compact, residual, with a noise input) and `PaperGenerator` (Khan et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_stem_gan.translate.config import CycleGANConfig

COMPACT_FEATURES = (16, 32, 64, 64)
PAPER_MULTIPLE_PX = 256


class Generator(nn.Module):
    """Compact generator: ``out = x + texture(x, noise)``.

    The texture comes from a small U-Net without normalisation layers, so a pixel depends on
    its surroundings only: any size can be cut into overlapping tiles without seams. The last
    layer starts at zero, so that a new generator changes nothing.

    Parameters
    ----------
    features
        Channels of each level; every level halves the side.
    """

    def __init__(self, features: Sequence[int] = COMPACT_FEATURES) -> None:
        super().__init__()
        self.multiple = 2 ** (len(features) - 1)
        inputs = [2, *features[:-1]]
        self.down = nn.ModuleList(_convs(i, o, o) for i, o in zip(inputs, features, strict=True))
        pairs = list(zip(reversed(features[1:]), reversed(features[:-1]), strict=True))
        self.up = nn.ModuleList(_convs(deep + shallow, shallow) for deep, shallow in pairs)
        self.head = nn.Conv2d(features[0], 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def texture(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return what is added to the image, ``(B, 1, Y, X)``."""
        y = torch.cat([x.clamp(-1, 1), noise], dim=1)  # (B, 2, Y, X)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            y = block(y if level == 0 else F.avg_pool2d(y, 2))
            skips.append(y)
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            y = F.interpolate(y, scale_factor=2, mode="nearest")
            y = up(torch.cat([y, skip], dim=1))
        return self.head(y)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Translate normalised images.

        Parameters
        ----------
        x
            Normalised images, shape ``(B, 1, Y, X)``; sides are multiples of `multiple`.
        noise
            Unit Gaussian noise of the same shape; None means no noise.

        Returns
        -------
            Translated images ``(B, 1, Y, X)``, float32.
        """
        noise = torch.zeros_like(x) if noise is None else noise
        return x + self.texture(x, noise).float()


class PaperGenerator(nn.Module):
    """U-Net of Khan et al. with 54.4 M parameters; sides must be multiples of 256.

    References
    ----------
    Khan et al. 2023, doi:10.1038/s41524-023-01042-3; Isola et al. 2017, doi:10.1109/CVPR.2017.632.
    The innermost level has no normalisation: over its 1×1 map an instance norm would give zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.multiple = PAPER_MULTIPLE_PX
        down, up = [1, 64, 128, 256, 512, 512, 512, 512, 512], [512, 512, 512, 512, 256, 128, 64]
        levels = len(down) - 1
        self.down = nn.ModuleList(_paper_down(down[i], down[i + 1], norm=0 < i < levels - 1) for i in range(levels))
        inputs = [down[-1], *(up[i] + down[-2 - i] for i in range(len(up)))]
        self.up = nn.ModuleList(_paper_up(inputs[i], up[i], dropout=i < 3) for i in range(len(up)))
        self.head = nn.ConvTranspose2d(inputs[-1], 1, 4, stride=2, padding=1, bias=False)
        self.apply(_paper_weights)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Translate normalised images ``(B, 1, Y, X)``; the noise is not used (dropout is the noise)."""
        skips: list[Tensor] = []
        y = x
        for block in self.down:
            y = block(y)
            skips.append(y)
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            y = torch.cat([up(y), skip], dim=1)
        return torch.tanh(self.head(y)).float()


def build_generator(config: CycleGANConfig) -> Generator | PaperGenerator:
    """Return a new generator of the preset in `config`."""
    return PaperGenerator() if config.preset == "paper" else Generator()


def _convs(*channels: int) -> nn.Sequential:
    """3×3 convolutions with leaky ReLU between the given channel counts."""
    layers: list[nn.Module] = []
    for i, o in zip(channels[:-1], channels[1:], strict=True):
        conv = nn.Conv2d(i, o, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, a=0.2)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers)


def _paper_down(i: int, o: int, *, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(i, o, 4, stride=2, padding=1, bias=False)]
    if norm:
        layers.append(nn.InstanceNorm2d(o, affine=True))
    return nn.Sequential(*layers, nn.LeakyReLU(0.3))


def _paper_up(i: int, o: int, *, dropout: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(i, o, 4, stride=2, padding=1, bias=False),
        nn.InstanceNorm2d(o, affine=True),
    ]
    if dropout:
        layers.append(nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.ReLU())


def _paper_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
