"""Draws around what was fitted to an image: probe, scan and detector of one simulated image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit import SessionFit

DOSE_SPREAD = 0.1
SPREAD = 0.1  # least relative spread of drawn jitter and row noise around what was fitted
MOST_CORRELATION = 0.95
RESIDUAL_A = {"C12": 10.0, "C21": 200.0, "C23": 300.0}  # largest coefficient where none could be measured


def near_optics(fit: SessionFit, rng: np.random.Generator) -> OpticsConfig:
    """Aberrations around the fitted ones; small residual ones where the image tells less than is usual anyway."""
    found: dict[str, float] = {}
    for name, largest in RESIDUAL_A.items():
        order, angle = ABERRATIONS[name][1], f"phi{name[1:]}"
        given = getattr(fit.optics, name) * np.exp(1j * order * getattr(fit.optics, angle))
        error = fit.errors.get(name, np.inf)
        blind = rng.uniform(0, largest) * np.exp(2j * np.pi * rng.uniform())
        known = error * complex(*rng.normal(0, 1, 2)) if np.isfinite(error) else 0j
        total = given + (known if error < largest else blind)
        found |= {name: float(abs(total)), angle: float(np.angle(total) / order)}
    return replace(fit.optics, **found)


def near_scan(fit: SessionFit, frames: int, rng: np.random.Generator) -> ScanConfig:
    """Displacements and smear around the fitted ones; frames that are averaged move more than their average."""
    drawn = {
        name: float(np.sqrt(frames)) * _near_value(getattr(fit.scan, name), fit.errors.get(name, 0.0), rng)
        for name in ("jitter_x_px", "jitter_y_px", "wander_px")
    }
    spread = min(fit.errors.get("jitter_correlation", 0.0), SPREAD)
    drawn["jitter_correlation"] = float(np.clip(rng.normal(fit.scan.jitter_correlation, spread), 0, MOST_CORRELATION))
    lag = fit.scan.flyback_px
    drawn["flyback_px"] = float(np.sign(lag)) * _near_value(abs(lag), fit.errors.get("flyback_px", 0.0), rng)
    drawn["flyback_length_px"] = max(fit.scan.flyback_length_px, 1.01 * abs(drawn["flyback_px"]))
    drawn["smear_px"] = _near_value(fit.scan.smear_px, fit.errors.get("smear_px", 0.0), rng)
    return replace(fit.scan, **drawn)


def near_detector(fit: SessionFit, frames: int, rng: np.random.Generator) -> DetectorConfig:
    """Dose and rows around the fitted ones."""
    rows = {
        name: _near_value(getattr(fit.detector, name), fit.errors.get(name, 0.0), rng)
        for name in ("row_noise", "row_offset_e")
    }
    dose = fit.dose_e_per_A2 * float(np.exp(rng.normal(0, DOSE_SPREAD)))
    return replace(fit.detector, dose_e_per_A2=dose, frames=frames, **rows)


def _near_value(value: float, error: float, rng: np.random.Generator) -> float:
    """A number ≥ 0 around a fitted one; where nothing was found, nothing is drawn."""
    return abs(float(rng.normal(value, max(min(error, value), SPREAD * value))))
