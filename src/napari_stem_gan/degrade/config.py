"""Settings of contamination, scan distortions and detectors, and random draws of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ScanConfig:
    """How the scan displaces and smears an ideal image."""

    jitter_x_px: float = 0.0
    """Random shift of each row along the fast axis (standard deviation of one step) in pixels."""
    jitter_y_px: float = 0.0
    """Random shift of each row along the slow axis (standard deviation of one step) in pixels."""
    jitter_correlation: float = 0.0
    """How much of a row's shift is handed on to the next row (AR(1) coefficient, 0 to below 1)."""
    wander_px: float = 0.0
    """Slow wander of the scan against the specimen (standard deviation along each axis) in pixels."""
    wander_rows: float = 60.0
    """How many rows the wander takes to change (its correlation falls to 0.61 over as many)."""
    drift_shear: float = 0.0
    """Shift along x for each pixel along y that specimen drift causes (0.02 = 2 %)."""
    drift_scale: float = 0.0
    """Relative stretch along y that specimen drift causes (0.02 = 2 %)."""
    smear_px: float = 0.0
    """Length of the detector's decay along the fast axis in pixels, acting on the signal; its mean delay is removed."""
    smear_lorentzian: float = 0.5
    """Share of the slow (Lorentzian) decay in the smear; the rest decays exponentially."""
    ringing: float = 0.0
    """Share of the readout's damped oscillation in the smear (0 to below 1)."""
    flyback_px: float = 0.0
    """How far the beam lags at the start of every row, after its fly-back, in pixels."""
    flyback_length_px: float = 12.0
    """Distance along the row in which that lag falls by a factor e, in pixels."""
    frame_drift_px: float = 0.0
    """How far the specimen drifts from one frame to the next, in pixels; its direction is drawn."""

    def __post_init__(self) -> None:
        for name in ("jitter_x_px", "jitter_y_px", "smear_px", "frame_drift_px", "wander_px"):
            _check(self, name, 0, hint="set it to 0 or more pixels")
        for name in ("jitter_correlation", "ringing"):
            _check(self, name, 0, 1, open_end=True, hint="try 0.3")
        _check(self, "smear_lorentzian", 0, 1, hint="try 0.5")
        _check_positive(self, "wander_rows", 60.0)
        for name in ("drift_shear", "drift_scale"):
            _check(self, name, -0.499, 0.499, hint="try 0.02 for 2 %")
        if not (math.isfinite(self.flyback_px) and self.flyback_length_px > abs(self.flyback_px)):
            raise ValueError(
                f"flyback_length_px must exceed flyback_px, got {self.flyback_length_px} and {self.flyback_px}; "
                "try 12 and 2"
            )


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """How the detector turns the fraction of scattered electrons into numbers."""

    dose_e_per_A2: float = 1e5
    """Incident dose in electrons per Å², of all frames together."""
    frames: int = 1
    """Number of frames that share the dose and are added, each with its own jitter, noise and drift."""
    pmt_spread: float = 0.0
    """Relative spread of the photomultiplier's pulse for one electron."""
    read_noise_e: float = 0.0
    """Readout noise (standard deviation) in electrons."""
    tail_px: float = 0.0
    """Length of the decay along the fast axis in pixels, acting on the counts (correlates noise along rows)."""
    tail_lorentzian: float = 0.5
    """Share of the slow (Lorentzian) decay in the tail; the rest decays exponentially."""
    row_noise: float = 0.0
    """Relative gain variation from row to row (standard deviation)."""
    row_offset_e: float = 0.0
    """Dark level's variation from row to row (standard deviation) in electrons."""
    row_line_fraction: float = 0.0
    """Fraction of rows that hold a dead stretch, replaced by its mean times 0.5 to 1.5."""
    bad_pixel_fraction: float = 0.0
    """Fraction of pixels that are black or far too bright."""
    gain: float = 1.0
    """Output units for one electron."""
    offset: float = 0.0
    """Output for no electron (dark level)."""
    saturation_e: float = 0.0
    """Electrons in a pixel (all frames) above which the output is clipped; 0: never."""
    quantisation: float = 0.0
    """Step of the analogue-to-digital converter in output units; 0 keeps fractions."""

    def __post_init__(self) -> None:
        _check_positive(self, "dose_e_per_A2", 1e5)
        _check_positive(self, "gain", 1.0)
        if not (self.frames == int(self.frames) and 1 <= self.frames <= 1000):
            raise ValueError(f"frames must be a whole number from 1 to 1000, got {self.frames}; try 1")
        noises = ("pmt_spread", "read_noise_e", "tail_px", "row_noise", "row_offset_e")
        for name in (*noises, "saturation_e", "quantisation"):
            _check(self, name, 0, hint="set it to 0 or more")
        _check(self, "tail_lorentzian", 0, 1, hint="try 0.5")
        for name in ("row_line_fraction", "bad_pixel_fraction"):
            _check(self, name, 0, 1, hint="try 0.001")
        _check(self, "offset", hint="try 0")


@dataclass(frozen=True, kw_only=True)
class ContaminationConfig:
    """Contamination, in units of the brightness it is compared with (the peak of an anion column)."""

    amount: float = 0.2
    """Standard deviation of the field (0 = clean, 0.6 = heavy)."""
    coarse_nm: float = 2.0
    """Correlation length of the coarse part in nm."""
    fine_nm: float = 0.35
    """Correlation length of the fine part in nm."""
    fine_fraction: float = 0.2
    """Share of the fine part in the standard deviation."""
    skew: float = 0.7
    """0 = symmetric; larger: mostly clean with bright patches."""
    clusters_per_100nm2: float = 0.0
    """Number of small bright clusters on 100 nm²."""

    def __post_init__(self) -> None:
        for name in ("amount", "skew", "clusters_per_100nm2"):
            _check(self, name, 0, hint="set it to 0 or more")
        _check(self, "fine_fraction", 0, 1, hint="try 0.2")
        _check_positive(self, "coarse_nm", 2.0)
        _check_positive(self, "fine_nm", 0.35)


def _check(
    config: object,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    hint: str,
    open_end: bool = False,
) -> None:
    """Refuse a number below `low`, above `high` (or equal to it, with `open_end`), or not finite."""
    value = getattr(config, name)
    if math.isfinite(value) and low <= value <= high and not (open_end and value == high):
        return
    upper = "" if math.isinf(high) else f" and below {high:g}" if open_end else f" and at most {high:g}"
    rule = "a finite number" if math.isinf(low) else f"at least {low:g}{upper}"
    raise ValueError(f"{name} must be {rule}, got {value}; {hint}")


def _check_positive(config: object, name: str, example: float) -> None:
    """Refuse a number that is 0, negative or not finite."""
    value = getattr(config, name)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive, got {value}; try {example:g}")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of `low` and `high`."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def draw_scan(
    rng: np.random.Generator,
    pixel_size_A: float,
    *,
    strength: float = 1.0,
    drift: float = 0.02,
) -> ScanConfig:
    """Draw scan distortions in the ranges of Lobato et al. (2023).

    Parameters
    ----------
    rng
        Source of randomness.
    pixel_size_A
        Pixel size in Å; jitter has a size in Å.
    strength
        Scales the largest jitter (1 = 0.8 Å).
    drift
        Largest absolute shear and stretch.

    References
    ----------
    .. [1] I. Lobato et al., "Deep convolutional neural networks to restore single-shot
       electron microscopy images", eqs 41-50 (2023).
    """
    kind = rng.choice(["none", "x", "y", "xy", "xy"], p=[0.1, 0.225, 0.225, 0.225, 0.225])
    sigma_A = [log_uniform(rng, 0.0025, max(0.8 * strength, 0.003)) for _ in range(2)]
    return ScanConfig(
        jitter_x_px=sigma_A[0] / pixel_size_A if "x" in kind else 0.0,
        jitter_y_px=sigma_A[1] / pixel_size_A if "y" in kind else 0.0,
        jitter_correlation=rng.uniform(0.0, 0.7),
        drift_shear=rng.uniform(-drift, drift),
        drift_scale=rng.uniform(-drift, drift),
        smear_px=rng.uniform(0.1, 2.0) if rng.random() < 0.4 else 0.0,
        smear_lorentzian=rng.uniform(0.0, 0.6),
        ringing=rng.uniform(0.0, 0.3) if rng.random() < 0.3 else 0.0,
    )


def draw_detector(
    rng: np.random.Generator,
    *,
    dose_e_per_A2: tuple[float, float] = (2e2, 2e5),
    artefacts: bool = True,
) -> DetectorConfig:
    """Draw a detector; dose is log-uniform, artefacts (row lines, bad pixels) are rare.

    Parameters
    ----------
    rng
        Source of randomness.
    dose_e_per_A2
        Lowest and highest dose.
    artefacts
        Whether dead stretches of rows and bad pixels may occur.
    """

    def sometimes(probability: float, high: float) -> float:
        return float(rng.uniform(0.0, high)) if rng.random() < probability else 0.0

    return DetectorConfig(
        dose_e_per_A2=log_uniform(rng, *dose_e_per_A2),
        pmt_spread=sometimes(0.7, 0.5),
        read_noise_e=sometimes(0.5, 1.0),
        tail_px=sometimes(0.3, 1.5),
        tail_lorentzian=float(rng.uniform(0.0, 0.6)),
        row_noise=sometimes(0.3, 0.03),
        row_line_fraction=sometimes(0.05, 0.03) if artefacts else 0.0,
        bad_pixel_fraction=sometimes(0.05, 0.002) if artefacts else 0.0,
    )


def draw_contamination(rng: np.random.Generator, *, largest: float = 0.7) -> ContaminationConfig:
    """Draw contamination from clean to heavy (SCIENCE 2.8)."""
    return ContaminationConfig(
        amount=float(rng.choice([0.0, rng.uniform(0, 0.2), rng.uniform(0.1, largest)], p=[0.15, 0.35, 0.5])),
        coarse_nm=float(np.exp(rng.uniform(np.log(0.8), np.log(6.0)))),
        fine_nm=float(rng.uniform(0.15, 0.6)),
        fine_fraction=float(rng.uniform(0, 0.5)),
        skew=float(rng.uniform(0, 1.5)),
        clusters_per_100nm2=float(rng.choice([0.0, rng.uniform(0, 8)])),
    )
