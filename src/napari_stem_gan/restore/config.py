"""Settings of restoration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MODES = ("hr-stem",)


@dataclass(frozen=True, kw_only=True)
class RestoreConfig:
    """How images are restored."""

    mode: Literal["hr-stem"] = "hr-stem"
    """Which distortions the network undoes: hr-stem = atomic-resolution STEM."""
    tile_px: int = 512
    """Side of the tiles in pixels; smaller needs less memory."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if not 64 <= self.tile_px <= 8192:
            raise ValueError(f"tile_px must lie between 64 and 8192, got {self.tile_px}; try 512")


@dataclass(frozen=True, kw_only=True)
class CGRDNConfig:
    """Size of the concatenated grouped residual dense network (Lobato et al. 2023)."""

    features: int = 32
    """Feature maps between blocks (64 in the paper)."""
    growth: int = 16
    """Feature maps that each dense layer adds (32 in the paper)."""
    layers: int = 5
    """Dense layers per block (8 in the paper)."""
    blocks: int = 3
    """Residual dense blocks per group (4 in the paper)."""
    groups: int = 3
    """Groups in series (4 in the paper)."""


COMPACT = CGRDNConfig()
PAPER = CGRDNConfig(features=64, growth=32, layers=8, blocks=4, groups=4)
