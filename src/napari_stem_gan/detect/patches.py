"""Training patches of the finder: a pool of labelled images in the network's frame, drawn from at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.frame import CHANNELS
from napari_stem_gan.detect.labels import training_example
from napari_stem_gan.image import LabelledImage


class PatchPool:
    """Endless batches of ``(input (B, 4, p, p), target (B, classes, p, p))``.

    Parameters
    ----------
    make
        Draws one labelled image from a random generator.
    size
        Images kept.
    fresh_every
        A new image replaces the oldest after this many batches; 0: never.
    patch_px, batch_size
        Side and number of patches.
    seed
        Seed of every draw.
    """

    def __init__(
        self,
        make: Callable[[np.random.Generator], LabelledImage],
        *,
        size: int = 48,
        fresh_every: int = 1,
        patch_px: int = 192,
        batch_size: int = 8,
        seed: int = 0,
    ) -> None:
        self.make, self.size, self.fresh_every = make, size, fresh_every
        self.patch_px, self.batch_size = patch_px, batch_size
        self.rng = np.random.default_rng(seed)
        self.images: list[tuple[NDArray[np.float16], NDArray[np.float16]]] = []
        self.served = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        """Draw a batch, making images as needed."""
        growing = len(self.images) < min(self.size, 4 + self.served // 2)
        if growing or (self.fresh_every and self.served % self.fresh_every == 0):
            self._add()
        self.served += 1
        picks = [self._patch() for _ in range(self.batch_size)]
        inputs = torch.from_numpy(np.stack([p[0] for p in picks]))
        targets = torch.from_numpy(np.stack([p[1] for p in picks]))
        return inputs, targets

    def _add(self) -> None:
        inputs, targets = training_example(self.make(self.rng), self.rng)
        self.images.append((inputs.astype(np.float16), targets.astype(np.float16)))
        if len(self.images) > self.size:
            self.images.pop(0)

    def _patch(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A random patch, padded with zeros where the image is smaller, turned and mirrored at random."""
        inputs, targets = self.images[self.rng.integers(len(self.images))]
        y, x = (int(self.rng.integers(0, max(1, n - self.patch_px + 1))) for n in inputs.shape[1:])
        return cut_patch(inputs, targets, (y, x), self.patch_px, self.rng)

    def state_dict(self) -> dict[str, Any]:
        """Position of the random draws (the images are drawn again)."""
        inner = self.rng.bit_generator.state["state"]["state"]
        return {"rng": inner.to_bytes(16, "little").hex(), "served": self.served}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        inner = self.rng.bit_generator.state
        inner["state"]["state"] = int.from_bytes(bytes.fromhex(state["rng"]), "little")
        self.rng.bit_generator.state = inner
        self.served = int(state["served"])


def cut_patch(
    inputs: NDArray[Any], targets: NDArray[Any], corner: tuple[int, int], patch_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut input ``(4, p, p)`` and target ``(classes, p, p)`` from `corner` on, turned and mirrored at random.

    Where the image is smaller the rest is 0.
    """
    y, x = corner
    both = np.zeros((CHANNELS + len(FINDER_CLASSES), patch_px, patch_px), np.float32)
    cut = np.concatenate([part[:, y : y + patch_px, x : x + patch_px] for part in (inputs, targets)])
    both[:, : cut.shape[1], : cut.shape[2]] = cut
    both = np.rot90(both, int(rng.integers(4)), (1, 2))
    if rng.random() < 0.5:
        both = both[:, :, ::-1]
    return np.ascontiguousarray(both[:CHANNELS]), np.ascontiguousarray(both[CHANNELS:])
