"""Normalisation of a session, and unpaired training patches drawn lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.image import FloatImage, LabelledImage

CLIP_SIGMA = 3.5


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """The mean and spread of a session: ±3.5 standard deviations become ±1.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of all pixels, in the images' own units; 1 where they are all alike.
    """

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def fit(cls, images: Sequence[FloatImage]) -> Normaliser:
        """Return the normaliser of images ``(Y, X)`` of one session."""
        if not images:
            raise ValueError("a session must have at least one image, got none; load or simulate images first")
        count = sum(image.size for image in images)
        mean = sum(float(image.sum(dtype=np.float64)) for image in images) / count
        square = sum(float(np.square(image - mean, dtype=np.float64).sum()) for image in images)
        return cls(mean=mean, std=float(np.sqrt(square / count)) or 1.0)

    def apply(self, image: FloatImage) -> FloatImage:
        """Return the normalised image; nothing is clipped here (the networks clip)."""
        scaled = (image - np.float32(self.mean)) / np.float32(CLIP_SIGMA * self.std)
        return scaled.astype(np.float32, copy=False)

    def undo(self, image: FloatImage) -> FloatImage:
        """Return a normalised image in the session's own units."""
        scaled = image * np.float32(CLIP_SIGMA * self.std) + np.float32(self.mean)
        return scaled.astype(np.float32, copy=False)


class PatchSampler:
    """Endless unpaired batches of patches from simulated and real images.

    Parameters
    ----------
    simulated, real
        Normalised images ``(Y, X)`` of both domains; small ones are padded by reflection.
    patch_px
        Side of the square patches in pixels.
    batch_size
        Patches of each domain per batch.
    rng
        Source of randomness.
    """

    def __init__(
        self,
        simulated: Sequence[FloatImage],
        real: Sequence[FloatImage],
        *,
        patch_px: int,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        if not simulated or not real:
            raise ValueError("both simulated and real images are needed, got none of one kind; simulate or load some")
        self.simulated = [_at_least(image, patch_px) for image in simulated]
        self.real = [_at_least(image, patch_px) for image in real]
        self.patch_px = patch_px
        self.batch_size = batch_size
        self.rng = rng

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return itself: batches without end."""
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        """Return (simulated, real), each ``(B, 1, patch, patch)`` float32 clipped to ±1."""
        return self._batch(self.simulated), self._batch(self.real)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the random numbers."""
        return dict(self.rng.bit_generator.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the result of `state_dict`."""
        self.rng.bit_generator.state = state

    def _batch(self, images: Sequence[FloatImage]) -> Tensor:
        weights = np.array([image.size for image in images], dtype=float)
        chosen = self.rng.choice(len(images), size=self.batch_size, p=weights / weights.sum())
        patches = [draw_patch(images[i], self.patch_px, self.rng) for i in chosen]
        return torch.from_numpy(np.stack(patches)[:, None]).clamp(-1, 1)  # (B, 1, Y, X)


def draw_patch(image: FloatImage, patch_px: int, rng: np.random.Generator) -> FloatImage:
    """Return a random patch, rotated by a multiple of 90° and perhaps flipped.

    Parameters
    ----------
    image
        Image ``(Y, X)`` with both sides at least `patch_px`.
    patch_px
        Side of the patch in pixels.
    rng
        Source of randomness.
    """
    top = int(rng.integers(image.shape[0] - patch_px + 1))
    left = int(rng.integers(image.shape[1] - patch_px + 1))
    patch = np.rot90(image[top : top + patch_px, left : left + patch_px], int(rng.integers(4)))
    return np.ascontiguousarray(patch[::-1] if rng.random() < 0.5 else patch)


def tiles_of(image: FloatImage, side_px: int) -> list[NDArray[np.float32]]:
    """Return the non-overlapping squares of an image ``(Y, X)``; the whole image if it is smaller."""
    side = min(side_px, *image.shape)
    rows = range(0, image.shape[0] - side + 1, side)
    columns = range(0, image.shape[1] - side + 1, side)
    return [np.ascontiguousarray(image[y : y + side, x : x + side]) for y in rows for x in columns]


def spread_selection(tiles: Sequence[FloatImage], count: int) -> list[FloatImage]:
    """Return at most `count` tiles, spread evenly over all."""
    if len(tiles) <= count:
        return list(tiles)
    return [tiles[i] for i in np.linspace(0, len(tiles) - 1, count).astype(int)]


def _at_least(image: FloatImage, side_px: int) -> FloatImage:
    missing = [max(0, side_px - size) for size in image.shape]
    if not any(missing):
        return image
    return np.pad(image, [(0, n) for n in missing], mode="symmetric")


def crop_labelled(labelled: LabelledImage, side_px: int) -> LabelledImage:
    """Return the top left part of a labelled image, at most `side_px` on each side, with its labels."""
    height, width = (min(side_px, size) for size in labelled.image.shape)
    if (height, width) == labelled.image.shape:
        return labelled
    inside = _inside(labelled.positions_px, height, width)
    return replace(
        labelled,
        image=replace(labelled.image, data=labelled.image.data[:height, :width]),
        positions_px=labelled.positions_px[inside],
        defects=tuple(name for name, keep in zip(labelled.defects, inside, strict=True) if keep),
        sublattices=tuple(name for name, keep in zip(labelled.sublattices, inside, strict=True) if keep),
        columns_px=labelled.columns_px[_inside(labelled.columns_px, height, width)],
    )


def _inside(points: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    rows = np.asarray(points, dtype=float).reshape(-1, 2)
    return np.asarray(np.all((rows >= 0) & (rows <= (height - 1, width - 1)), axis=1))
