"""Random numbers for batches: every image and every effect has a stream of its own.

An image is therefore the same alone and in a batch, and switching one effect on does not change what another draws.
Numbers are drawn on the device they are used on; a seed gives the same image on the same kind of device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

LARGEST_SEED = 2**62


def torch_generator(rng: np.random.Generator, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a torch generator that `rng` seeds."""
    return torch.Generator(device=device).manual_seed(int(rng.integers(LARGEST_SEED)))


class Noise:
    """Streams of random numbers, one per image and effect.

    Parameters
    ----------
    seeds
        One per image.
    device
        Where numbers are drawn.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds, self.device = list(seeds), device

    @classmethod
    def of(cls, rngs: Sequence[np.random.Generator], device: torch.device | str = "cpu") -> Noise:
        """Seed each image's streams by one draw from its `rng`."""
        return cls([int(rng.integers(LARGEST_SEED)) for rng in rngs], device)

    def child(self, name: str) -> Noise:
        """Streams for a part of the work, e.g. one frame of several."""
        return Noise([_hash(seed, name) for seed in self.seeds], self.device)

    def chosen(self, images: Sequence[int]) -> Noise:
        """Streams of some of the images."""
        return Noise([self.seeds[i] for i in images], self.device)

    def normal(self, effect: str, *shape: int) -> Tensor:
        """Draw standard normal numbers, ``(B, *shape)``."""
        return self._stack(effect, lambda g: torch.randn(shape, generator=g, device=self.device))

    def uniform(self, effect: str, *shape: int) -> Tensor:
        """Draw numbers from 0 to 1, ``(B, *shape)``."""
        return self._stack(effect, lambda g: torch.rand(shape, generator=g, device=self.device))

    def poisson(self, effect: str, mean: Tensor) -> Tensor:
        """Draw Poisson numbers around `mean` ``(B, ...)``."""
        drawn = [torch.poisson(m, generator=self.generator(effect, i)) for i, m in enumerate(mean)]
        return torch.stack(drawn) if drawn else torch.zeros_like(mean)

    def generator(self, effect: str, image: int) -> torch.Generator:
        """The stream of one image and effect, from its start."""
        return torch.Generator(device=self.device).manual_seed(_hash(self.seeds[image], effect))

    def _stack(self, effect: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        if len(self.seeds) == 1:
            return draw(self.generator(effect, 0))[None]
        return torch.stack([draw(self.generator(effect, i)) for i in range(len(self.seeds))])


Source = Noise | torch.Generator | None


def as_noise(source: Source, images: int, device: torch.device | str) -> Noise:
    """Streams for `images` images from streams, from a torch generator, or from torch's own state (None)."""
    if isinstance(source, Noise):
        return source
    where = source.device if source is not None else "cpu"
    seeds = torch.randint(LARGEST_SEED, (images,), generator=source, device=where)
    return Noise([int(seed) for seed in seeds.tolist()], device)


def _hash(seed: int, name: str) -> int:
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % LARGEST_SEED
