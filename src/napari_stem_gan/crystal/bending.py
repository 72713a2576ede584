"""Ripples and tilt of a crystal, as seen along the beam.

Geometry, lengths in Å, heights positive towards the source:

- tilt: an atom at height h moves by ``h tan(tilt)``; the shortening of the field, tilt²/2, is left out (10⁻⁵ at 5
  mrad);
- ripple: one wave ``z = A cos(k s + φ)`` along a random direction. The sheet does not stretch, so that a point at arc
  length s is seen at ``s − ½ ∫ z'² ds`` (first order in the squared slope), and an atom at height h over the middle of
  the sheet moves by ``−h z'``, since it stays on the sheet's normal. A rippled sheet therefore looks compressed by
  (A k)²/4 on average.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import SpecimenConfig
from napari_stem_gan.crystal.structure import Sites


def bend(
    sites: Sites,
    shape: tuple[int, int],
    pixel_size_A: float,
    config: SpecimenConfig,
    rng: np.random.Generator,
) -> Sites:
    """Ripple and tilt a crystal: where its sites are seen, their heights, and how atoms lean away from them.

    Parameters
    ----------
    sites
        Of the flat crystal.
    shape
        Height and width of the field in pixels; its middle stays where it is.
    pixel_size_A
        Pixel size in Å.
    config
        Ripple and tilt.
    rng
        Source of the ripple's direction and phase.
    """
    if not (config.ripple_A or config.tilt_x_mrad or config.tilt_y_mrad):
        return sites
    tilt = np.tan(np.array([config.tilt_y_mrad, config.tilt_x_mrad]) * 1e-3)
    base = np.zeros(len(sites)) if sites.heights_A is None else sites.heights_A
    wave = np.zeros(len(sites))
    moved_A, lean = np.zeros((len(sites), 2)), np.tile(tilt, (len(sites), 1))
    if config.ripple_A:
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        along = np.array([np.sin(angle), np.cos(angle)])
        sites = replace(sites, drawn={**sites.drawn, "ripple": {"direction": along.tolist(), "phase_rad": phase}})
        s = (sites.positions_px - (np.array(shape) - 1) / 2) @ along * pixel_size_A
        wave, slope, shortened = ripple(s, config.ripple_A, 10 * config.ripple_wavelength_nm, phase)
        moved_A = shortened[:, None] * along
        lean = lean - slope[:, None] * along
    moved_A = moved_A + tilt * wave[:, None] + lean * base[:, None]
    heights = base + wave if config.ripple_A or sites.heights_A is not None else None
    return replace(sites, positions_px=sites.positions_px + moved_A / pixel_size_A, heights_A=heights, lean=lean)


def ripple(
    s_A: NDArray[np.float64], amplitude_A: float, wavelength_A: float, phase_rad: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Height, slope and in-plane displacement in Å at arc lengths `s_A` from the middle of the field."""
    k = 2 * np.pi / wavelength_A
    argument = k * s_A + phase_rad
    swing = (np.sin(2 * argument) - np.sin(2 * phase_rad)) / (2 * k)
    return (
        amplitude_A * np.cos(argument),
        -amplitude_A * k * np.sin(argument),
        -((amplitude_A * k) ** 2) / 4 * (s_A - swing),
    )
