"""Labelled images one by one: a crystal with planted defects, rendered and degraded, with the truth kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.image import FloatImage, LabelledImage, STEMImage
from napari_stem_gan.simulate.batch import column_contrast, degrade_batch, follow_scan, labelled_batch, slow_wander
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR, Degradation, Field, Scene

__all__ = ["Degradation", "Field", "anion_peak", "degrade", "ideal_image"]


def ideal_image(
    field: Field,
    optics: OpticsConfig,
    defects: DefectConfig,
    rng: np.random.Generator,
    *,
    stack_factor: float = PAIR_STACK_FACTOR,
    mask: NDArray[np.bool_] | None = None,
    device: str | torch.device = "cpu",
    specimen: SpecimenConfig | None = None,
) -> LabelledImage:
    """Render a crystal with planted defects, without any degradation.

    Parameters
    ----------
    field
        Crystal and its place.
    optics
        Probe and detector.
    defects
        What is planted.
    rng
        Source of every draw.
    stack_factor
        See `adf.atom_weights_A2`; 1.15 for the two anions of WSe2 at 80 kV; `stack.pair_stack_factor` for others.
    mask
        Where the crystal is, shape ``(Y, X)``; None: everywhere.
    device
        Where to compute.
    specimen
        Strain, ripples, tilt, layers …; None: flat, endless, perfect.

    Returns
    -------
    LabelledImage
        Intensity as a fraction of the beam, with true positions inside the field.
    """
    scene = Scene(
        field=field, optics=optics, defects=defects, specimen=specimen, stack_factor=stack_factor, mask=mask
    )
    return labelled_batch([scene], [rng], device=device)[0]


def degrade(
    labelled: LabelledImage,
    degradation: Degradation,
    rng: np.random.Generator,
    *,
    background: FloatImage | None = None,
    device: str | torch.device = "cpu",
) -> LabelledImage:
    """Add contamination, distort the scan, count electrons; labels follow drift, fly-back and wander.

    Parameters
    ----------
    labelled
        What `ideal_image` returned.
    degradation
        Contamination, scan and detector.
    rng
        Source of every draw.
    background
        Contamination to use instead of drawing a field, ``(Y, X)`` in units of `anion_peak`.
    device
        Where to compute.
    """
    size, noise = labelled.image.pixel_size_A or 0.2, Noise.of([rng], device)
    counted = degrade_batch(
        torch.from_numpy(labelled.image.data).to(device)[None],
        [degradation],
        pixel_sizes_A=[size],
        noise=noise,
        backgrounds=[(background, None)],
    )[0]
    wandered = slow_wander([degradation], labelled.image.shape[0], noise)[0]
    moved = follow_scan(_labels(labelled), degradation.scan, labelled.image.shape, wandered)
    moved["parameters"] = {**moved["parameters"], "degradation": asdict(degradation)}
    name = labelled.image.name
    image = STEMImage(data=counted.cpu().numpy(), pixel_size_A=size, name=name, source="simulated")
    return LabelledImage(image=image, **moved)


def anion_peak(clean: FloatImage) -> float:
    """Brightness that contamination is measured in: the contrast of a clean image (its 90 % minus 5 % quantile)."""
    return float(column_contrast(torch.from_numpy(np.ascontiguousarray(clean, np.float32))))


def _labels(labelled: LabelledImage) -> dict[str, Any]:
    names = ("positions_px", "defects", "sublattices", "columns_px", "structure")
    return {**{name: getattr(labelled, name) for name in names}, "parameters": dict(labelled.parameters)}
