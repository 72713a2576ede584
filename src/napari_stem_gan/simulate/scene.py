"""What one labelled image shows: the crystal's place, probe, defects and everything that happens to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import Sites, fill_field
from napari_stem_gan.degrade.config import ContaminationConfig, DetectorConfig, ScanConfig
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.adf import MARGIN_A
from napari_stem_gan.simulate.config import OpticsConfig

PAIR_STACK_FACTOR = 1.15  # Se2 at 80 kV in WSe2 by abTEM, 16 configurations (benchmarks/multislice.py); see `stack`


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """Everything that happens to one ideal image, in this order."""

    contamination: ContaminationConfig = ContaminationConfig(amount=0.0)
    scan: ScanConfig = ScanConfig()
    detector: DetectorConfig = DetectorConfig()


@dataclass(frozen=True, kw_only=True)
class Field:
    """The crystal's place on the image.

    Parameters
    ----------
    material
        The crystal.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        The cell's origin, (y, x).
    shape
        Height and width in pixels.
    pixel_size_A
        Pixel size in Å.
    """

    material: Material
    vectors_px: NDArray[np.float64]
    origin_px: tuple[float, float]
    shape: tuple[int, int]
    pixel_size_A: float

    def sites(self, specimen: SpecimenConfig | None = None, rng: np.random.Generator | None = None) -> Sites:
        """All column sites, with the renderer's margin; strained, tilted, rippled or stacked as `specimen` says."""
        margin = MARGIN_A / self.pixel_size_A
        if specimen is None:
            return fill_field(self.material, self.vectors_px, self.shape, origin_px=self.origin_px, margin_px=margin)
        from napari_stem_gan.crystal.specimen import build_specimen

        return build_specimen(
            self.material, self.vectors_px, self.shape, origin_px=self.origin_px, pixel_size_A=self.pixel_size_A,
            config=specimen, rng=rng if rng is not None else np.random.default_rng(), margin_px=margin,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One labelled image before anything is drawn.

    Parameters
    ----------
    field
        Crystal and its place.
    optics
        Probe and detector.
    defects
        What is planted.
    specimen
        Strain, ripples, tilt, layers …; None: flat, endless, perfect.
    stack_factor
        See `adf.atom_weights_A2`.
    mask
        Where the crystal is, shape ``(Y, X)``; None: everywhere.
    degradation
        Contamination, scan and detector; None: the ideal image.
    background
        Contamination to use instead of drawing a field, ``(Y, X)``.
    background_unit
        Fraction of the beam that 1 of the background adds; None: the contrast of the clean image (`anion_peak`).
    """

    field: Field
    optics: OpticsConfig
    defects: DefectConfig
    specimen: SpecimenConfig | None = None
    stack_factor: float = PAIR_STACK_FACTOR
    mask: NDArray[np.bool_] | None = None
    degradation: Degradation | None = None
    background: FloatImage | Tensor | None = None
    background_unit: float | None = None
