"""Losses of the CycleGAN, discriminator augmentation and the balance watch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GAIN_JITTER = 0.05
OFFSET_JITTER = 0.05
WATCH_DECAY = 0.9
PATIENCE_STEPS = 30


def real_loss(scores: Tensor) -> Tensor:
    """Return the least-squares loss of scores that should say "real" (1)."""
    return (scores - 1).square().mean()


def fake_loss(scores: Tensor) -> Tensor:
    """Return the least-squares loss of scores that should say "translated" (0)."""
    return scores.square().mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Return the loss of a discriminator on real and translated images."""
    return 0.5 * (real_loss(real_scores) + fake_loss(fake_scores))


def cycle_loss(restored: Tensor, original: Tensor, *, pool_px: int = 1) -> Tensor:
    """Return the mean absolute error of an image that went there and back.

    Parameters
    ----------
    restored, original
        Images, shape ``(B, 1, Y, X)``.
    pool_px
        Compare averages of this many pixels squared; above 1 pixel noise need not come back.
    """
    if pool_px > 1:
        restored, original = F.avg_pool2d(restored, pool_px), F.avg_pool2d(original, pool_px)
    return (restored - original).abs().mean()


def identity_loss(translated: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared change of an image that already is in the target domain."""
    return (translated - original).square().mean()


def accuracy(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Return the share of patches that a discriminator puts on the right side of one half."""
    right = (real_scores > 0.5).float().mean() + (fake_scores < 0.5).float().mean()
    return 0.5 * right.detach()


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, shift and jitter gain and offset of patches, differentiably.

    Real and translated patches are drawn from the same augmentations, so a discriminator
    cannot learn a few real images by heart and never learns the augmentation as a difference.

    Parameters
    ----------
    images
        Patches, shape ``(B, 1, Y, X)``.
    generator
        Source of randomness, on the CPU.

    Returns
    -------
        Patches ``(B, 1, Y', X')`` cut to 7/8 of the side at a random place.
    """
    height, width = (size * 7 // 8 // 8 * 8 for size in images.shape[-2:])
    draws = torch.rand(images.shape[0], 6, generator=generator).tolist()
    out = []
    for image, (top, left, flip_y, flip_x, gain, offset) in zip(images, draws, strict=True):
        y0 = int(top * (images.shape[-2] - height + 1))
        x0 = int(left * (images.shape[-1] - width + 1))
        patch = image[:, y0 : y0 + height, x0 : x0 + width]  # (1, Y', X')
        axes = [axis for axis, draw in ((1, flip_y), (2, flip_x)) if draw < 0.5]
        patch = torch.flip(patch, axes) if axes else patch
        out.append(patch * (1 + GAIN_JITTER * (2 * gain - 1)) + OFFSET_JITTER * (2 * offset - 1))
    return torch.stack(out)


class BalanceWatch:
    """Notices when a discriminator wins for long, so that it can be paused.

    Parameters
    ----------
    limit
        Accuracy above which a discriminator counts as winning.
    patience_steps
        Observations in a row above the limit before it is paused.
    """

    def __init__(self, limit: float, *, patience_steps: int = PATIENCE_STEPS) -> None:
        self.limit = limit
        self.patience_steps = patience_steps
        self.mean = 0.5
        self.winning_steps = 0

    @property
    def paused(self) -> bool:
        """Whether the discriminator's updates should be skipped now."""
        return self.winning_steps >= self.patience_steps

    def observe(self, value: float, *, steps: int = 1) -> None:
        """Take in an accuracy between 0 and 1 that stands for this many steps."""
        decay = WATCH_DECAY**steps
        self.mean = decay * self.mean + (1 - decay) * value
        self.winning_steps = self.winning_steps + steps if self.mean > self.limit else 0

    def state(self) -> list[float]:
        """Return what `restore` needs."""
        return [self.mean, float(self.winning_steps)]

    def restore(self, state: list[float]) -> None:
        """Take over the result of `state`."""
        self.mean, self.winning_steps = float(state[0]), int(state[1])
