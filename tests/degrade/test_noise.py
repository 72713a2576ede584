import numpy as np
import torch

from napari_stem_gan.degrade.noise import Noise, as_noise


def test_an_image_draws_the_same_alone_and_in_a_batch():
    together = Noise([4, 5, 6]).normal("jitter", 8)
    torch.testing.assert_close(together[1], Noise([5]).normal("jitter", 8)[0])
    torch.testing.assert_close(together[1:], Noise([4, 5, 6]).chosen([1, 2]).normal("jitter", 8))


def test_effects_frames_and_images_are_independent():
    noise = Noise([4, 5])
    draws = [noise.normal("a", 4000), noise.normal("b", 4000), noise.child("frame 1").normal("a", 4000)]
    correlation = np.corrcoef(torch.cat(draws).numpy())
    assert np.abs(correlation - np.eye(6)).max() < 0.06


def test_an_effect_draws_the_same_again_whatever_was_drawn_in_between():
    noise = Noise([4])
    first = noise.uniform("lines", 5)
    noise.normal("count", 100)
    torch.testing.assert_close(noise.uniform("lines", 5), first)


def test_a_torch_generator_seeds_the_streams():
    first, again, other = (as_noise(torch.Generator().manual_seed(s), 2, "cpu").seeds for s in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 2
