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
    average_flips: bool = False
    """Average the network over the image and its upside-down mirror image: twice the time for about 0.03 dB."""
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


@dataclass(frozen=True, kw_only=True)
class CGRDNTrainingConfig:
    """How the restoration network is trained; the weights of the losses are those of Lobato et al. (2023), eq. 14."""

    patch_px: int = 128
    """Side of the square training images in pixels."""
    batch_size: int = 8
    """Images per step."""
    fresh_per_step: int = 4
    """New specimens drawn per step; the others come from a pool, degraded anew."""
    pool_size: int = 64
    """Specimens kept in the pool."""
    learning_rate: float = 1e-3
    """Highest learning rate of the one-cycle schedule."""
    warm_up: float = 0.08
    """Fraction of the training in which the learning rate rises."""
    ema_decay: float = 0.998
    """Decay of the averaged weights that are saved."""
    l1_weight: float = 1.0
    """Weight of the absolute error, scaled by 1 / max(std, 0.1) of the target."""
    l2_weight: float = 1.0
    """Weight of the squared error, scaled likewise."""
    whitening_weight: float = 0.0
    """Weight of the multi-local whitening loss."""
    fourier_weight: float = 0.0
    """Weight of the Fourier loss |F(y - ŷ)|^0.125."""
    mean_weight: float = 0.0
    """Weight of the difference of the means."""
    std_weight: float = 0.0
    """Weight of the difference of the standard deviations."""
    adversarial_weight: float = 0.0
    """Weight of the relativistic adversarial loss (5e-4 in the paper); 0 trains no discriminator."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if self.patch_px < 32 or self.patch_px % 2:
            raise ValueError(f"patch_px must be even and at least 32, got {self.patch_px}; try 128")
        if not 1 <= self.fresh_per_step <= self.batch_size <= self.pool_size:
            raise ValueError("1 <= fresh_per_step <= batch_size <= pool_size must hold; try 4, 8 and 64")
        if not (0 < self.learning_rate < 1 and 0 < self.warm_up < 1 and 0 <= self.ema_decay < 1):
            raise ValueError("learning_rate, warm_up and ema_decay must lie between 0 and 1; try 1e-3, 0.08 and 0.998")
        if min(self.loss_weights.values()) < 0:
            raise ValueError("weights of losses must not be negative; set unwanted ones to 0")

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of the pixel-wise losses by name."""
        return {
            "l1": self.l1_weight,
            "l2": self.l2_weight,
            "whitening": self.whitening_weight,
            "fourier": self.fourier_weight,
            "mean": self.mean_weight,
            "std": self.std_weight,
        }
