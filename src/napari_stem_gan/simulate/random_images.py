"""Fully randomised labelled images: what the finder is pretrained on.

Beside crystals with defects they show what is no defect: rims and holes, islands of a second layer, and, now and then,
no crystal at all.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.image import FloatImage, LabelledImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.draws import (
    TMD,
    draw_defects,
    draw_degradation,
    draw_field,
    draw_mask,
    draw_optics,
    draw_specimen,
)
from napari_stem_gan.simulate.pairs import Field, degrade, ideal_image

PERFECT = DefectConfig(
    single_vacancy=0, double_vacancy=0, metal_vacancy=0, anion_substitution=0, metal_substitution=0
)  # fmt: skip


def random_labelled(
    rng: np.random.Generator,
    *,
    shape: tuple[int, int] = (256, 256),
    materials: tuple[Material, ...] = TMD,
    pixel_size_A: tuple[float, float] = (0.11, 0.26),
    dose_e_per_A2: tuple[float, float] = (8e3, 4e5),
    edges: float = 0.12,
    islands: float = 0.08,
    amorphous: float = 0.04,
) -> LabelledImage:
    """Draw one fully randomised labelled image.

    Parameters
    ----------
    rng
        Source of every draw.
    shape
        Height and width in pixels.
    materials
        Crystals to choose from.
    pixel_size_A
        Range of the pixel size.
    dose_e_per_A2
        Range of the dose.
    edges, islands, amorphous
        Probability of a rim or holes, of an island of a second layer (its defects have no labels), and of no crystal
        at all (``parameters["crystal"]`` is then False, and nothing is labelled).
    """
    material = materials[rng.integers(len(materials))]
    field, optics = draw_field(rng, material, shape, pixel_size_A=pixel_size_A), draw_optics(rng)
    mask = draw_mask(rng, shape) if rng.random() < edges else None
    ideal = ideal_image(
        field, optics, draw_defects(rng), rng,
        stack_factor=float(rng.uniform(0.98, 1.25)), mask=mask, specimen=draw_specimen(rng),
    )  # fmt: skip
    kind = rng.random()
    if kind < islands:
        ideal = with_island(ideal, field, optics, rng)
    elif kind < islands + amorphous:
        ideal = without_order(ideal, rng)
    return degrade(ideal, draw_degradation(rng, field.pixel_size_A, dose_e_per_A2=dose_e_per_A2), rng)


def with_island(
    labelled: LabelledImage, field: Field, optics: OpticsConfig, rng: np.random.Generator
) -> LabelledImage:
    """Put an island of a second layer on an ideal image, turned at random; labels beneath it are dropped."""
    island = draw_mask(rng, field.shape)
    vectors = lattice_vectors_px(field.material, field.pixel_size_A, float(rng.uniform(0, 360)))
    y, x = rng.uniform(0, field.shape[0]), rng.uniform(0, field.shape[1])
    second = dataclasses.replace(field, vectors_px=vectors, origin_px=(y, x))
    above = ideal_image(second, optics, PERFECT, rng, mask=island)
    index = np.clip(np.rint(labelled.positions_px).astype(int), 0, np.array(field.shape) - 1)
    return _shown(labelled, labelled.image.data + above.image.data, ~island[index[:, 0], index[:, 1]])


def without_order(labelled: LabelledImage, rng: np.random.Generator) -> LabelledImage:
    """Amorphous matter with the rotational mean of an ideal image's power spectrum; nothing is labelled."""
    data = labelled.image.data
    power = np.abs(np.fft.rfft2(data - data.mean())) ** 2
    fy, fx = np.fft.fftfreq(data.shape[0])[:, None], np.fft.rfftfreq(data.shape[1])[None]
    ring = np.rint(np.hypot(fy, fx) * min(data.shape)).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    noise = np.fft.rfft2(rng.normal(size=data.shape))
    film = np.fft.irfft2(noise * np.sqrt(mean[ring] / data.size), data.shape)
    none = np.zeros(len(labelled.positions_px), bool)
    shown = _shown(labelled, np.maximum(data.mean() + film, 0).astype(np.float32), none)
    return dataclasses.replace(shown, parameters={**shown.parameters, "crystal": False})


def _shown(labelled: LabelledImage, data: FloatImage, keep: NDArray[np.bool_]) -> LabelledImage:
    """Other data, and only some of the labels."""

    def chosen(names: list[str] | tuple[str, ...]) -> list[str]:
        return [name for name, kept in zip(names, keep, strict=True) if kept]

    kinds = chosen(labelled.parameters["kinds"])
    return dataclasses.replace(
        labelled,
        image=dataclasses.replace(labelled.image, data=data),
        positions_px=labelled.positions_px[keep],
        defects=tuple(chosen(labelled.defects)),
        sublattices=tuple(chosen(labelled.sublattices)),
        parameters={**labelled.parameters, "kinds": kinds},
    )
