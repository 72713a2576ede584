"""The beam along an atomic column of a crystal, depth by depth.

The column's potential, averaged over thermal motion and along the beam, guides the beam like a fibre. On the axis of
an isolated column only waves without angular dependence count, and their paraxial equation

    ∂ψ/∂z = i H ψ,   H = (λ/4π) ∇² + (λγ/d) Σ f(r) + (i/2d) Σ μ(r)

is solved by the eigenstates of H in a disc (Bessel functions J₀ as the basis): the 1s state, whose beat with the rest
is the extinction oscillation, and the spreading probe. f is the scattering factor of the atoms of one repeat d with
their Debye-Waller factor: atomic number, spacing and energy set the depth of the channel. μ is what thermal diffuse
scattering takes out of it (Hall & Hirsch): heavy columns are emptied first. Nothing is fitted to multislice.

The number of electrons that repeat k adds to the detector is the density on its atoms, |ψ(z = kd)|², smeared by their
motion and by the source, times the diffuse part of their cross-section: Bragg scattering of successive repeats
cancels at high angles, but for the first, which has none above it.

Not in here: neighbouring columns, and what leaves a column and scatters elsewhere (a smooth background); aberrations
(the probe is focused on the entrance face); tilt.

References
----------
.. [1] D. Van Dyck & M. Op de Beeck, Ultramicroscopy 64, 99 (1996).
.. [2] C. R. Hall & P. B. Hirsch, Proc. R. Soc. A 286, 158 (1965).
.. [3] S. J. Pennycook & D. E. Jesson, Ultramicroscopy 37, 14 (1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, j1, jn_zeros

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import (
    ELECTRON_MASS_keV,
    partial_cross_section_A2,
    scattering_factor_A,
    wavelength_A,
)
from napari_stem_gan.simulate.probe import FWHM_PER_SIGMA

RADIUS_A, STATES = 10.0, 110  # up to 5.5 1/Å; the narrowest 1s state (Au) needs 3
LEAST_MOTION_A = 0.04  # zero-point motion: atoms of a crystal are never at rest
RINGS_PER_A = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # spatial frequencies that diffuse scattering is summed over
NEAR_PER_A = 0.8  # where the width of a diffuse potential is read off
LAGUERRE = ((0.585786438, 3.414213562), (0.853553391, 0.146446609))

Floats = NDArray[np.float64]
Waves = NDArray[np.complex128]


@dataclass(frozen=True)
class _Disc:
    """Basis J₀(2π k_n r) in a disc, normalised, and points to integrate over it."""

    k: Floats
    """Spatial frequencies k_n in 1/Å, (N,)."""
    height: Floats
    """Value of each function in the middle, (N,)."""
    r: Floats
    """Radii in Å, (R,)."""
    area: Floats
    """Area that each radius stands for in Å², (R,)."""

    def values(self, r: Floats) -> Floats:
        """Each function at radii `r` (M,): (M, N)."""
        return np.asarray(j0(2 * np.pi * np.outer(r, self.k)) * self.height)


def brightness_of_repeats(
    atoms: tuple[str, ...], period_A: float, repeats: int, optics: OpticsConfig
) -> NDArray[np.float64]:
    """Electrons that each repeat of a column scatters onto the detector, over those of the first.

    Parameters
    ----------
    atoms
        Symbols of the atoms in one repeat.
    period_A
        Length of a repeat along the beam.
    repeats
        Number of repeats.
    optics
        Energy, convergence and detector angles, source size and thermal motion; aberrations do not matter.

    Returns
    -------
    NDArray
        Shape ``(repeats,)`` from the entrance down, the first 1. More than 1 where the column has drawn the beam in.

    Raises
    ------
    ValueError
        If the period is not positive.
    """
    if not period_A > 0:
        raise ValueError(f"period_A must be positive, got {period_A}; give the distance of repeats along the beam")
    atoms, motion = tuple(sorted(atoms)), max(round(optics.thermal_rms_A, 3), LEAST_MOTION_A)
    density = _density(atoms, round(period_A, 4), repeats, optics, motion)
    later = np.where(np.arange(repeats) > 0, _diffuse_share(atoms, optics, motion), 1.0)
    return density / density[:1] * later


def _density(
    atoms: tuple[str, ...], period_A: float, repeats: int, optics: OpticsConfig, motion_A: float
) -> Floats:
    """Density of the beam on the atoms of every repeat in 1/Å², (repeats,), with the probe on the column."""
    lam = wavelength_A(optics.energy_keV)
    values, vectors, inverse = _states(atoms, period_A, optics.energy_keV, motion_A)
    turns = np.exp(1j * values[:, None] * period_A * np.arange(repeats))  # (N, repeats)
    low = max(1e-3 * optics.adf_inner_mrad / lam, RINGS_PER_A[1])
    width = np.sqrt(_diffuse_variance_A2(atoms, motion_A, low, max(1e-3 * optics.adf_outer_mrad / lam, 2 * low)))
    on_atoms = _disc().values(width * np.sqrt(2 * np.array(LAGUERRE[0])))  # (2, N)
    total = np.zeros(repeats)
    for beside_A in (0.0, 2 * optics.source_size_fwhm_A / FWHM_PER_SIGMA):  # a Gaussian source, to the fourth order
        start = inverse @ _probe(1e-3 * optics.convergence_semi_angle_mrad / lam, beside_A)
        waves = on_atoms @ (vectors @ (start[:, None] * turns))  # (2, repeats)
        total += 0.5 * np.array(LAGUERRE[1]) @ np.abs(waves) ** 2
    return total


@lru_cache(maxsize=1)
def _disc() -> _Disc:
    zeros = jn_zeros(0, STATES)
    nodes, weights = np.polynomial.legendre.leggauss(3 * STATES)
    r = 0.5 * RADIUS_A * (nodes + 1)
    height = 1 / (np.sqrt(np.pi) * RADIUS_A * np.abs(j1(zeros)))
    return _Disc(zeros / (2 * np.pi * RADIUS_A), height, r, 0.5 * RADIUS_A * weights * 2 * np.pi * r)


@lru_cache(maxsize=64)
def _states(
    atoms: tuple[str, ...], period_A: float, energy_keV: float, motion_A: float
) -> tuple[Waves, Waves, Waves]:
    """Eigenvalues of H in 1/Å (N,), its states in the basis as columns (N, N), and their inverse."""
    disc, lam = _disc(), wavelength_A(energy_keV)
    g = np.linspace(0, disc.k[-1], 1200)[1:]
    still = sum(scattering_factor_A(a, g) for a in atoms) * np.exp(-2 * (np.pi * motion_A * g) ** 2)
    lost = sum(_diffuse_cross_section_A2(a, energy_keV, motion_A) for a in atoms)
    wide = _diffuse_variance_A2(atoms, motion_A, RINGS_PER_A[1] / 10, RINGS_PER_A[-1])
    spectrum = lam * (1 + energy_keV / ELECTRON_MASS_keV) * still + 0.5j * lost * np.exp(-2 * np.pi**2 * wide * g**2)
    potential = j0(2 * np.pi * np.outer(disc.r, g)) @ (spectrum * 2 * np.pi * g * (g[1] - g[0])) / period_A
    basis = disc.values(disc.r)
    h = (basis.T * (disc.area * potential)) @ basis - np.diag(np.pi * lam * disc.k**2)
    values, vectors = np.linalg.eig(h)
    return values, vectors, np.linalg.inv(vectors)


@lru_cache(maxsize=64)
def _probe(edge_per_A: float, beside_A: float) -> Floats:
    """The part without angular dependence of a focused probe `beside_A` from the column, in the basis, (N,)."""
    disc = _disc()
    nodes, weights = np.polynomial.legendre.leggauss(48)
    k = 0.5 * edge_per_A * (nodes + 1)
    weights = 0.5 * edge_per_A * weights * 2 * np.pi * k * j0(2 * np.pi * k * beside_A)
    wave = j0(2 * np.pi * np.outer(disc.r, k)) @ weights / (np.sqrt(np.pi) * edge_per_A)
    return np.asarray(disc.values(disc.r).T @ (disc.area * wave))


def _diffuse_cross_section_A2(element: str, energy_keV: float, motion_A: float) -> float:
    """All that one atom scatters diffusely."""
    edges = 1e3 * wavelength_A(energy_keV) * np.array(RINGS_PER_A)
    return sum(partial_cross_section_A2(element, energy_keV, a, b, diffuse_rms_A=motion_A) for a, b in pairwise(edges))


def _diffuse_share(atoms: tuple[str, ...], optics: OpticsConfig, motion_A: float) -> float:
    """Part of what the atoms send onto the detector that is thermal diffuse."""
    angles, spread = (optics.adf_inner_mrad, optics.adf_outer_mrad), optics.convergence_semi_angle_mrad
    total, diffuse = (
        sum(
            partial_cross_section_A2(a, optics.energy_keV, *angles, convergence_mrad=spread, diffuse_rms_A=motion)
            for a in atoms
        )
        for motion in (None, motion_A)
    )
    return diffuse / total


@lru_cache(maxsize=256)
def _diffuse_variance_A2(atoms: tuple[str, ...], motion_A: float, low: float, high: float) -> float:
    """Variance per axis of the potential of diffuse scattering by `low` to `high` 1/Å, read as a Gaussian [3]_."""
    q = np.geomspace(low, high, 200)[:, None]
    cosine = np.cos((np.arange(24) + 0.5) * np.pi / 24)

    def strength(g: float) -> float:
        ahead, behind = (np.sqrt(q**2 + g**2 / 4 + sign * q * g * cosine) for sign in (1, -1))
        bragg = np.exp(-2 * (np.pi * motion_A) ** 2 * (ahead**2 + behind**2))
        product = sum(scattering_factor_A(a, ahead) * scattering_factor_A(a, behind) for a in atoms)
        diffuse = product * (np.exp(-2 * (np.pi * motion_A * g) ** 2) - bragg)
        return float(np.trapezoid(diffuse.mean(1) * q[:, 0] ** 2, np.log(q[:, 0])))

    return float(-np.log(strength(NEAR_PER_A) / strength(0.0)) / (2 * (np.pi * NEAR_PER_A) ** 2))
