"""Randomised fields, optics and degradations, of which `random_images` makes what networks are pretrained on."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.materials import MATERIALS, Material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import draw_contamination, draw_detector, draw_scan, log_uniform
from napari_stem_gan.degrade.contamination import gaussian_field
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.scene import Degradation, Field

# what the shipped finder was trained on
TMD = tuple(MATERIALS[key] for key in ("MoS2", "WS2", "MoSe2", "WSe2", "MoTe2"))
SEVERAL_FRAMES, FLY_BACK, ROW_OFFSETS, WANDER = 0.2, 0.2, 0.2, 0.3  # probabilities
RELAXED, BENT, TWO_GRAINS = 0.3, 0.25, 0.2


def draw_optics(rng: np.random.Generator) -> OpticsConfig:
    """Draw a probe of an aberration-corrected microscope at 60 to 300 kV (SCIENCE 2.3)."""
    microscopes = ((60.0, 31.0), (80.0, 25.0), (200.0, 22.0), (300.0, 22.0))
    energy, angle = microscopes[rng.choice(4, p=[0.35, 0.55, 0.07, 0.03])]
    inner = float(rng.uniform(40, 90))
    return OpticsConfig(
        energy_keV=energy,
        convergence_semi_angle_mrad=angle * float(rng.uniform(0.85, 1.15)),
        adf_inner_mrad=round(inner / 10) * 10.0,
        adf_outer_mrad=200.0,
        source_size_fwhm_A=float(rng.uniform(0.3, 1.3)),
        thermal_rms_A=float(rng.uniform(0.04, 0.09)),
        C10=float(rng.normal(0, 15)),
        C12=float(rng.uniform(0, 25)),
        phi12=float(rng.uniform(0, np.pi)),
        C21=float(rng.uniform(0, 600)),
        phi21=float(rng.uniform(0, 2 * np.pi)),
        C23=float(rng.uniform(0, 800)),
        phi23=float(rng.uniform(0, 2 * np.pi / 3)),
        C30=float(rng.normal(0, 1e4)),
        C32=float(rng.uniform(0, 1e4)),
        phi32=float(rng.uniform(0, np.pi)),
        C34=float(rng.uniform(0, 1e4)),
        phi34=float(rng.uniform(0, np.pi / 2)),
        C50=float(rng.normal(0, 1e6)),
    )


def draw_field(
    rng: np.random.Generator,
    material: Material,
    shape: tuple[int, int],
    *,
    pixel_size_A: tuple[float, float] = (0.11, 0.26),
    strain: float = 0.02,
) -> Field:
    """Draw pixel size, rotation, origin and a small affine distortion."""
    size = log_uniform(rng, *pixel_size_A)
    affine = np.eye(2) + rng.uniform(-strain, strain, (2, 2))
    vectors = lattice_vectors_px(material, size, float(rng.uniform(0, 360)), affine)
    y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    return Field(material=material, vectors_px=vectors, origin_px=(y, x), shape=shape, pixel_size_A=size)


def draw_degradation(
    rng: np.random.Generator,
    pixel_size_A: float,
    *,
    dose_e_per_A2: tuple[float, float] = (8e3, 4e5),
    jitter_strength: float = 0.35,
) -> Degradation:
    """Draw contamination, scan and detector; drift is left to the field's affine distortion."""
    scan = draw_scan(rng, pixel_size_A, strength=jitter_strength)
    detector = draw_detector(rng, dose_e_per_A2=dose_e_per_A2)
    frames = int(rng.integers(2, 9)) if rng.random() < SEVERAL_FRAMES else 1
    scan = dataclasses.replace(
        scan,
        drift_shear=0.0,
        drift_scale=0.0,
        flyback_px=float(rng.uniform(0, 3)) if rng.random() < FLY_BACK else 0.0,
        flyback_length_px=float(rng.uniform(4, 30)),
        frame_drift_px=float(rng.uniform(0, 0.3)),
    )
    (own,) = rng.spawn(1)  # so that adding it left the other draws of a seed as they were
    if own.random() < WANDER:
        scan = dataclasses.replace(
            scan, wander_px=float(own.uniform(0, 0.5)) / pixel_size_A, wander_rows=log_uniform(own, 15, 150)
        )
    offset = float(rng.uniform(0, 2)) if rng.random() < ROW_OFFSETS else 0.0
    detector = dataclasses.replace(detector, frames=frames, row_offset_e=offset)
    return Degradation(contamination=draw_contamination(rng), scan=scan, detector=detector)


def draw_mask(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw where the crystal is: a flake with an irregular rim or holes."""
    field = gaussian_field(shape, float(rng.uniform(0.08, 0.3)) * min(shape), rng)
    return np.asarray(field > rng.uniform(-1.5, 0.3))


def draw_defects(rng: np.random.Generator) -> DefectConfig:
    """Draw how many defects there are, from none to twice a usual number, and how far columns are off their sites."""
    scale = float(rng.choice([0.0, 0.3, 1.0, 2.0], p=[0.05, 0.2, 0.5, 0.25]))
    return DefectConfig(
        single_vacancy=0.03 * scale,
        double_vacancy=0.006 * scale,
        metal_vacancy=0.004 * scale,
        anion_substitution=0.008 * scale,
        metal_substitution=0.006 * scale,
        adatom=0.006 * scale,
        jitter_A=float(rng.uniform(0.0, 0.08)),
        relaxation_A=float(rng.uniform(-0.05, 0.15)) if rng.random() < RELAXED else 0.0,
    )


def draw_specimen(rng: np.random.Generator) -> SpecimenConfig | None:
    """Draw a bent, tilted or two-grained crystal now and then; None: flat and single."""
    if rng.random() >= BENT:
        return None
    return SpecimenConfig(
        ripple_A=float(rng.uniform(0, 1.5)),
        ripple_wavelength_nm=float(rng.uniform(4, 12)),
        tilt_x_mrad=float(rng.normal(0, 8)),
        tilt_y_mrad=float(rng.normal(0, 8)),
        grain_boundary_deg=float(rng.uniform(5, 55)) if rng.random() < TWO_GRAINS else 0.0,
    )
