"""Two atoms over each other: how much brighter than two single ones.

The upper atom focuses the beam onto the lower one. Summed over all positions of the probe, its directions do not
interfere, so the column's intensity is the mean over plane waves from the probe's cone; each is taken through the two
atoms by multislice (transmission, Fresnel propagation, transmission). Thermal displacements weaken the focusing and
the interference of the two waves; they are drawn once, evenly spread.

80 kV, 25 mrad, 63-200 mrad, 0.06 Å rms: 1.14 for Se2 (3.36 Å), 1.11 for S2 (3.13 Å), 1.18 for Te2 (3.60 Å); at rest
1.09 for Se2. abTEM gives 1.15 and 1.10 for Se2 in a WSe2 crystal (benchmarks/multislice.py: 16 configurations of 47
columns) and gave 1.17 for five configurations of one column (SCIENCE 2.4).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import ELECTRON_MASS_keV, scattering_factor_A, wavelength_A

BOX_A, POINTS = 6.0, 240  # 0.025 Å: coarser grids scatter heavy atoms wrongly
WAVES = 24
ANTIALIAS = 2 / 3
GOLDEN = math.pi * (3 - math.sqrt(5))


def pair_stack_factor(element: str, spacing_A: float, optics: OpticsConfig) -> float:
    """Intensity of a column of two like atoms over that of two single atoms.

    Parameters
    ----------
    element
        Chemical symbol.
    spacing_A
        Distance of the two along the beam.
    optics
        Beam energy, convergence and detector angles, thermal displacement; aberrations do not matter.

    Raises
    ------
    ValueError
        If the spacing is not positive, or the detector reaches beyond what the grid can hold.
    """
    lam = wavelength_A(optics.energy_keV)
    outer = 1e-3 * (optics.adf_outer_mrad + optics.convergence_semi_angle_mrad) / lam
    if not spacing_A > 0:
        raise ValueError(f"spacing_A must be positive, got {spacing_A}; give the distance of the two atoms in Å")
    if outer > ANTIALIAS * POINTS / (2 * BOX_A):
        raise ValueError(
            f"adf_outer_mrad must stay below {1e3 * lam * ANTIALIAS * POINTS / (2 * BOX_A):.0f} mrad less the "
            f"convergence at {optics.energy_keV:g} kV, got {optics.adf_outer_mrad}; give a smaller outer angle"
        )
    angles = (optics.convergence_semi_angle_mrad, optics.adf_inner_mrad, optics.adf_outer_mrad)
    return _factor(element, round(spacing_A, 4), optics.energy_keV, *angles, optics.thermal_rms_A)


@lru_cache(maxsize=256)
def _factor(
    element: str, spacing_A: float, energy_keV: float, spread: float, inner: float, outer: float, thermal_rms_A: float
) -> float:
    lam, k = wavelength_A(energy_keV), np.fft.fftfreq(POINTS, BOX_A / POINTS)
    ky, kx = k[:, None], k[None]
    band = np.hypot(ky, kx) < ANTIALIAS * POINTS / (2 * BOX_A)
    phase = _phase(element, energy_keV, np.hypot(ky, kx), band)
    upper_k = fft2(_transmission(phase, band))
    n = np.arange(WAVES)
    tilts = 1e-3 * spread / lam * np.sqrt((n + 0.5) / WAVES) * np.exp(1j * GOLDEN * n)
    away = thermal_rms_A * np.sqrt(-4 * np.log1p(-(_shuffled(n) + 0.5) / WAVES)) * np.exp(1j * 2.1 * GOLDEN * n)
    pair = single = 0.0
    for tilt, shift in zip(tilts, away, strict=True):  # x + iy
        k2 = (ky + tilt.imag) ** 2 + (kx + tilt.real) ** 2
        seen = (np.sqrt(k2) * lam * 1e3 >= inner) & (np.sqrt(k2) * lam * 1e3 <= outer)
        lower = _transmission(phase * _wave(-2 * np.pi * (ky * shift.imag + kx * shift.real)), band)
        between = ifft2(upper_k * _wave(-np.pi * lam * spacing_A * k2))
        single += float((np.abs(upper_k[seen]) ** 2).sum())
        pair += float((np.abs(fft2(between * lower)[seen]) ** 2).sum())
    return pair / (2 * single)


def _phase(element: str, energy_keV: float, k: NDArray[np.float64], band: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fourier transform of the phase that an atom at the origin gives to the wave, in the units of `fft2`."""
    strength = wavelength_A(energy_keV) * (1 + energy_keV / ELECTRON_MASS_keV)
    return np.asarray(np.where(band, strength * scattering_factor_A(element, k), 0) * (POINTS / BOX_A) ** 2, np.float32)


def _transmission(phase: NDArray[Any], band: NDArray[np.bool_]) -> NDArray[np.complex64]:
    """exp(i phase) in real space, limited to the band."""
    return np.asarray(ifft2(np.where(band, fft2(_wave(ifft2(phase).real)), 0)))


def _wave(angle: NDArray[Any]) -> NDArray[np.complex64]:
    return np.exp(1j * np.asarray(angle, np.float32)).astype(np.complex64)


def _shuffled(n: NDArray[np.intp]) -> NDArray[np.intp]:
    """0 … N−1 in an order that is even and unrelated to n."""
    return np.argsort((n * (math.sqrt(2) - 1)) % 1)
