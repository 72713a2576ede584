import numpy as np
import torch

from napari_stem_gan.detect.column_background import Background, Power, true_power

POWER = Power(5.0, np.array([0.0, 0.02, 0.1]), np.array([100.0, 10.0, 0.1]))


def background(shape=(64, 81)):
    return Background.of(torch.zeros(shape), POWER)


def test_even_coefficients_make_an_even_image_up_to_the_rim():
    field = background()
    torch.testing.assert_close(field.image(torch.ones(field.knots)), torch.ones(64, 81), atol=1e-5, rtol=0)


def test_the_adjoint_is_that_of_the_image():
    field, generator = background(), torch.Generator().manual_seed(0)
    knots, image = torch.randn(field.knots, generator=generator), torch.randn(64, 81, generator=generator)
    seen, told = (field.image(knots) * image).sum(), (knots * field.adjoint(image)).sum()
    torch.testing.assert_close(seen, told, rtol=1e-4, atol=1e-3)


def test_power_lies_on_a_line_of_its_logarithm():
    np.testing.assert_allclose(POWER.at(torch.tensor([0.01, 0.06, 0.3])), [1000**0.5, 1.0, 0.1], rtol=1e-5)


def test_drawn_fields_have_the_expected_power():
    field, rng = background((300, 300)), np.random.default_rng(0)
    power = sum(torch.fft.rfft2(field.drawn(rng)).abs().square() for _ in range(40)) / 40
    share = (power * field.precision / (field.knots[0] * field.knots[1]))[1:, 1:-1]
    assert abs(float(share.mean()) - 1) < 0.02


def test_variance_is_told_whatever_was_expected():
    rng = np.random.default_rng(0)
    for expected in (0.5, 2.0, 8.0):
        noise, true = 1.5, rng.normal(0, np.sqrt(2.0), 200_000)
        share = expected / (expected + noise)
        found = share * (true + rng.normal(0, np.sqrt(noise), true.shape))
        like = rng.normal(0, np.sqrt(expected), true.shape)
        left = share * (like + rng.normal(0, np.sqrt(noise), true.shape)) - like
        told = true_power(*(np.array([(v**2).mean()]) for v in (found, left)), np.array([expected]))
        np.testing.assert_allclose(told, 2.0, rtol=0.05)


def test_power_is_found_again_from_noisy_coefficients():
    field, rng, noise = background((400, 400)), np.random.default_rng(1), 0.5
    share = 1 / (1 + noise * field.precision)

    def fitted(knots):
        return field.filtered(knots + noise**0.5 * torch.as_tensor(rng.standard_normal(knots.shape)).float(), share)

    true, like = field.drawn(rng), field.drawn(rng)
    power = field.power(fitted(true), fitted(like) - like)
    frequency = torch.tensor([0.01, 0.02, 0.05])
    np.testing.assert_allclose(power.at(frequency), POWER.at(frequency), rtol=0.35)
