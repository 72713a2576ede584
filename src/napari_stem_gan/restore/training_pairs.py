"""Training pairs made on the fly: random specimens, degraded by random instruments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig, draw_detector, draw_scan, log_uniform
from napari_stem_gan.degrade.detector import detect_electrons
from napari_stem_gan.degrade.scan import distort, torch_generator
from napari_stem_gan.restore.config import CGRDNTrainingConfig
from napari_stem_gan.restore.render import render
from napari_stem_gan.restore.specimens import draw_specimen

PIXEL_SIZE_A = (0.08, 0.35)
DOSE_E_PER_A2 = (2e2, 1.2e5)
SIGNAL_FRACTION = (0.03, 1.0)
MIN_PEAK_ELECTRONS = 0.4


def standardise(distorted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Take each image pair to mean 0 and deviation 1 of the distorted image."""
    mean = distorted.mean(dim=(-2, -1), keepdim=True)
    std = distorted.std(dim=(-2, -1), keepdim=True).clamp(min=1e-6)
    return (distorted - mean) / std, (target - mean) / std


def _draw_configs(pixel_size_A: float, rng: np.random.Generator) -> tuple[ScanConfig, DetectorConfig, float]:
    """Scan, detector and electrons at the brightest pixel."""
    scan = draw_scan(rng, pixel_size_A, drift=0.0)
    detector = draw_detector(rng, dose_e_per_A2=DOSE_E_PER_A2)
    electrons = detector.dose_e_per_A2 * pixel_size_A**2 * log_uniform(rng, *SIGNAL_FRACTION)
    return scan, detector, max(electrons, MIN_PEAK_ELECTRONS)


def degrade(clean: Tensor, pixel_sizes_A: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Record clean images with random instruments.

    Parameters
    ----------
    clean
        ``(B, 1, Y, X)``, brightest pixel 1.
    pixel_sizes_A
        Pixel size of each image in Å, ``(B,)``.
    rng
        Source of randomness.

    Returns
    -------
    tuple
        Distorted and target images in electrons, ``(B, 1, Y, X)``, centred on each other.
    """
    generator = torch_generator(rng)
    scans, detectors, electrons = zip(*(_draw_configs(float(size), rng) for size in pixel_sizes_A), strict=True)
    peak = torch.tensor(electrons, dtype=clean.dtype).view(-1, 1, 1, 1)
    moved = distort(clean, list(scans), generator).clamp(min=0)
    distorted = detect_electrons(moved, electrons_per_px=peak, config=list(detectors), generator=generator)
    share = torch.tensor(np.where(rng.random(len(clean)) < 0.1, rng.uniform(0, 0.25, len(clean)), 0.0))
    return _blur(distorted, share.to(clean.dtype).view(-1, 1, 1, 1)), clean * peak


def _blur(image: Tensor, share: Tensor) -> Tensor:
    """Mix each pixel with its four neighbours, as interpolation after acquisition does."""
    if not bool((share > 0).any()):
        return image
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3) / 4
    around = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="reflect"), kernel)
    return (1 - share) * image + share * around


def turn(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn and mirror each image of ``(B, 1, Y, Y)`` at random."""
    turned = [torch.rot90(image, int(rng.integers(4)), (-2, -1)) for image in images]
    return torch.stack([image.flip(-1) if rng.random() < 0.5 else image for image in turned])


class PairStream(Iterator[tuple[Tensor, Tensor]]):
    """Endless standardised pairs (distorted, target), each ``(B, 1, Y, X)``; can be saved and resumed.

    Parameters
    ----------
    config
        Sizes and seed.
    """

    def __init__(self, config: CGRDNTrainingConfig) -> None:
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        self.pool = torch.zeros(0, 1, config.patch_px, config.patch_px)
        self.sizes_A = torch.zeros(0)

    def _draw(self, count: int) -> tuple[Tensor, Tensor]:
        sizes = [log_uniform(self.rng, *PIXEL_SIZE_A) for _ in range(count)]
        specimens = [draw_specimen(self.rng, size_px=self.config.patch_px, pixel_size_A=size) for size in sizes]
        return render(specimens, self.config.patch_px, self.rng), torch.tensor(sizes)

    def _refresh(self) -> None:
        """Replace some of the pool, or fill it at the start."""
        missing = self.config.pool_size - len(self.pool)
        if missing > 0:
            self.pool, self.sizes_A = self._draw(self.config.pool_size)
            return
        images, sizes = self._draw(self.config.fresh_per_step)
        slots = torch.from_numpy(self.rng.choice(len(self.pool), len(images), replace=False))
        self.pool[slots], self.sizes_A[slots] = images, sizes

    def __next__(self) -> tuple[Tensor, Tensor]:
        """Draw the next batch."""
        self._refresh()
        chosen = torch.from_numpy(self.rng.choice(len(self.pool), self.config.batch_size, replace=False))
        clean = turn(self.pool[chosen], self.rng)
        return standardise(*degrade(clean, self.sizes_A[chosen], self.rng))

    def state_dict(self) -> dict[str, Any]:
        """Random state and pool."""
        return {"rng": json.dumps(self.rng.bit_generator.state), "pool": self.pool, "sizes_A": self.sizes_A}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.pool, self.sizes_A = state["pool"], state["sizes_A"]
