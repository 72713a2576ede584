"""Labelled images of one size made together: planted one by one, rendered and degraded in batches on a device.

Each image has its own random streams, so that it is the same alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.degrade.config import ContaminationConfig, ScanConfig
from napari_stem_gan.degrade.contamination import contamination, quantile
from napari_stem_gan.degrade.frames import acquire, mean_wander
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.degrade.scan import move_systematically
from napari_stem_gan.image import FloatImage, LabelledImage, STEMImage
from napari_stem_gan.simulate.adf import render_batch
from napari_stem_gan.simulate.scene import Degradation, Scene
from napari_stem_gan.simulate.thickness import projected_weights

DARK, BRIGHT = 0.05, 0.9
Float = NDArray[np.float64]
Background = tuple[FloatImage | Tensor | None, float | None]


@dataclass(frozen=True)
class Planted:
    """Atoms of a scene and the labels of its image.

    Parameters
    ----------
    atoms_px, weights_A2
        Positions ``(N, 2)`` and partial cross-sections ``(N,)``.
    labels
        Fields of a LabelledImage but the image.
    """

    atoms_px: NDArray[np.float64]
    weights_A2: NDArray[np.float64]
    labels: dict[str, Any]


def labelled_batch(
    scenes: Sequence[Scene], rngs: Sequence[np.random.Generator], *, device: str | torch.device = "cpu"
) -> list[LabelledImage]:
    """Make labelled images of one size together.

    Parameters
    ----------
    scenes
        What is on them; all of one shape. Those with a degradation are degraded.
    rngs
        Source of every draw, one per scene.
    device
        Where images are computed; ten of 1024² need about 1 GB.

    Returns
    -------
    list
        As `pairs.ideal_image` and `pairs.degrade` make them one by one.

    Raises
    ------
    ValueError
        If the scenes differ in shape, or there is not one `rng` per scene.
    """
    shapes = {scene.field.shape for scene in scenes}
    if len(shapes) > 1 or len(rngs) != len(scenes):
        raise ValueError(
            f"scenes must have one shape and one rng each, got shapes {sorted(shapes)} and {len(rngs)} rngs for "
            f"{len(scenes)} scenes; make a batch of each shape"
        )
    if not scenes:
        return []
    planted = [plant(scene, rng) for scene, rng in zip(scenes, rngs, strict=True)]
    images = render_batch(
        [(p.atoms_px, p.weights_A2) for p in planted],
        scenes[0].field.shape,
        pixel_size_A=[scene.field.pixel_size_A for scene in scenes],
        optics=[scene.optics for scene in scenes],
        device=device,
    )
    on = [i for i, scene in enumerate(scenes) if scene.degradation is not None]
    wandered: dict[int, Float] = {}
    if on:
        degradations = [scenes[i].degradation or Degradation() for i in on]
        noise = Noise.of([rngs[i] for i in on], device)
        images[on] = degrade_batch(
            images[on],
            degradations,
            pixel_sizes_A=[scenes[i].field.pixel_size_A for i in on],
            noise=noise,
            backgrounds=[(scenes[i].background, scenes[i].background_unit) for i in on],
        )
        wandered = dict(zip(on, slow_wander(degradations, images.shape[-2], noise), strict=True))
    arrays = images.cpu().numpy()
    made = enumerate(zip(scenes, planted, arrays, strict=True))
    return [finish(s, p.labels, image, wandered.get(i)) for i, (s, p, image) in made]


def slow_wander(degradations: Sequence[Degradation], rows: int, noise: Noise) -> Float:
    """How far the scan of each image wanders along y and x in pixels, ``(B, 2, rows)``; of images made with `noise`."""
    scans, detectors = [d.scan for d in degradations], [d.detector for d in degradations]
    return np.asarray(mean_wander(scans, detectors, rows, noise).cpu().numpy(), float)


def plant(scene: Scene, rng: np.random.Generator) -> Planted:
    """Draw the atoms of a scene and what its image will be labelled with."""
    field = scene.field
    sites = field.sites(scene.specimen, rng)
    if scene.mask is not None:
        sites = sites.where(_on_mask(sites.positions_px, scene.mask))
    made = plant_defects(sites, scene.defects, field.pixel_size_A, rng)
    points, weights = projected_weights(made, scene.optics, stack_factor=scene.stack_factor)
    seen, columns = _inside(made.positions_px, field.shape), _inside(made.columns_px, field.shape)
    drawn = {
        "material": field.material.key,
        "vectors_px": field.vectors_px.tolist(),
        "origin_px": list(map(float, field.origin_px)),
        "stack_factor": scene.stack_factor,
        "optics": asdict(scene.optics),
        "defects": asdict(scene.defects),
        "kinds": _chosen(made.kinds, seen),
    }
    if scene.specimen is not None:
        drawn |= {"specimen": asdict(scene.specimen), "specimen_drawn": dict(sites.drawn)}
    labels = {
        "positions_px": made.positions_px[seen],
        "defects": tuple(_chosen(made.defects, seen)),
        "sublattices": tuple(_chosen(made.sublattices, seen)),
        "columns_px": made.columns_px[columns],
        "parameters": drawn,
        "structure": made,
    }
    return Planted(points, weights, labels)


def degrade_batch(
    images: Tensor,
    degradations: Sequence[Degradation],
    *,
    pixel_sizes_A: Sequence[float],
    noise: Noise,
    backgrounds: Sequence[Background],
) -> Tensor:
    """Contaminate, scan and count clean images.

    Parameters
    ----------
    images
        Fraction of the beam, ``(B, Y, X)``.
    degradations, pixel_sizes_A
        One per image.
    noise
        Streams of the images.
    backgrounds
        Of each image: contamination to use instead of drawing a field, ``(Y, X)`` or None, and the fraction of the
        beam that 1 of it adds (None: the image's contrast).

    Returns
    -------
    Tensor
        Detector output, ``(B, Y, X)``.
    """
    fields = [
        _background(image, given, degradation.contamination, size, noise.chosen([i]))
        for i, (image, given, degradation, size) in enumerate(
            zip(images, backgrounds, degradations, pixel_sizes_A, strict=True)
        )
    ]
    doses = [d.detector.dose_e_per_A2 * size**2 for d, size in zip(degradations, pixel_sizes_A, strict=True)]
    return acquire(
        (images + torch.stack(fields))[:, None],
        [d.scan for d in degradations],
        [d.detector for d in degradations],
        electrons_per_px=torch.tensor(doses, dtype=images.dtype, device=images.device).view(-1, 1, 1, 1),
        noise=noise,
    )[:, 0]


def _background(
    clean: Tensor, background: Background, config: ContaminationConfig, pixel_size_A: float, noise: Noise
) -> Tensor:
    """What contamination adds to a clean image ``(Y, X)``, as a fraction of the beam."""
    given, unit = background
    if given is None:
        if config.amount == 0 and config.clusters_per_100nm2 == 0:
            return torch.zeros_like(clean)
        field = contamination((clean.shape[0], clean.shape[1]), pixel_size_A, config, noise)
    else:
        field = torch.as_tensor(given, dtype=clean.dtype, device=clean.device)
    return field * (column_contrast(clean) if unit is None else unit)


def finish(
    scene: Scene, labels: dict[str, Any], data: FloatImage, wandered_px: Float | None = None
) -> LabelledImage:
    """Put image and labels together; labels follow drift, fly-back and wander, which move columns for good."""
    name, size = f"simulated {scene.field.material.key}", scene.field.pixel_size_A
    image = STEMImage(data=data, pixel_size_A=size, name=name, source="simulated" if scene.degradation else "")
    if scene.degradation is None:
        return LabelledImage(image=image, **labels)
    moved = follow_scan(labels, scene.degradation.scan, image.shape, wandered_px)
    moved["parameters"] = {**moved["parameters"], "degradation": asdict(scene.degradation)}
    return LabelledImage(image=image, **moved)


def follow_scan(
    labels: dict[str, Any], scan: ScanConfig, shape: tuple[int, int], wandered_px: Float | None = None
) -> dict[str, Any]:
    """Labels of an image after drift, fly-back and wander ``(2, Y)``; those that leave the image are dropped."""
    if not (scan.drift_scale or scan.drift_shear or scan.flyback_px or scan.wander_px):
        return dict(labels)
    positions, columns = (
        wandered(move_systematically(labels[n], scan, shape), wandered_px) for n in ("positions_px", "columns_px")
    )
    seen, parameters = _inside(positions, shape), dict(labels["parameters"])
    if "kinds" in parameters:
        parameters["kinds"] = _chosen(parameters["kinds"], seen)
    if wandered_px is not None and wandered_px.any():
        parameters["wander_px"] = wandered_px.round(4).tolist()
    return {
        **labels,
        "positions_px": positions[seen],
        "defects": tuple(_chosen(labels["defects"], seen)),
        "sublattices": tuple(_chosen(labels["sublattices"], seen)),
        "columns_px": columns[_inside(columns, shape)],
        "parameters": {**parameters, **_drifted_lattice(parameters, scan, shape)},
    }


def wandered(points: Float, wandered_px: Float | None) -> Float:
    """Where points ``(N, 2)`` are seen by rows that look beside their place."""
    if wandered_px is None or not len(points):
        return points
    seen, rows = points, np.arange(wandered_px.shape[1])
    for _ in range(3):
        seen = points - np.stack([np.interp(seen[:, 0], rows, part) for part in wandered_px], 1)
    return np.asarray(seen)


def _drifted_lattice(parameters: dict[str, Any], scan: ScanConfig, shape: tuple[int, int]) -> dict[str, Any]:
    """The lattice as drift shows it: pixel q samples q + M (q − middle), so that lengths shrink by (1 + M)⁻¹."""
    if "vectors_px" not in parameters:
        return {}
    back = np.linalg.inv(np.eye(2) + np.array([[scan.drift_scale, 0.0], [scan.drift_shear, 0.0]])).T
    middle = (np.array(shape) - 1) / 2
    origin = middle + (np.array(parameters["origin_px"]) - middle) @ back
    return {"vectors_px": (np.array(parameters["vectors_px"]) @ back).tolist(), "origin_px": origin.tolist()}


def column_contrast(clean: Tensor) -> Tensor:
    """Brightness that contamination is measured in: 90 % minus 5 % quantile of a clean image ``(Y, X)``."""
    return quantile(clean, BRIGHT) - quantile(clean, DARK)


def _inside(positions_px: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((positions_px >= -0.5) & (positions_px < np.array(shape) - 0.5)).all(1))


def _on_mask(positions: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each position lies on the mask (clamped to its rim)."""
    index = np.clip(np.rint(positions).astype(int), 0, np.array(mask.shape) - 1)
    return np.asarray(mask[index[:, 0], index[:, 1]])


def _chosen(values: Sequence[str], keep: NDArray[np.bool_]) -> list[str]:
    return [value for value, kept in zip(values, keep, strict=True) if kept]
