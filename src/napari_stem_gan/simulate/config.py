"""Settings of the simulation: optics, and the session that is drawn."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.simulate.aberrations import names_file, optics_with, read_aberrations
from napari_stem_gan.simulate.instrument import InstrumentConfig


@dataclass(frozen=True, kw_only=True)
class OpticsConfig:
    """The probe and the annular detector. Defocus is −C10: positive defocus is underfocus."""

    energy_keV: float = 80.0
    """Beam energy in keV."""
    convergence_semi_angle_mrad: float = 25.0
    """Convergence semi-angle of the probe in mrad."""
    adf_inner_mrad: float = 63.0
    """Inner collection angle of the annular detector in mrad."""
    adf_outer_mrad: float = 200.0
    """Outer collection angle of the annular detector in mrad."""
    source_size_fwhm_A: float = 0.8
    """Source size (full width at half maximum at the specimen) in Å."""
    defocus_spread_fwhm_A: float = 0.0
    """Chromatic defocus spread (full width at half maximum) in Å."""
    thermal_rms_A: float = 0.06
    """Thermal displacement of atoms (rms per axis) in Å."""
    C10: float = 0.0
    """Defocus term in Å (C10 = −defocus)."""
    C12: float = 0.0
    """Two-fold astigmatism in Å."""
    phi12: float = 0.0
    """Angle of C12 in rad."""
    C21: float = 0.0
    """Axial coma in Å."""
    phi21: float = 0.0
    """Angle of C21 in rad."""
    C23: float = 0.0
    """Three-fold astigmatism in Å."""
    phi23: float = 0.0
    """Angle of C23 in rad."""
    C30: float = 0.0
    """Spherical aberration in Å."""
    C32: float = 0.0
    """Axial star aberration in Å."""
    phi32: float = 0.0
    """Angle of C32 in rad."""
    C34: float = 0.0
    """Four-fold astigmatism in Å."""
    phi34: float = 0.0
    """Angle of C34 in rad."""
    C41: float = 0.0
    """Axial coma of fourth order in Å."""
    phi41: float = 0.0
    """Angle of C41 in rad."""
    C43: float = 0.0
    """Three-lobe aberration in Å."""
    phi43: float = 0.0
    """Angle of C43 in rad."""
    C45: float = 0.0
    """Five-fold astigmatism in Å."""
    phi45: float = 0.0
    """Angle of C45 in rad."""
    C50: float = 0.0
    """Spherical aberration of fifth order in Å."""
    C52: float = 0.0
    """Two-fold axial star aberration of fifth order in Å."""
    phi52: float = 0.0
    """Angle of C52 in rad."""
    C54: float = 0.0
    """Four-fold rosette aberration of fifth order in Å."""
    phi54: float = 0.0
    """Angle of C54 in rad."""
    C56: float = 0.0
    """Six-fold astigmatism in Å."""
    phi56: float = 0.0
    """Angle of C56 in rad."""

    def __post_init__(self) -> None:
        if not 10 <= self.energy_keV <= 1000:
            raise ValueError(f"energy_keV must lie between 10 and 1000, got {self.energy_keV}; a STEM has 30 to 300")
        if not 1 <= self.convergence_semi_angle_mrad <= 100:
            angle = self.convergence_semi_angle_mrad
            raise ValueError(f"convergence_semi_angle_mrad must lie between 1 and 100, got {angle}; try 25")
        if not 0 <= self.adf_inner_mrad < self.adf_outer_mrad <= 1000:
            raise ValueError(
                f"detector angles must be 0 ≤ inner < outer ≤ 1000 mrad, got {self.adf_inner_mrad} and "
                f"{self.adf_outer_mrad}; try 63 and 200"
            )
        if min(self.source_size_fwhm_A, self.defocus_spread_fwhm_A, self.thermal_rms_A) < 0:
            raise ValueError(
                "source size, defocus spread and thermal width must not be negative; set them to 0 or more"
            )
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}; set it to 0 if it is not known")


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """The simulated session."""

    count: int = 4
    """Number of labelled images."""
    size_px: int = 512
    """Side of each square image in pixels."""
    defect_scale: float = 1.0
    """Multiplies the fractions of all defects (1 = about 3 % single vacancies); planted amounts stay as given."""
    degrade: bool = True
    """Add contamination, scan distortions and counting noise, as fitted to today's image or set by hand."""
    seed: int = 0
    """Seed of every random draw."""
    frames: int = 1
    """Number of frames that are averaged, each with its own jitter, noise and drift; they share the fitted dose."""
    specimen: SpecimenConfig = field(default_factory=SpecimenConfig)
    """Strain, ripples, tilt, layers, a grain boundary or an edge."""
    defects: DefectConfig = field(default_factory=DefectConfig)
    """What is planted."""
    optics: OpticsConfig = field(default_factory=OpticsConfig)
    """Probe and detector that the fit starts from; source size and low aberrations are fitted where the image tells
    them."""
    aberrations: str = ""
    """Known aberrations, used exactly in place of those of the optics and of drawn ones: C23=50 nm, phi23=0.3, or
    components (C23a), or names of CEOS correctors (A2), without a unit in Å and rad; or a JSON file with them."""
    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)
    """Detector, scan and contamination by hand; what is empty stays as fitted to today's images."""

    @property
    def probe(self) -> OpticsConfig:
        """The optics with the known aberrations; ValueError where a file of them cannot be read."""
        return self.with_known_aberrations(self.optics)

    @property
    def known_aberrations(self) -> tuple[str, ...]:
        """Coefficients (``C12`` …) whose size the known aberrations give; ValueError as for `probe`."""
        one, other = (self.with_known_aberrations(base) for base in (OpticsConfig(), _strong_aberrations()))
        names = [f.name for f in fields(OpticsConfig) if re.fullmatch(r"C\d\d", f.name)]
        return tuple(n for n in names if getattr(one, n) == getattr(other, n))

    def with_known_aberrations(self, optics: OpticsConfig) -> OpticsConfig:
        """Other optics with the known aberrations; ValueError where a file of them cannot be read."""
        return optics_with(optics, read_aberrations(self.aberrations))

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 10000:
            raise ValueError(f"count must lie between 1 and 10000, got {self.count}; try 8")
        if not 32 <= self.size_px <= 8192:
            raise ValueError(f"size_px must lie between 32 and 8192, got {self.size_px}; try 512")
        if not 0 <= self.defect_scale <= 20:
            raise ValueError(f"defect_scale must lie between 0 and 20, got {self.defect_scale}; try 1")
        if not 1 <= self.frames <= 1000:
            raise ValueError(f"frames must lie between 1 and 1000, got {self.frames}; try 1")
        if not names_file(self.aberrations):  # a file is read when it is used
            self.with_known_aberrations(self.optics)


def _strong_aberrations() -> OpticsConfig:
    """Every aberration switched on."""
    return OpticsConfig(**{f.name: 0.5 for f in fields(OpticsConfig) if re.fullmatch(r"(C|phi)\d\d", f.name)})
