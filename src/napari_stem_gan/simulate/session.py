"""Simulated sessions: labelled images with today's lattice, optics, noise and contamination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.degrade.config import draw_scan
from napari_stem_gan.degrade.contamination import gaussian_field
from napari_stem_gan.image import FloatImage, LabelledImage
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.simulate.fit import SessionFit
from napari_stem_gan.simulate.pairs import Degradation, Field, anion_peak, degrade, ideal_image

DEFECTS = DefectConfig()
JITTER_STRENGTH = 0.15
GRAIN_A = (1.2, 5.0)
LARGEST_GRAIN = 0.6


def session_pairs(
    matches: Sequence[LatticeMatch],
    fits: Sequence[SessionFit],
    config: SimulateConfig,
) -> Iterator[LabelledImage]:
    """Draw labelled images like today's, one after the other.

    Parameters
    ----------
    matches, fits
        Of today's images; each simulated image takes one of them at random.
    config
        Number, size, defects, seed.

    Raises
    ------
    ValueError
        If there is no accepted match.
    """
    if not matches:
        raise ValueError("at least one image must be matched before a session can be simulated; run Match first")
    seeds = np.random.SeedSequence(config.seed).spawn(config.count)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        which = int(rng.integers(len(matches)))
        yield session_image(matches[which], fits[which], config, rng)


def session_image(
    match: LatticeMatch, fit: SessionFit, config: SimulateConfig, rng: np.random.Generator
) -> LabelledImage:
    """Draw one labelled image around one match and fit; in the units of the image it was fitted to."""
    size = match.pixel_size_A or 0.2
    shape = (config.size_px, config.size_px)
    vectors = match.lattice_vectors_px @ (np.eye(2) + rng.normal(0, 0.002, (2, 2)))
    y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    field = Field(
        material=get_material(match.material), vectors_px=vectors, origin_px=(y, x), shape=shape, pixel_size_A=size
    )
    optics = _near(fit.optics, rng) if config.degrade else fit.optics
    ideal = ideal_image(field, optics, _scaled(DEFECTS, config.defect_scale), rng, stack_factor=rng.uniform(1.0, 1.2))
    if not config.degrade:
        return ideal
    scan = replace(draw_scan(rng, size, strength=JITTER_STRENGTH), drift_shear=0.0, drift_scale=0.0)
    detector = replace(fit.detector, dose_e_per_A2=fit.dose_e_per_A2 * float(np.exp(rng.normal(0, 0.1))))
    unit = fit.contrast / max(anion_peak(ideal.image.data), 1e-30)
    background = _textured(fit.background.draw(shape, size, rng) * np.float32(unit), size, rng)
    return degrade(ideal, Degradation(scan=scan, detector=detector), rng, background=background)


def _textured(background: FloatImage, pixel_size_A: float, rng: np.random.Generator) -> FloatImage:
    """Give contamination the fine grain that the lattice hides from the fit, in proportion to the coarse part."""
    fine = gaussian_field(background.shape, float(rng.uniform(*GRAIN_A)) / pixel_size_A, rng)
    strength = float(rng.uniform(0, LARGEST_GRAIN))
    return np.asarray(background * np.maximum(1 + strength * fine, 0), np.float32)


def _near(optics: OpticsConfig, rng: np.random.Generator) -> OpticsConfig:
    """Small residual aberrations around the fitted probe."""
    return replace(
        optics,
        C12=float(rng.uniform(0, 10)),
        phi12=float(rng.uniform(0, np.pi)),
        C21=float(rng.uniform(0, 200)),
        phi21=float(rng.uniform(0, 2 * np.pi)),
        C23=float(rng.uniform(0, 300)),
        phi23=float(rng.uniform(0, 2 * np.pi / 3)),
    )


def _scaled(defects: DefectConfig, scale: float) -> DefectConfig:
    """All concentrations times `scale`, kept below what a site can hold."""
    total = scale * (defects.single_vacancy + defects.double_vacancy + defects.anion_substitution)
    scale = scale if total <= 0.9 else scale * 0.9 / total
    return replace(
        defects,
        single_vacancy=defects.single_vacancy * scale,
        double_vacancy=defects.double_vacancy * scale,
        metal_vacancy=defects.metal_vacancy * scale,
        anion_substitution=defects.anion_substitution * scale,
        metal_substitution=defects.metal_substitution * scale,
    )
