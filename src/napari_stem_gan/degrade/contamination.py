"""Hydrocarbon contamination: a skewed random field of two length scales, with clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.image import FloatImage


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
        if min(self.amount, self.fine_fraction, self.skew, self.clusters_per_100nm2) < 0 or self.fine_fraction > 1:
            raise ValueError("contamination amounts must not be negative and fine_fraction at most 1; lower them")
        if min(self.coarse_nm, self.fine_nm) <= 0:
            raise ValueError("correlation lengths must be positive; try 2 nm and 0.35 nm")


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


def contamination_field(
    shape: tuple[int, int], pixel_size_A: float, config: ContaminationConfig, rng: np.random.Generator
) -> FloatImage:
    """Draw a field ``(Y, X)`` ≥ 0 with standard deviation ``config.amount`` over a wide area.

    Parameters
    ----------
    shape
        Height and width in pixels.
    pixel_size_A
        Pixel size in Å.
    config
        Amount, length scales, skew and clusters.
    rng
        Source of every draw.
    """
    if config.amount == 0 and config.clusters_per_100nm2 == 0:
        return np.zeros(shape, np.float32)
    coarse = gaussian_field(shape, 10 * config.coarse_nm / pixel_size_A, rng)
    fine = gaussian_field(shape, 10 * config.fine_nm / pixel_size_A, rng)
    share = config.fine_fraction
    field = np.sqrt(1 - share**2) * coarse + share * fine * (1 + 0.5 * np.tanh(coarse))
    if config.skew > 0:  # a log-normal field of unit variance
        s = min(config.skew, 1.5) * 0.6
        field = (np.exp(s * field) - np.exp(s * s / 2)) / np.sqrt((np.exp(s * s) - 1) * np.exp(s * s))
    field = config.amount * (field - np.quantile(field, 0.002))
    field = np.maximum(field, 0) + _clusters(shape, pixel_size_A, config.clusters_per_100nm2, rng)
    return np.asarray(field, np.float32)


def gaussian_field(shape: tuple[int, int], length_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian random field of unit variance with correlation length `length_px` (standard deviation of the blur)."""
    pad = int(min(3 * length_px, max(shape)))
    grid = (shape[0] + pad, shape[1] + pad)
    ky, kx = np.fft.fftfreq(grid[0])[:, None], np.fft.rfftfreq(grid[1])[None]
    filter_ = np.exp(-2 * (np.pi * length_px / np.sqrt(2)) ** 2 * (ky**2 + kx**2))
    white = rng.standard_normal(grid).astype(np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * filter_, s=grid)
    norm = np.sqrt(_power(filter_, grid[1]) / (grid[0] * grid[1]))  # expected spread over a wide area
    return np.asarray(field[: shape[0], : shape[1]] / max(norm, 1e-12))


def _power(filter_: NDArray[np.float64], width: int) -> float:
    """Σ |filter|² over the full spectrum, from the half spectrum of an rfft."""
    doubled = np.full(filter_.shape[1], 2.0)
    doubled[0] = 1.0
    if width % 2 == 0:
        doubled[-1] = 1.0
    return float((filter_**2 * doubled).sum())


def _clusters(
    shape: tuple[int, int], pixel_size_A: float, per_100nm2: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Small bright blobs of a few atoms."""
    field = np.zeros(shape)
    area_100nm2 = shape[0] * shape[1] * pixel_size_A**2 / 1e4
    for _ in range(rng.poisson(per_100nm2 * area_100nm2)):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        sigma = rng.uniform(0.5, 3.0) / pixel_size_A
        y0, y1 = max(0, int(y - 4 * sigma)), min(shape[0], int(y + 4 * sigma) + 2)
        x0, x1 = max(0, int(x - 4 * sigma)), min(shape[1], int(x + 4 * sigma) + 2)
        yy, xx = np.mgrid[y0:y1, x0:x1]
        field[y0:y1, x0:x1] += rng.uniform(0.2, 1.2) * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * sigma**2))
    return field
