"""Settings of the CycleGAN: loss weights, networks, fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """How the pretrained CycleGAN and the finder are fine-tuned on today's images."""

    minutes: float = 5.0
    """Time budget of the whole adaptation in minutes (CycleGAN and finder together)."""
    use_decisions: bool = True
    """Learn from the points that you accepted, added or rejected on today's images, where there are any."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 10000:
            raise ValueError(f"minutes must be positive, got {self.minutes}; try 5")


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig:
    """Networks, loss weights and optimiser of the CycleGAN."""

    preset: Literal["compact", "paper"] = "compact"
    """'compact' adapts in minutes on a CPU; 'paper' is the network of Khan et al. (2023)."""
    patch_px: int = 128
    """Side of the square training patches in pixels (256 for 'paper')."""
    batch_size: int = 4
    """Patches per step (42 in the paper)."""
    learning_rate: float = 2e-4
    """Adam's learning rate of the generators."""
    discriminator_learning_rate: float = 2e-4
    """Adam's learning rate of the discriminators."""
    beta1: float = 0.5
    """Adam's first decay rate."""
    beta2: float = 0.999
    """Adam's second decay rate."""
    adversarial_weight: float = 1.0
    """Weight of the image discriminators' loss."""
    fft_adversarial_weight: float = 1.0
    """Weight of the FFT discriminators' loss."""
    cycle_weight: float = 10.0
    """Weight of the cycle loss (L1)."""
    identity_weight: float = 5.0
    """Weight of the identity loss (squared)."""
    ema_decay: float = 0.99
    """Decay of the averaged generator weights that are used and saved."""
    cycle_pool_px: int = 4
    """Both cycles are compared after averaging this many pixels: noise need not come back (paper: 1)."""
    augment: bool = True
    """Show real and translated patches to the discriminators flipped, shifted and with jittered gain (few images)."""
    balance_accuracy: float = 0.95
    """A discriminator that is right more often than this for long is paused and reported."""
    seed: int = 0
    """Seed of weights, noise and augmentation."""

    def __post_init__(self) -> None:
        if self.patch_px < 32 or self.patch_px % 16:
            raise ValueError(f"patch_px must be a multiple of 16, at least 32, got {self.patch_px}; try 128")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}; try 4")
        if not 0 < self.learning_rate < 1 or not 0 < self.discriminator_learning_rate < 1:
            raise ValueError("learning rates must lie between 0 and 1; try 2e-4")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and 0 <= self.ema_decay < 1):
            raise ValueError("beta1, beta2 and ema_decay must lie between 0 and 1; try 0.5, 0.999 and 0.99")
        if not 1 <= self.cycle_pool_px <= 16:
            raise ValueError(f"cycle_pool_px must lie between 1 and 16, got {self.cycle_pool_px}; try 4")
        if not 0.5 < self.balance_accuracy <= 1:
            raise ValueError(f"balance_accuracy must lie between 0.5 and 1, got {self.balance_accuracy}; try 0.95")
        if self.preset == "paper" and self.patch_px % 256:
            raise ValueError(f"patch_px must be a multiple of 256 for 'paper', got {self.patch_px}; try 256")


def paper_config() -> CycleGANConfig:
    """Return the settings of Khan et al. (2023), with the learning rate of their code."""
    return CycleGANConfig(
        preset="paper",
        patch_px=256,
        batch_size=42,
        learning_rate=2e-3,
        discriminator_learning_rate=2e-3,
        beta1=0.9,
        cycle_pool_px=1,
        augment=False,
    )
