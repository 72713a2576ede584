"""Images with known degradations."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image


@pytest.fixture
def degraded():
    """Draw an image with the named degradations, and match it."""

    def draw(seed=0, *, side=512, source=0.8, amount=0.0, scan=None, **detector):
        rng = np.random.default_rng(abs(seed))
        material = get_material("WSe2")
        place = Field(
            material=material, vectors_px=lattice_vectors_px(material, 0.2, 17.0 + seed), origin_px=(3.0, 7.0),
            shape=(side, side), pixel_size_A=0.2,
        )  # fmt: skip
        ideal = ideal_image(place, OpticsConfig(source_size_fwhm_A=source), DefectConfig(), rng)
        degradation = Degradation(
            contamination=ContaminationConfig(amount=amount),
            scan=ScanConfig(**(scan or {})),
            detector=DetectorConfig(**{"dose_e_per_A2": 5e4, **detector}),
        )
        image = degrade(ideal, degradation, rng).image
        return image, match(image, MatchConfig(material="WSe2"))

    return draw
