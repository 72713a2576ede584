"""Random specimens for training: crystals of every plane symmetry, particles, amorphous films, single atoms.

A specimen is a list of columns, each of a kind that shares one radial profile, and smooth parts
(support, haze, contamination). `restore.render` makes the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.degrade.config import log_uniform
from napari_stem_gan.restore.plane_groups import PLANE_GROUPS, random_cell, random_motif

FloatArray = NDArray[np.float64]
KINDS = ("crystal", "thick", "particle", "amorphous", "atoms", "flat")
SHARES = (0.34, 0.24, 0.22, 0.07, 0.08, 0.05)
MARGIN_PX = 16
PROFILES = 3


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One random specimen in pixels of its image.

    Parameters
    ----------
    kind
        One of `KINDS`.
    pixel_size_A
        Pixel size in Å.
    positions_px
        Columns, ``(N, 2)`` as (y, x).
    weights
        Integrated intensity of each column (arbitrary unit), ``(N,)``.
    profiles
        Profile number of each column, 0 to `PROFILES` − 1.
    background
        Constant, plane gradient along y and x over the image, relative to the brightest column.
    haze
        Smooth signal that follows the thickness, relative to the brightest column.
    grain
        Amorphous support or contamination (standard deviation), relative to the brightest column.
    grain_length_A
        Correlation length of the smooth contamination in Å; 0: as fine as the probe allows.
    """

    kind: str
    pixel_size_A: float
    positions_px: FloatArray
    weights: FloatArray
    profiles: NDArray[np.intp]
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    haze: float = 0.0
    grain: float = 0.0
    grain_length_A: float = 0.0


def lattice_points(basis: FloatArray, fractions: FloatArray, extent: float, rng: np.random.Generator) -> FloatArray:
    """Columns of a randomly placed lattice around the origin: ``(n cells, m columns, 2)`` in Å, within ±`extent`."""
    reach = int(np.ceil(1.5 * extent / np.abs(np.linalg.det(basis)) * np.linalg.norm(basis, axis=1).max())) + 1
    steps = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    corners = (cells + rng.random(2)) @ basis
    corners = corners[np.abs(corners).max(axis=1) < extent + np.abs(basis).sum()]
    return np.asarray(corners[:, None] + fractions @ basis)


def plant_defects(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Weaken, empty or replace some columns, so that the network learns to keep defects."""
    rate = log_uniform(rng, 0.002, 0.12)
    hit = rng.random(len(weights)) < rate
    factors = rng.choice([0.0, 0.5, 0.45, 1.6], size=len(weights), p=[0.3, 0.3, 0.2, 0.2]) * rng.uniform(0.8, 1.2)
    return np.where(hit, weights * factors, weights)


def grain(size_px: int, pixel_size_A: float, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One random crystal over the whole image: positions (Å, centred), weights, kinds."""
    group = str(rng.choice(list(PLANE_GROUPS)))
    cell = random_cell(PLANE_GROUPS[group][0], rng)
    closest_A = max(rng.uniform(0.9, 2.4), 2.2 * pixel_size_A)
    fractions, kinds = random_motif(cell, group, rng, atoms=int(rng.integers(1, 5)), closest_A=closest_A)
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    extent = (size_px / 2 + MARGIN_PX) * pixel_size_A
    points = lattice_points(cell @ rotation, fractions, extent, rng)  # (n, m, 2)
    atomic_number = np.exp(rng.uniform(np.log(5), np.log(82), size=8))
    weights = (atomic_number[kinds] ** rng.uniform(1.3, 1.9)) * np.ones(points.shape[:2])
    kind_of = np.digitize(np.argsort(np.argsort(atomic_number))[kinds], [2, 5]) * np.ones(points.shape[:2])
    flat = points.reshape(-1, 2) + rng.normal(0, rng.choice([0.0, 0.03, 0.08]), (points.shape[0] * points.shape[1], 2))
    return flat, weights.reshape(-1) / weights.max(), kind_of.reshape(-1)


def thickness(positions_A: FloatArray, extent: float, rng: np.random.Generator, *, steps: bool) -> FloatArray:
    """Relative thickness at each column: wedge, terraces or vacuum edge; 1 at most."""
    turn = rng.uniform(0, 2 * np.pi)
    along = positions_A @ np.array([np.sin(turn), np.cos(turn)]) / extent  # about -1..1
    value = np.ones(len(along))
    if rng.random() < 0.5:
        value = np.clip(1 - rng.uniform(0, 0.7) * (along + 1) / 2, 0.05, 1)
    if steps and rng.random() < 0.3:
        levels = rng.integers(2, 8)
        value = np.ceil(value * levels) / levels
    if rng.random() < 0.25:
        value = np.where(along > rng.uniform(-0.3, 0.8), 0.0, value)
    return value


def dome(positions_A: FloatArray, extent: float, rng: np.random.Generator) -> FloatArray:
    """Relative thickness of a round or polygonal particle at each column."""
    centre = rng.uniform(-0.5, 0.5, size=2) * extent
    radius = rng.uniform(0.3, 0.95) * extent
    offset = positions_A - centre
    sides = int(rng.choice([0, 4, 5, 6, 8]))
    if sides:
        angles = 2 * np.pi * (np.arange(sides) + rng.random()) / sides
        reach = (offset @ np.stack([np.sin(angles), np.cos(angles)])).max(axis=1) / radius
    else:
        reach = np.hypot(offset[:, 0], offset[:, 1]) / radius
    profile = np.clip(1 - reach ** rng.uniform(1.0, 4.0), 0, 1) ** rng.uniform(0.3, 1.0)
    layers = rng.integers(3, 30)
    return np.asarray(np.round(profile * layers) / layers)


def _columns(kind: str, size_px: int, pixel_size_A: float, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """Positions in Å around the centre, weights and profile kinds."""
    extent = size_px / 2 * pixel_size_A
    if kind in ("amorphous", "atoms"):
        area = (2 * extent) ** 2
        density = rng.uniform(0.2, 1.0) if kind == "amorphous" else log_uniform(rng, 0.005, 0.15)
        count = min(max(1, int(rng.poisson(density * area))), 4000)
        places = rng.uniform(-1.1 * extent, 1.1 * extent, (count, 2))
        spread = rng.choice([0.0, 0.2, 0.8])
        return places, np.exp(rng.normal(0, spread, count)), rng.integers(0, PROFILES, count).astype(float)
    places, weights, kinds = grain(size_px, pixel_size_A, rng)
    if rng.random() < (0.5 if kind == "particle" else 0.15):  # grain boundary, twin or second particle
        other = grain(size_px, pixel_size_A, rng)
        turn, cut = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5) * extent
        normal = np.array([np.sin(turn), np.cos(turn)])
        left, right = places @ normal < cut, other[0] @ normal >= cut
        places = np.concatenate([places[left], other[0][right]])
        weights = np.concatenate([weights[left], other[1][right]])
        kinds = np.concatenate([kinds[left], other[2][right]])
    elif kind == "crystal" and rng.random() < 0.08:  # two layers, turned
        other = grain(size_px, pixel_size_A, rng)
        places, weights, kinds = (np.concatenate(pair) for pair in zip((places, weights, kinds), other, strict=True))
    if rng.random() < 0.6:
        weights = plant_defects(weights, rng)
    shape = dome if kind == "particle" else None
    weights = weights * (shape(places, extent, rng) if shape else thickness(places, extent, rng, steps=kind == "thick"))
    return places, weights, kinds


def draw_specimen(rng: np.random.Generator, *, size_px: int, pixel_size_A: float, kind: str | None = None) -> Specimen:
    """Draw one specimen that fills a square image.

    Parameters
    ----------
    rng
        Source of randomness.
    size_px
        Side of the image in pixels.
    pixel_size_A
        Pixel size in Å.
    kind
        One of `KINDS`; None draws it too.
    """
    kind = str(rng.choice(KINDS, p=SHARES)) if kind is None else kind
    slope = rng.normal(0, 0.1, size=2) if rng.random() < 0.3 else np.zeros(2)
    constant = float(rng.uniform(0, 0.5) if rng.random() < 0.5 else rng.uniform(0, 0.08))
    background = (constant, float(slope[0]), float(slope[1]))
    if kind == "flat":
        empty = np.zeros(0)
        return Specimen(
            kind=kind, pixel_size_A=pixel_size_A, positions_px=np.zeros((0, 2)), weights=empty,
            profiles=empty.astype(np.intp), background=(max(constant, 0.05), *background[1:]),
        )  # fmt: skip
    places, weights, kinds = _columns(kind, size_px, pixel_size_A, rng)
    positions = places / pixel_size_A + (size_px - 1) / 2
    inside = ((positions > -MARGIN_PX) & (positions < size_px + MARGIN_PX - 1)).all(axis=1) & (weights > 0)
    supported = kind in ("particle", "atoms") and rng.random() < 0.8
    return Specimen(
        kind=kind,
        pixel_size_A=pixel_size_A,
        positions_px=positions[inside],
        weights=weights[inside],
        profiles=kinds[inside].astype(np.intp),
        background=background,
        haze=float(rng.uniform(0, 0.6)) if kind in ("thick", "particle") else 0.0,
        grain=log_uniform(rng, 0.01, 0.2) if supported or rng.random() < 0.3 else 0.0,
        grain_length_A=float(rng.choice([0.0, log_uniform(rng, 1.0, 15.0)])),
    )
