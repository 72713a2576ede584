"""The probe: aberration function, point spread and optical transfer function.

Sign, stated once: ``psi(k) = A(k) exp(-i χ(k))`` with ``C10 = −defocus``, so a positive defocus is underfocus and
gives a negative C10. Angles run from +x (columns) towards +y (rows). Coefficients are in Å, angles in rad.
Krivanek components: ``Cnm,a = Cnm cos(m φnm)``, ``Cnm,b = Cnm sin(m φnm)``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import wavelength_A

ABERRATIONS = {  # name: (power of the angle, azimuthal order)
    "C10": (2, 0), "C12": (2, 2), "C21": (3, 1), "C23": (3, 3), "C30": (4, 0), "C32": (4, 2), "C34": (4, 4),
    "C41": (5, 1), "C43": (5, 3), "C45": (5, 5), "C50": (6, 0), "C52": (6, 2), "C54": (6, 4), "C56": (6, 6),
}  # fmt: skip


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
    total = np.zeros_like(alpha)
    for key, value in coefficients.items():
        if key.startswith("phi") and f"C{key[3:]}" in ABERRATIONS:
            continue
        if key not in ABERRATIONS:
            raise ValueError(f"aberration must be one of {', '.join(ABERRATIONS)} or phi12 …, got {key!r}; rename it")
        power, order = ABERRATIONS[key]
        angle = coefficients.get(f"phi{key[1:]}", 0.0)
        if value:
            total = total + value / power * alpha**power * np.cos(order * (phi - angle))
    return np.asarray(2 * np.pi / wavelength * total)


def band_limit(optics: OpticsConfig) -> float:
    """Highest spatial frequency of the image in 1/Å (2 α / λ)."""
    return 2e-3 * optics.convergence_semi_angle_mrad / wavelength_A(optics.energy_keV)


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
    ky, kx = np.fft.fftfreq(shape[0], pixel_size_A)[:, None], np.fft.fftfreq(shape[1], pixel_size_A)[None]
    k = np.hypot(ky, kx)
    lam = wavelength_A(optics.energy_keV)
    step = max(1 / (shape[0] * pixel_size_A), 1 / (shape[1] * pixel_size_A))
    edge = 1e-3 * optics.convergence_semi_angle_mrad / lam
    aperture = np.clip((edge - k) / step + 0.5, 0, 1)  # antialiased rim
    alpha, phi = k * lam, np.arctan2(ky, kx)
    base = aberrations(optics)
    spread = np.zeros(shape)
    for weight, shift in _defocus_quadrature(optics.defocus_spread_fwhm_A):
        phase = chi(alpha, phi, {**base, "C10": base["C10"] - shift}, lam)
        spread += weight * np.abs(np.fft.ifft2(aperture * np.exp(-1j * phase))) ** 2
    transfer = np.fft.rfft2(spread / spread.sum())
    k2 = (k**2)[:, : transfer.shape[1]]
    source = np.exp(-((np.pi * optics.source_size_fwhm_A) ** 2) * k2 / (4 * np.log(2)))
    thermal = np.exp(-2 * np.pi**2 * optics.thermal_rms_A**2 * k2)
    return np.asarray(transfer * source * thermal, np.complex64)


def _defocus_quadrature(fwhm_A: float) -> list[tuple[float, float]]:
    """Weights and defocus shifts (Å) of a Gauss–Hermite average over the chromatic spread."""
    if fwhm_A <= 0:
        return [(1.0, 0.0)]
    nodes, weights = np.polynomial.hermite.hermgauss(15 if fwhm_A > 60 else 9)
    sigma = fwhm_A / (2 * np.sqrt(2 * np.log(2)))
    return [(float(w / np.sqrt(np.pi)), float(np.sqrt(2) * sigma * x)) for x, w in zip(nodes, weights, strict=True)]
