import math

import pytest
import torch

from napari_stem_gan.restore.losses import (
    LOSSES,
    adversarial_loss,
    contrast_weight,
    discriminator_loss,
    fourier_loss,
    l1_loss,
    l2_loss,
    mean_loss,
    pixel_losses,
    std_loss,
    whiten,
)


def image(seed=0, scale=1.0):
    return scale * torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["l1", "l2", "whitening", "mean", "std"])
def test_equal_images_cost_nothing(name):
    assert float(LOSSES[name](image(), image())) == pytest.approx(0.0, abs=1e-6)


def test_the_fourier_loss_is_least_for_equal_images():
    assert float(fourier_loss(image(), image())) < 0.5 * float(fourier_loss(image(), image(1)))


def test_the_fourier_loss_of_white_noise_is_the_mean_power_of_a_rayleigh_magnitude():
    noise = torch.randn(4, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = math.gamma(1 + 0.125 / 2)  # E|z|^p for a complex normal z of variance 1
    assert float(fourier_loss(noise, torch.zeros_like(noise))) == pytest.approx(expected, rel=0.01)


def test_faint_images_weigh_up_to_ten_times_more():
    weights = contrast_weight(torch.stack([image()[0], 1e-3 * image()[0]])).flatten()
    assert float(weights[0]) == pytest.approx(1.0, rel=0.05)
    assert float(weights[1]) == pytest.approx(10.0)


def test_a_constant_error_has_the_known_cost():
    target = image()
    weight = contrast_weight(target).mean()
    assert float(l1_loss(target + 0.5, target)) == pytest.approx(0.5 * float(weight), rel=1e-4)
    assert float(l2_loss(target + 0.5, target)) == pytest.approx(0.25 * float(weight), rel=1e-4)
    assert float(mean_loss(target + 0.5, target)) == pytest.approx(0.5, rel=1e-4)
    assert float(std_loss(target + 0.5, target)) == pytest.approx(0.0, abs=1e-5)


def test_whitening_removes_offset_and_local_contrast():
    small = 3.0 * image(scale=1.0) + 7.0
    torch.testing.assert_close(whiten(small, 8), whiten(image(), 8), atol=1e-2, rtol=1e-2)


def test_only_positive_weights_are_evaluated():
    losses = pixel_losses(image(1), image(), {"l1": 2.0, "l2": 0.0})
    assert list(losses) == ["l1"]
    assert float(losses["l1"]) == pytest.approx(2 * float(l1_loss(image(1), image())))


def test_relativistic_losses_are_mirror_images():
    real, fake = image(2), image(3)
    assert float(adversarial_loss(real, fake)) == pytest.approx(float(discriminator_loss(fake, real)), rel=1e-6)
    even = torch.zeros(4)
    assert float(discriminator_loss(even, even)) == pytest.approx(2 * math.log(2))


def test_the_discriminator_loss_falls_when_real_scores_higher():
    real, fake = torch.full((8,), 3.0), torch.full((8,), -3.0)
    assert float(discriminator_loss(real, fake)) < 0.01
    assert float(adversarial_loss(real, fake)) > 5


def test_every_loss_has_a_finite_gradient_where_images_are_flat():
    for name, loss in LOSSES.items():
        output = torch.zeros(1, 1, 32, 32).requires_grad_()
        loss(output + 1e-3 * image()[:1], image()[:1]).backward()
        assert torch.isfinite(output.grad).all(), name
