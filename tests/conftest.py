"""Small crystals that every room's tests can draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image

DrawCrystal = Callable[..., LabelledImage]


def planted(**fractions: float) -> DefectConfig:
    """Only the defects that are named; columns exactly on their sites."""
    return DefectConfig(**{**{f.name: 0.0 for f in fields(DefectConfig) if f.name != "planted"}, **fractions})


@pytest.fixture
def draw_crystal() -> DrawCrystal:
    """Draw a crystal at a known place, without defects and noise unless they are named."""

    def draw(
        material: str = "WSe2",
        *,
        shape: tuple[int, int] = (224, 256),
        pixel_size_A: float = 0.2,
        rotation_deg: float = 12.0,
        strain: object = None,
        origin_px: tuple[float, float] = (3.3, 7.8),
        dose_e_per_A2: float | None = None,
        contamination: float = 0.0,
        seed: int = 0,
        **defects: float,
    ) -> LabelledImage:
        crystal = get_material(material)
        vectors = lattice_vectors_px(crystal, pixel_size_A, rotation_deg, None if strain is None else np.array(strain))
        field = Field(
            material=crystal, vectors_px=vectors, origin_px=origin_px, shape=shape, pixel_size_A=pixel_size_A
        )
        rng = np.random.default_rng(seed)
        ideal = ideal_image(field, OpticsConfig(), planted(**defects), rng)
        if dose_e_per_A2 is None:
            return ideal
        dirt = ContaminationConfig(amount=contamination)
        noise = DetectorConfig(dose_e_per_A2=dose_e_per_A2)
        return degrade(ideal, Degradation(contamination=dirt, detector=noise), rng)

    return draw
