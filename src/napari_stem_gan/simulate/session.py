"""Simulated sessions: labelled images with today's lattice, optics, scan, noise and contamination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.planted import scale_planted
from napari_stem_gan.degrade.config import ContaminationConfig
from napari_stem_gan.degrade.contamination import contamination
from napari_stem_gan.degrade.noise import Noise
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.aberrations import read_aberrations
from napari_stem_gan.simulate.batch import labelled_batch
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.simulate.fit import SessionFit
from napari_stem_gan.simulate.near import near_detector, near_optics, near_scan
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR, Degradation, Field, Scene

STRAIN, STACK_SPREAD = 0.002, 0.03
STACK_FACTORS = (1.0, 1.26)  # single atoms added up; static multislice (SCIENCE 2.4)
PIXELS_AT_ONCE = 2**23


def session_pairs(
    matches: Sequence[LatticeMatch],
    fits: Sequence[SessionFit],
    config: SimulateConfig,
    *,
    device: str | torch.device = "cpu",
) -> Iterator[LabelledImage]:
    """Draw labelled images like today's, one after the other.

    Parameters
    ----------
    matches, fits
        Of today's images; each simulated image takes one of them at random.
    config
        Number, size, specimen, defects, seed.
    device
        Where images are computed; beside the processor several at once.

    Raises
    ------
    ValueError
        If there is no accepted match.
    """
    if not matches:
        raise ValueError("at least one image must be matched before a session can be simulated; run Match first")
    rngs = [np.random.default_rng(seed) for seed in np.random.SeedSequence(config.seed).spawn(config.count)]
    at_once = 1 if torch.device(device).type == "cpu" else max(1, PIXELS_AT_ONCE // config.size_px**2)
    for first in range(0, config.count, at_once):
        some = rngs[first : first + at_once]
        chosen = [int(rng.integers(len(matches))) for rng in some]
        yield from _images([(matches[i], fits[i]) for i in chosen], config, some, device)


def session_image(
    match: LatticeMatch,
    fit: SessionFit,
    config: SimulateConfig,
    rng: np.random.Generator,
    *,
    device: str | torch.device = "cpu",
) -> LabelledImage:
    """Draw one labelled image around one match and fit; in the units of the image it was fitted to."""
    return _images([(match, fit)], config, [rng], device)[0]


def _images(
    today: Sequence[tuple[LatticeMatch, SessionFit]],
    config: SimulateConfig,
    rngs: Sequence[np.random.Generator],
    device: str | torch.device,
) -> list[LabelledImage]:
    scenes = [session_scene(m, f, config, rng, device=device) for (m, f), rng in zip(today, rngs, strict=True)]
    images = labelled_batch(scenes, rngs, device=device)
    return [_noted(image, fit, config) for image, (_, fit) in zip(images, today, strict=True)]


def _noted(labelled: LabelledImage, fit: SessionFit, config: SimulateConfig) -> LabelledImage:
    """Note what the contamination was drawn from, and what was set by hand."""
    by_hand, more = read_aberrations(config.aberrations), dict[str, Any]()
    if config.degrade:
        by_hand |= config.instrument.by_hand()
        fitted = fit.background.to_dict()
        chosen = config.instrument.contamination(fitted)
        drawn = fitted if chosen is None else {**asdict(chosen), "even": _even(fit)}
        more["contamination"] = {**drawn, "unit_of_beam": fit.contrast}
    more |= {"by_hand": by_hand} if by_hand else {}
    return replace(labelled, parameters={**labelled.parameters, **more})


def session_scene(
    match: LatticeMatch,
    fit: SessionFit,
    config: SimulateConfig,
    rng: np.random.Generator,
    *,
    device: str | torch.device = "cpu",
) -> Scene:
    """Draw what one image shows, around one match and fit; see `session_image`."""
    size, shape = match.pixel_size_A or 0.2, (config.size_px, config.size_px)
    vectors = match.lattice_vectors_px @ (np.eye(2) + rng.normal(0, STRAIN, (2, 2)))
    y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    material = get_material(match.material)
    scene = Scene(
        field=Field(material=material, vectors_px=vectors, origin_px=(y, x), shape=shape, pixel_size_A=size),
        optics=config.with_known_aberrations(near_optics(fit, rng) if config.degrade else fit.optics),
        defects=_scaled(config.defects, config.defect_scale),
        specimen=None if config.specimen == SpecimenConfig() else config.specimen,
        stack_factor=_stack_factor(fit, material, rng),
    )
    if not config.degrade:
        return scene
    by_hand = config.instrument
    degradation = Degradation(
        contamination=by_hand.contamination(fit.background.to_dict()) or ContaminationConfig(amount=0.0),
        scan=by_hand.scan(near_scan(fit, config.frames, rng)),
        detector=by_hand.detector(near_detector(fit, config.frames, rng), fit.detector),
    )
    background = _background(fit, config, scene, rng, device)
    return replace(scene, degradation=degradation, background=background, background_unit=fit.contrast)


def _background(
    fit: SessionFit, config: SimulateConfig, scene: Scene, rng: np.random.Generator, device: str | torch.device
) -> torch.Tensor:
    """Contamination ``(Y, X)`` like today's, or by hand over the even brightness that lies under today's crystal."""
    shape, size = scene.field.shape, scene.field.pixel_size_A
    chosen = config.instrument.contamination(fit.background.to_dict())
    if chosen is None:
        return fit.background.field(shape, size, rng, device)
    return contamination(shape, size, chosen, Noise.of([rng], device)) + _even(fit)


def _even(fit: SessionFit) -> float:
    """Brightness under the clean places of today's crystal, in units of the contrast."""
    return float(fit.background.quantiles.min())


def _stack_factor(fit: SessionFit, material: Material, rng: np.random.Generator) -> float:
    """Brightness of two-atom columns over two single atoms, around what the image shows."""
    pairs = {c.sublattice for c in material.columns if len(c.atoms) > 1}
    ratios = fit.column_ratios
    if material.layers != 1 or not {c.sublattice for c in material.columns} <= set(ratios) or len(pairs) != 1:
        return float(rng.uniform(1.0, 1.2))
    single = [ratios[c.sublattice] for c in material.columns if len(c.atoms) == 1]
    if not single:
        return float(rng.uniform(1.0, 1.2))
    fitted = PAIR_STACK_FACTOR * ratios[pairs.pop()] / max(single[0], 1e-6)
    return float(np.clip(rng.normal(fitted, STACK_SPREAD), *STACK_FACTORS))


def _scaled(defects: DefectConfig, scale: float) -> DefectConfig:
    """All concentrations times `scale`; fractions are kept below what a site can hold."""
    planted = scale_planted(defects.planted, scale)
    total = scale * (defects.single_vacancy + defects.double_vacancy + defects.anion_substitution)
    scale = scale if total <= 0.9 else scale * 0.9 / total
    return replace(
        defects,
        single_vacancy=defects.single_vacancy * scale,
        double_vacancy=defects.double_vacancy * scale,
        metal_vacancy=defects.metal_vacancy * scale,
        anion_substitution=defects.anion_substitution * scale,
        metal_substitution=defects.metal_substitution * scale,
        adatom=min(defects.adatom * scale, 1.0),
        planted=planted,
    )
