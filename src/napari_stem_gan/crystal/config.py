"""Settings of Match and of planted defects."""

from __future__ import annotations

from dataclasses import dataclass

from napari_stem_gan.image import ImageError


@dataclass(frozen=True, kw_only=True)
class MatchConfig:
    """How the lattice is looked for."""

    material: str = "auto"
    """Crystal on the images, e.g. WSe2; 'auto' tries every preset that the pixel size allows."""
    pixel_size_nm: float | None = None
    """Pixel size in nm; empty: from the file, or from the lattice where the file has none."""
    max_scale_error: float = 0.12
    """Largest relative error of the file's pixel size that is still corrected (0.12 = 12 %)."""
    min_goodness: float = 0.35
    """Lowest goodness (0 to 1) of a match that is accepted."""

    def __post_init__(self) -> None:
        if self.pixel_size_nm is not None and not self.pixel_size_nm > 0:
            raise ImageError(f"pixel size must be positive, got {self.pixel_size_nm}; give it in nm, e.g. 0.02")
        if not 0 < self.max_scale_error < 0.5:
            raise ValueError(f"max_scale_error must lie between 0 and 0.5, got {self.max_scale_error}; try 0.12")
        if not 0 <= self.min_goodness <= 1:
            raise ValueError(f"min_goodness must lie between 0 and 1, got {self.min_goodness}; try 0.35")


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
    jitter_A: float = 0.03
    """Random displacement of each column (standard deviation per axis) in Å."""

    def __post_init__(self) -> None:
        parts = (self.single_vacancy, self.double_vacancy, self.anion_substitution)
        if min(*parts, self.metal_vacancy, self.metal_substitution) < 0 or sum(parts) > 1:
            raise ValueError(f"defect fractions must be between 0 and 1 and sum to at most 1, got {parts}; lower them")
        if self.metal_vacancy + self.metal_substitution > 1:
            raise ValueError("metal vacancy and substitution must sum to at most 1; lower them")
        if self.jitter_A < 0:
            raise ValueError(f"jitter_A must not be negative, got {self.jitter_A}; try 0.03")
