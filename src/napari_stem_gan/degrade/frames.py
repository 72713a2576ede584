"""Frames: several fast scans that share the dose, each with its own jitter, counting and drift, added up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.detector import collect, digitise, spoil
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.degrade.scan import distort, wander


def acquire(
    image: Tensor,
    scans: Sequence[ScanConfig],
    detectors: Sequence[DetectorConfig],
    *,
    electrons_per_px: Tensor,
    noise: Noise,
) -> Tensor:
    """Scan and detect images, frame by frame.

    Parameters
    ----------
    image
        Fraction of the electrons that reach the detector, ``(B, 1, Y, X)``.
    scans, detectors
        One per image.
    electrons_per_px
        Incident electrons in a pixel, in all frames together, ``(B, 1, 1, 1)``.
    noise
        Streams of the images.

    Returns
    -------
    Tensor
        Detector output, ``(B, 1, Y, X)``.
    """
    total = torch.zeros_like(image)
    velocity = _drift(scans, noise).to(image.device)  # (B, 2)
    for frame in range(max(detector.frames for detector in detectors)):
        on = [i for i, detector in enumerate(detectors) if frame < detector.frames]
        frames = torch.tensor([float(detectors[i].frames) for i in on], device=image.device)
        still = noise.chosen(on).child(f"frame {frame}")
        drift = velocity[on] * (frame - (frames[:, None] - 1) / 2)  # none on average
        seen = distort(image[on], [scans[i] for i in on], still, drift_px=drift)
        expected = seen * (electrons_per_px[on] / frames.view(-1, 1, 1, 1))
        total[on] += collect(expected, [detectors[i] for i in on], still)
    return digitise(spoil(total, detectors, noise), detectors)


def mean_wander(scans: Sequence[ScanConfig], detectors: Sequence[DetectorConfig], rows: int, noise: Noise) -> Tensor:
    """How far the scan of each image wanders, averaged over its frames: along y and x in pixels, ``(B, 2, rows)``."""
    total = torch.zeros(len(scans), 2, rows, device=noise.device)
    for i, (scan, detector) in enumerate(zip(scans, detectors, strict=True)):
        for frame in range(detector.frames if scan.wander_px else 0):
            still = noise.chosen([i]).child(f"frame {frame}")
            total[i] += wander(rows, [scan], still)[0] / detector.frames
    return total


def _drift(scans: Sequence[ScanConfig], noise: Noise) -> Tensor:
    """Drift of each image from one frame to the next in pixels, ``(B, 2)``, in a random direction."""
    angle = 2 * math.pi * noise.uniform("drift", 1)  # (B, 1)
    speed = torch.tensor([[scan.frame_drift_px] for scan in scans], device=angle.device)
    return speed * torch.cat([torch.sin(angle), torch.cos(angle)], 1)
