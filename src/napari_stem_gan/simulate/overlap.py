"""The probe's transfer at single frequencies, with its derivatives by the aberrations.

The transfer is the overlap of the pupil with itself, shifted by the frequency:
``T(g) = ∫ A(q + g/2) A(q − g/2) exp(−i [χ(q + g/2) − χ(q − g/2)]) dq``, here by Gauss–Legendre quadrature over the
lens that both pupils share. `probe.optical_transfer` gives the same numbers on whole grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import wavelength_A
from napari_stem_gan.simulate.probe import FWHM_PER_SIGMA, aberrations

NODES = 12
Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Two shifted pupils at each reflection, as a quadrature.

    Parameters
    ----------
    weight
        Of each node, chromatic spread included, ``(G, P)``; sums to the transfer of a perfect probe.
    phase
        Phase difference of both pupils by the aberrations that are not fitted, ``(G, P)``.
    slope
        The same for 1 Å of every fitted component, ``(G, P, C)``.
    """

    weight: Float
    phase: Float
    slope: Float

    def transfer(self, components_A: Float) -> tuple[Complex, Complex]:
        """Transfer ``(G,)`` and its derivatives ``(G, C)``, without source size and thermal width."""
        turn = self.phase + self.slope @ components_A
        real, imaginary = self.weight * np.cos(turn), -self.weight * np.sin(turn)
        by_real, by_imaginary = ((part[:, None] @ self.slope)[:, 0] for part in (real, imaginary))
        return real.sum(1) + 1j * imaginary.sum(1), by_imaginary - 1j * by_real


def overlap(optics: OpticsConfig, frequency_per_A: Float, components: Sequence[tuple[str, str]]) -> Overlap:
    """Quadrature of the transfer.

    Parameters
    ----------
    optics
        Pupil, chromatic spread, and the aberrations that are not fitted.
    frequency_per_A
        Spatial frequencies (y, x) below the band limit, ``(G, 2)``.
    components
        Krivanek components that are fitted: name of the aberration and ``a`` or ``b``, ``C10`` first.
    """
    angle = 1e-3 * optics.convergence_semi_angle_mrad
    shift = (frequency_per_A[:, 1] + 1j * frequency_per_A[:, 0]) * wavelength_A(optics.energy_keV) / angle
    half = np.minimum(np.abs(shift) / 2, 1.0)[:, None, None]  # of the aperture's radius
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    height = np.sqrt(1 - half**2)
    across = height * np.sin(np.pi / 2 * nodes)[:, None]
    widest = np.sqrt(1 - across**2) - half
    along = widest * nodes
    weight = height * np.cos(np.pi / 2 * nodes)[:, None] * widest * (weights[:, None] * weights) / 2
    turn = np.where(np.abs(shift) > 0, shift / np.maximum(np.abs(shift), 1e-30), 1.0)[:, None, None]
    pupils = (along + 1j * across + half) * turn, (along + 1j * across - half) * turn
    shape = (len(shift), NODES * NODES)
    slope = np.stack([_phase(optics, n, p, *pupils).reshape(shape) for n, p in components], -1)
    phase = np.zeros(shape)
    for name, value in aberrations(optics).items():
        if name.startswith("C") and name not in dict(components) and value:
            turned = ABERRATIONS[name][1] * getattr(optics, f"phi{name[1:]}", 0.0)
            parts = [_phase(optics, name, p, *pupils).reshape(shape) for p in "ab"]
            phase = phase + value * (np.cos(turned) * parts[0] + np.sin(turned) * parts[1])
    sigma = optics.defocus_spread_fwhm_A / FWHM_PER_SIGMA
    damped = weight.reshape(shape) * np.exp(-0.5 * (sigma * slope[..., 0]) ** 2)
    return Overlap(damped, phase, slope)


def _phase(optics: OpticsConfig, name: str, part: str, first: Complex, second: Complex) -> Float:
    """Phase difference of two pupils for 1 Å of an aberration's component."""
    power, order = ABERRATIONS[name]
    angle = 1e-3 * optics.convergence_semi_angle_mrad
    scale = 2 * np.pi / wavelength_A(optics.energy_keV) * angle**power / power

    def chi(place: Complex) -> Float:
        turned = place**order if part == "a" else -1j * place**order
        return np.asarray(scale * np.abs(place) ** (power - order) * turned.real)

    return chi(first) - chi(second)
