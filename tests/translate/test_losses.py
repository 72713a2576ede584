"""Losses, augmentation and the balance watch."""

from __future__ import annotations

import torch

from napari_stem_gan.translate import losses


def test_perfect_discriminator_has_no_loss() -> None:
    real, fake = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert losses.discriminator_loss(real, fake) == 0
    assert losses.accuracy(real, fake) == 1
    assert losses.accuracy(fake, real) == 0


def test_pooled_cycle_loss_forgives_pixel_noise() -> None:
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros_like(noise)
    assert losses.cycle_loss(noise, zero, pool_px=4) < 0.5 * losses.cycle_loss(noise, zero)


def test_augmentation_is_the_same_for_the_same_seed_and_keeps_gradients() -> None:
    x = torch.randn(3, 1, 64, 64, requires_grad=True)
    first, second = (losses.augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    first.sum().backward()
    assert torch.equal(first, second)
    assert first.shape == (3, 1, 56, 56)
    assert x.grad is not None
    assert (x.grad != 0).any()


def test_augmentation_changes_gain_by_little() -> None:
    x = torch.ones(32, 1, 64, 64)
    out = losses.augment(x, torch.Generator().manual_seed(0))
    limit = losses.GAIN_JITTER + losses.OFFSET_JITTER
    assert (out - 1).abs().max() <= limit + 1e-6
    assert out.std() > 0


def test_discriminator_that_wins_for_long_is_paused_and_comes_back() -> None:
    watch = losses.BalanceWatch(0.95, patience_steps=20)
    for _ in range(60):
        watch.observe(1.0)
    assert watch.paused
    for _ in range(10):
        watch.observe(0.5)
    assert not watch.paused


def test_fair_discriminator_is_never_paused() -> None:
    watch = losses.BalanceWatch(0.95, patience_steps=5)
    for _ in range(100):
        watch.observe(0.8)
    assert not watch.paused
