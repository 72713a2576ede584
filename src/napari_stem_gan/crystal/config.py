"""Settings of Match and of planted defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_stem_gan.crystal.planted import parse_planted
from napari_stem_gan.image import check_pixel_size

Stacking = Literal["2H", "3R", "AA"]
LARGEST_SLOPE = 0.3
LARGEST_STRAIN_PERCENT = 15.0
LARGEST_TILT_MRAD = 50.0
LARGEST_RELAXATION_A = 0.5


@dataclass(frozen=True, kw_only=True)
class MatchConfig:
    """How the lattice is looked for."""

    material: str = "auto"
    """Crystal on the images, e.g. WSe2 or 'CdTe.cif [110]'; 'auto' tries every preset that the pixel size allows."""
    pixel_size_nm: float | None = None
    """Pixel size in nm; empty: from the file, or from the lattice where the file has none."""
    max_scale_error: float = 0.12
    """Largest relative error of the file's pixel size that is still corrected (0.12 = 12 %)."""
    min_goodness: float = 0.35
    """Lowest goodness (0 to 1) of a match that is accepted."""

    def __post_init__(self) -> None:
        if not isinstance(self.material, str):
            raise TypeError(f"material must be a name, got {self.material!r}; give e.g. 'WSe2', or 'auto' for any")
        if self.pixel_size_nm is not None:
            check_pixel_size(self.pixel_size_nm)
        if not 0 < self.max_scale_error < 0.5:
            raise ValueError(f"max_scale_error must lie between 0 and 0.5, got {self.max_scale_error}; try 0.12")
        if not 0 <= self.min_goodness <= 1:
            raise ValueError(f"min_goodness must lie between 0 and 1, got {self.min_goodness}; try 0.35")


@dataclass(frozen=True, kw_only=True)
class SpecimenConfig:
    """How the crystal differs from a flat, endless, perfect one."""

    strain_xx_percent: float = 0.0
    """Strain along the image's x in per cent; positive stretches."""
    strain_yy_percent: float = 0.0
    """Strain along the image's y in per cent; positive stretches."""
    strain_xy_percent: float = 0.0
    """Shear strain (the tensor's, half the change of angle) in per cent."""
    ripple_A: float = 0.0
    """Height of ripples (amplitude of one wave of random direction) in Å; 0: flat."""
    ripple_wavelength_nm: float = 5.0
    """Length of a ripple in nm."""
    tilt_x_mrad: float = 0.0
    """Tilt: atoms nearer to the source move along x by height × tan(tilt), in mrad."""
    tilt_y_mrad: float = 0.0
    """Tilt: atoms nearer to the source move along y by height × tan(tilt), in mrad."""
    grain_boundary_deg: float = 0.0
    """Angle of a second grain on one side of a random line, from +x towards +y; 0: no boundary."""
    edge: float = 0.0
    """Fraction of the field that is vacuum beyond an irregular edge (0 to 0.9)."""
    layers: int = 0
    """Layers of a two-dimensional crystal or repeats along the beam of a bulk one; 0: the material's own."""
    stacking: Stacking = "2H"
    """How layers of a two-dimensional crystal lie on each other: 2H (graphite's AB), 3R (graphite's ABC) or AA."""

    def __post_init__(self) -> None:
        strains = (self.strain_xx_percent, self.strain_yy_percent, self.strain_xy_percent)
        if not all(abs(s) <= LARGEST_STRAIN_PERCENT for s in strains):
            raise ValueError(f"strain must lie between −15 and 15 %, got {strains}; lower it")
        if not (self.ripple_A >= 0 and self.ripple_wavelength_nm > 0):
            raise ValueError(
                f"ripples must have a height of 0 or more and a positive length, got {self.ripple_A} Å and "
                f"{self.ripple_wavelength_nm} nm; try 1 Å and 5 nm"
            )
        slope = 2 * np.pi * self.ripple_A / (10 * self.ripple_wavelength_nm)
        if not slope <= LARGEST_SLOPE:
            raise ValueError(f"ripples must be no steeper than {LARGEST_SLOPE}, got {slope:.2f}; lower ripple_A")
        tilt = (self.tilt_x_mrad, self.tilt_y_mrad)
        if not all(abs(t) <= LARGEST_TILT_MRAD for t in tilt):
            raise ValueError(f"tilt must lie between −50 and 50 mrad, got {tilt}; lower it")
        if not -180 <= self.grain_boundary_deg <= 180:
            raise ValueError(f"grain_boundary_deg must lie between −180 and 180, got {self.grain_boundary_deg}; try 20")
        if not 0 <= self.edge <= 0.9:
            raise ValueError(f"edge must lie between 0 and 0.9, got {self.edge}; try 0.3")
        if not 0 <= self.layers <= 1000:
            raise ValueError(f"layers must lie between 0 and 1000, got {self.layers}; 0 is the material's own")
        if self.stacking not in ("2H", "3R", "AA"):
            raise ValueError(f"stacking must be 2H, 3R or AA, got {self.stacking!r}; choose one of them")


@dataclass(frozen=True, kw_only=True)
class DefectConfig:
    """How many defects of each kind are planted, as fractions of the sites of that kind."""

    single_vacancy: float = 0.03
    """Fraction of anion (chalcogen, carbon, oxygen) columns that miss one atom."""
    double_vacancy: float = 0.003
    """Fraction of two-atom columns that miss both atoms."""
    metal_vacancy: float = 0.002
    """Fraction of metal (cation) sites that are empty."""
    anion_substitution: float = 0.006
    """Fraction of anion columns with one foreign (lighter or heavier) atom."""
    metal_substitution: float = 0.004
    """Fraction of metal sites with a foreign atom."""
    adatom: float = 0.0
    """Adatoms of the crystal's own elements per unit cell, on top of columns, on bridges and in hollows."""
    jitter_A: float = 0.03
    """Random displacement of each column (standard deviation per axis) in Å."""
    planted: str = ""
    """Defects by name and amount, e.g. V_Se 1.5 %, Mo_W 0.02 /nm2, adatom W 0.01 /nm2; replaces the fractions above.
    Per cent of the element's atoms; of two-atom columns for V_2Se, of unit cells for adatoms."""
    relaxation_A: float = 0.0
    """How far the nearest neighbours of a missing atom move towards it in Å; negative: away from it."""

    def __post_init__(self) -> None:
        parts = (self.single_vacancy, self.double_vacancy, self.anion_substitution)
        every = (*parts, self.metal_vacancy, self.metal_substitution)
        if not (all(part >= 0 for part in every) and sum(parts) <= 1):
            raise ValueError(f"defect fractions must be between 0 and 1 and sum to at most 1, got {parts}; lower them")
        if not self.metal_vacancy + self.metal_substitution <= 1:
            raise ValueError("metal vacancy and substitution must sum to at most 1; lower them")
        if not 0 <= self.adatom <= 1:
            raise ValueError(f"adatom must lie between 0 and 1 per unit cell, got {self.adatom}; try 0.002")
        if not self.jitter_A >= 0:
            raise ValueError(f"jitter_A must not be negative, got {self.jitter_A}; try 0.03")
        parse_planted(self.planted)
        if not abs(self.relaxation_A) <= LARGEST_RELAXATION_A:
            raise ValueError(f"relaxation_A must lie between −0.5 and 0.5, got {self.relaxation_A}; try 0.1")
