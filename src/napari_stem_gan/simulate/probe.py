"""The probe: aberration function, point spread and optical transfer function.

Sign, stated once: ``psi(k) = A(k) exp(-i χ(k))`` with ``C10 = −defocus``, so a positive defocus is underfocus and
gives a negative C10. Angles run from +x (columns) towards +y (rows). Coefficients are in Å, angles in rad.
Krivanek components: ``Cnm,a = Cnm cos(m φnm)``, ``Cnm,b = Cnm sin(m φnm)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import ELECTRON_MASS_keV, wavelength_A

NODES, NODES_BEYOND_DEPTH = 9, 15
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


def aberrations(optics: OpticsConfig) -> dict[str, float]:
    """Aberration coefficients (Å) and angles (rad) of `optics`, as used by `chi`."""
    names = [n for n in vars(optics) if n[0] == "C" or n.startswith("phi")]
    return {name: float(getattr(optics, name)) for name in names}


def chi(
    alpha: NDArray[np.float64], phi: NDArray[np.float64], coefficients: Mapping[str, float], wavelength: float
) -> NDArray[np.float64]:
    """Aberration phase in rad.

    Parameters
    ----------
    alpha, phi
        Polar and azimuthal angle in rad, same shape.
    coefficients
        Values of ``C10, C12, phi12 … C56``; missing ones are 0.
    wavelength
        In Å.

    Raises
    ------
    ValueError
        If a key is not an aberration.
    """
    direction = np.asarray(alpha, float) * np.exp(1j * np.asarray(phi, float))
    total = aberration_phase(torch.from_numpy(np.ascontiguousarray(direction)), coefficients, wavelength)
    return np.asarray(total.numpy())


def aberration_phase(direction: Tensor, coefficients: Mapping[str, float], wavelength: float) -> Tensor:
    """Aberration phase in rad at complex angles ``α exp(iφ)``; `chi` without trigonometry, on any device."""
    square = direction.real**2 + direction.imag**2
    total = torch.zeros_like(square)
    for key, value in coefficients.items():
        if key.startswith("phi") and f"C{key[3:]}" in ABERRATIONS:
            continue
        if key not in ABERRATIONS:
            raise ValueError(f"aberration must be one of {', '.join(ABERRATIONS)} or phi12 …, got {key!r}; rename it")
        power, order = ABERRATIONS[key]
        if value:
            turned = direction**order * np.exp(-1j * order * coefficients.get(f"phi{key[1:]}", 0.0))
            total = total + value / power * square ** ((power - order) // 2) * turned.real
    return 2 * math.pi / wavelength * total


def band_limit(optics: OpticsConfig) -> float:
    """Highest spatial frequency of the image in 1/Å (2 α / λ)."""
    return 2e-3 * optics.convergence_semi_angle_mrad / wavelength_A(optics.energy_keV)


def depth_of_field_A(optics: OpticsConfig) -> float:
    """Depth over which the probe stays sharp, ``1.77 λ / α²``, in Å."""
    return 1.77 * wavelength_A(optics.energy_keV) / (1e-3 * optics.convergence_semi_angle_mrad) ** 2


def chromatic_spread_fwhm_A(energy_keV: float, *, Cc_mm: float, energy_spread_eV: float) -> float:
    """Chromatic defocus spread (full width at half maximum) in Å.

    ``Cc ΔE / E · (1 + E / mc²) / (1 + E / 2mc²)``.

    Parameters
    ----------
    energy_keV
        Beam energy.
    Cc_mm
        Coefficient of chromatic aberration in mm.
    energy_spread_eV
        Energy spread of the gun (full width at half maximum) in eV.

    Raises
    ------
    ValueError
        If the energy is not positive or one of the others is negative.
    """
    if energy_keV <= 0 or min(Cc_mm, energy_spread_eV) < 0:
        raise ValueError(
            f"beam energy must be positive, Cc_mm and energy_spread_eV at least 0, got {energy_keV}, {Cc_mm} and "
            f"{energy_spread_eV}; try 80, 1.3 and 0.3"
        )
    relative = energy_keV / ELECTRON_MASS_keV
    return 1e7 * Cc_mm * energy_spread_eV * 1e-3 / energy_keV * (1 + relative) / (1 + relative / 2)


def optical_transfer(optics: OpticsConfig, shape: tuple[int, int], pixel_size_A: float) -> NDArray[np.complex64]:
    """Fourier transform of the point spread on ``rfft2`` frequencies, 1 at zero.

    Parameters
    ----------
    optics
        Probe, source size, defocus spread and thermal width.
    shape
        Height and width of the (periodic) image in pixels.
    pixel_size_A
        Must resolve the band limit: at most ``λ / (4 α)``.

    Returns
    -------
    NDArray
        Shape ``(Y, X // 2 + 1)``, complex64.
    """
    return transfer_tensor(optics, shape, (shape[0] * pixel_size_A, shape[1] * pixel_size_A)).numpy()


def transfer_tensor(
    optics: OpticsConfig,
    shape: tuple[int, int],
    field_A: tuple[float, float],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Optical transfer function on the ``rfft2`` frequencies of a grid, complex64 ``(Y, X // 2 + 1)``.

    The transfer is the autocorrelation of the pupil: a grid that just holds the band limit gives the same numbers as
    a finer one.

    Parameters
    ----------
    optics
        Probe, source size, defocus spread and thermal width.
    shape
        Points of the grid along y and x; ``shape / field_A`` must be at least twice the band limit.
    field_A
        Height and width of the periodic field in Å: frequencies are multiples of their inverses.
    device
        Where to compute.
    """
    ky = torch.fft.fftfreq(shape[0], field_A[0] / shape[0], device=device)[:, None]
    kx = torch.fft.fftfreq(shape[1], field_A[1] / shape[1], device=device)[None]
    lam = wavelength_A(optics.energy_keV)
    edge = 1e-3 * optics.convergence_semi_angle_mrad / lam
    aperture = ((edge - torch.hypot(ky, kx)) * min(field_A) + 0.5).clamp(0, 1)  # antialiased rim
    spread = _mean_point_spread(optics, aperture, torch.complex(*torch.broadcast_tensors(kx, ky)) * lam)
    transfer = torch.fft.rfft2(spread / spread.sum())
    k2 = (ky**2 + kx**2)[:, : transfer.shape[1]]
    source = (math.pi * optics.source_size_fwhm_A) ** 2 / (4 * math.log(2))
    return transfer * torch.exp(-(source + 2 * math.pi**2 * optics.thermal_rms_A**2) * k2)


def _mean_point_spread(optics: OpticsConfig, aperture: Tensor, direction: Tensor) -> Tensor:
    """Point spread averaged over the chromatic spread, ``(Y, X)``, of any sum."""
    lam, base = wavelength_A(optics.energy_keV), aberrations(optics)
    phase = aberration_phase(direction, base, lam)
    per_A = aberration_phase(direction, {"C10": 1.0}, lam)
    spread = torch.zeros_like(aperture)
    for weight, shift in defocus_quadrature(optics):
        psi = torch.fft.ifft2(torch.polar(aperture, shift * per_A - phase))
        spread += weight * (psi.real**2 + psi.imag**2)
    return spread


def defocus_quadrature(optics: OpticsConfig) -> list[tuple[float, float]]:
    """Weights and defocus shifts (Å) of a Gauss–Hermite average over the chromatic spread.

    Nine nodes; fifteen and more where the spread exceeds the depth of field, so that their distance stays below it.
    """
    fwhm = optics.defocus_spread_fwhm_A
    if fwhm <= 0:
        return [(1.0, 0.0)]
    ratio = fwhm / depth_of_field_A(optics)
    count = NODES if ratio <= 1 else max(NODES_BEYOND_DEPTH, math.ceil(NODES_BEYOND_DEPTH * ratio))
    nodes, weights = np.polynomial.hermite.hermgauss(min(count, 99))
    sigma = fwhm / FWHM_PER_SIGMA
    return [
        (float(w / np.sqrt(np.pi)), float(np.sqrt(2) * sigma * x))
        for x, w in zip(nodes, weights, strict=True)
        if w > 1e-9
    ]
