"""Slow wander from one image: displacements of whole rows that change over a dozen rows and more.

Part of them is in the match's warp, the rest in its rows; their sum does not depend on how much of them the warp has
followed. A row is displaced as a whole, so blocks of it that are not neighbours tell what is common from noise,
contamination and strain of the specimen. The spectrum (cosine transform) of that sum is compared with what jitter,
noise and a wander of every length would give.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.simulate.fit_lattice import SIDE_PX
from napari_stem_gan.simulate.fit_scan import FEWEST_APART, Rows

SHORTEST_ROWS, LONGEST_PART = 8.0, 6.0  # correlation lengths that are tried: from rows, to a part of the image
LENGTHS, GRID = 28, 28
CORRELATIONS = np.linspace(0, 0.85, 18)  # what is longer correlated is a wander
STARTS = (0.15, 0.5, 0.85)  # places in the lengths
SMOOTH_CELLS, LEAST_TRANSFER = 0.2, 0.3
FIRST_MODE = 2  # the mean and a uniform drift belong to the lattice
NOISE_MODES = 31
LEAST_GAIN = 7.0  # of the log-likelihood: less is no evidence of a wander
SAMPLES_A_BLOCK = 5
FEWEST_ROWS = 96
Float = NDArray[np.float64]


@dataclass(frozen=True)
class RowSpectrum:
    """Cosine spectrum of the displacement of whole rows, without its mean and uniform drift.

    Parameters
    ----------
    power
        Squared coefficients along y and x, ``(2, K)`` in pixels squared.
    noise
        The part of it that blocks do not share, ``(2, K)``.
    jitter
        What AR(1) series of unit steps give, for each of `CORRELATIONS`, ``(C, K)``.
    wander
        What wanders of 1 px give, for each of `lengths`, ``(L, K)``.
    lengths
        Correlation lengths in rows, in equal ratios.
    """

    power: Float
    noise: Float
    jitter: Float
    wander: Float
    lengths: Float


def fit_wander(
    rows: Rows, scan: ScanConfig, match: LatticeMatch, shape: tuple[int, int]
) -> tuple[ScanConfig, dict[str, float]]:
    """Find wander beside jitter.

    Parameters
    ----------
    rows
        From `measure_rows`, of the middle of the image.
    scan
        Where the search for jitter starts.
    match
        The lattice and its warp.
    shape
        Of the whole image.

    Returns
    -------
    tuple
        `scan` with ``wander_px`` and ``wander_rows`` (0 where there is no evidence of a wander), and their standard
        errors.
    """
    if len(rows.values[0]) < FEWEST_ROWS:
        return scan, {"wander_px": float(rows.combined(3)[0].std()), "wander_rows": float(len(rows.values[0]))}
    spectrum = row_spectrum(rows, match, shape)
    calm = _best(spectrum, scan, None)
    best = min((_best(spectrum, scan, start) for start in STARTS), key=lambda found: float(found.fun))
    there = calm.fun - best.fun > LEAST_GAIN
    size, length, errors = _posterior(spectrum, _jitter(spectrum, best.x))
    if not there:  # jitter explains it as well: what could be a wander is its error
        return replace(scan, wander_px=0.0), errors | {"wander_px": float(np.hypot(size, errors["wander_px"]))}
    return replace(scan, wander_px=size, wander_rows=length), errors


def row_spectrum(rows: Rows, match: LatticeMatch, shape: tuple[int, int]) -> RowSpectrum:
    """Displacement of whole rows, of warp and rows together, as a cosine spectrum; see `fit_wander` for parameters."""
    total = rows.values[2:] - _warped(rows, match, shape)
    constant = float(np.sqrt(abs(np.linalg.det(match.lattice_vectors_px))))
    sigma = SMOOTH_CELLS * constant
    reach, frequency = _reach(total.shape[1], sigma)
    parts = [_spectra(t, w, sigma, len(reach)) for t, w in zip(total, rows.information[2:], strict=True)]
    lengths = np.geomspace(SHORTEST_ROWS, max(total.shape[1] / LONGEST_PART, 2 * SHORTEST_ROWS), LENGTHS)
    jitter = 1 / np.abs(1 - CORRELATIONS[:, None] * np.exp(-2j * np.pi * frequency)) ** 2
    slow = np.sqrt(2 * np.pi) * lengths[:, None] * np.exp(-2 * (np.pi * lengths[:, None] * frequency) ** 2)
    power, noise = (np.stack(part) for part in zip(*parts, strict=True))
    return RowSpectrum(power, noise, jitter @ reach.T, slow @ reach.T, lengths)


def _warped(rows: Rows, match: LatticeMatch, shape: tuple[int, int]) -> Float:
    """How far the warp displaces each block of each row, ``(2, rows, blocks)``."""
    count, blocks = rows.values.shape[1:]
    if match.warp is None:
        return np.zeros((2, count, blocks))
    first, left = ((n - min(n, SIDE_PX)) // 2 for n in shape)
    width = min(shape[1], SIDE_PX) // blocks
    places = np.asarray((np.arange(blocks * SAMPLES_A_BLOCK) + 0.5) * width / SAMPLES_A_BLOCK + left, float)
    moved, _ = match.warp.over(np.arange(first, first + count, dtype=float), places)
    return np.asarray(moved.reshape(2, count, blocks, SAMPLES_A_BLOCK).mean(-1), float)


def _spectra(value: Float, weight: Float, sigma: float, modes: int) -> tuple[Float, Float]:
    """Power of the mean over blocks, and how much of it blocks do not share, of ``(rows, blocks)``."""
    top, bottom = (ndimage.gaussian_filter1d(part, sigma, 0, mode="reflect") for part in (weight * value, weight))
    smooth = top / np.maximum(bottom, 1e-30)
    line = np.linspace(-1, 1, len(smooth))[:, None]
    smooth = smooth - smooth.mean(0)
    smooth = smooth - line * (line * smooth).sum(0) / (line**2).sum()
    waves = fft.dct(smooth, axis=0, norm="ortho")[FIRST_MODE : FIRST_MODE + modes]
    share = np.median(weight, 0) / max(float(np.median(weight, 0).sum()), 1e-30)
    mean = waves @ share
    parts = waves * share
    outer = np.abs(np.subtract.outer(np.arange(len(share)), np.arange(len(share))))
    apart = outer > (1 if len(share) >= FEWEST_APART else 0)
    common = np.einsum("ka,ab,kb->k", parts, apart, parts) / max(float(share @ apart @ share), 1e-30)
    noise = ndimage.uniform_filter1d(mean**2 - common, min(NOISE_MODES, modes), mode="nearest")
    return mean**2, np.maximum(noise, 1e-3 * float(np.median(mean**2)) + 1e-12)


def _reach(rows: int, sigma: float) -> tuple[Float, Float]:
    """Weight of low frequencies in each cosine coefficient of a smoothed series without mean and slope, ``(K, F)``."""
    modes = min(int(rows * np.sqrt(-np.log(LEAST_TRANSFER)) / (np.pi * sigma)), rows - FIRST_MODE - 1)
    at = np.cos(np.pi * np.outer(np.arange(FIRST_MODE, FIRST_MODE + modes), np.arange(rows) + 0.5) / rows)
    waves, line = at * np.sqrt(2 / rows), np.linspace(-1, 1, rows)
    waves = waves - (waves @ line)[:, None] * line / (line @ line)
    frequency = np.fft.rfftfreq(2 * rows)[: 2 * (modes + FIRST_MODE)]
    power = np.abs(np.fft.rfft(waves, 2 * rows, axis=1))[:, : len(frequency)] ** 2 / rows
    power[:, 0] /= 2  # a half spectrum counts twice
    power = power * np.exp(-((2 * np.pi * sigma * frequency) ** 2))
    return np.asarray(power, float), np.asarray(frequency, float)


def _between(table: Float, place: float) -> Float:
    """A row of `table` at a fractional index."""
    low = int(np.clip(place, 0, len(table) - 2))
    return np.asarray(table[low] + (place - low) * (table[low + 1] - table[low]))


def _jitter(spectrum: RowSpectrum, values: Float) -> Float:
    """Power of jitter along y and x, ``(2, K)``."""
    return np.asarray(np.exp(values[:2])[:, None] * _between(spectrum.jitter, float(values[2])))


def _best(spectrum: RowSpectrum, scan: ScanConfig, start: float | None) -> optimize.OptimizeResult:
    """Most likely jitter, and wander where a place in the lengths to start from is given.

    Unknown are the logarithms of the variances of jitter along y and x, the place of its correlation in
    `CORRELATIONS`, the logarithm of a wander's variance and the place of its length in `lengths`.
    """
    last = len(spectrum.lengths) - 1
    steps = [2 * np.log(max(s, 1e-3)) for s in (scan.jitter_y_px, scan.jitter_x_px)]
    values = [*steps, float(np.interp(scan.jitter_correlation, CORRELATIONS, np.arange(len(CORRELATIONS))))]
    bounds = [(-25.0, 5.0), (-25.0, 5.0), (0.0, len(CORRELATIONS) - 1.0)]
    if start is not None:
        values += [np.log(float(spectrum.power.mean()) / spectrum.lengths[int(start * last)]), start * last]
        bounds += [(-25.0, 8.0), (0.0, float(last))]

    def misfit(values: Float) -> float:
        mean = _jitter(spectrum, values) + spectrum.noise
        if start is not None:
            mean = mean + np.exp(values[3]) * _between(spectrum.wander, float(values[4]))
        return float(0.5 * (np.log(mean) + spectrum.power / mean).sum())

    return optimize.minimize(misfit, values, bounds=bounds, method="L-BFGS-B")


def _posterior(spectrum: RowSpectrum, jitter: Float) -> tuple[float, float, dict[str, float]]:
    """Mean and standard deviation of a wander's size and length, all logarithms of them as likely beforehand."""
    last = len(spectrum.lengths) - 1
    top = float(np.log(spectrum.power.max())) / 2
    sizes, places = np.linspace(top - 7, top + 1, GRID), np.linspace(0, last, GRID)
    for _ in range(2):  # the second time around what is likely
        weight = _likely(spectrum, jitter, np.exp(sizes), places)
        used_sizes, used_places = sizes, places
        sizes, places = (_around(at, weight.sum(1 - axis)) for axis, at in enumerate((sizes, places)))
        places = np.clip(places, 0, last)
    lengths = np.exp(np.interp(used_places, np.arange(last + 1), np.log(spectrum.lengths)))
    size, spread = _moments(np.exp(used_sizes), weight.sum(1))
    length, apart = _moments(lengths, weight.sum(0))
    return size, length, {"wander_px": max(spread, 1e-6), "wander_rows": max(apart, 0.01 * length)}


def _likely(spectrum: RowSpectrum, jitter: Float, sizes: Float, places: Float) -> Float:
    """Probability of wanders of these sizes in pixels and places in the lengths, ``(sizes, places)``, of sum 1."""
    shapes = np.stack([_between(spectrum.wander, float(place)) for place in places])
    mean = (sizes**2)[:, None, None, None] * shapes[:, None] + jitter + spectrum.noise  # (sizes, places, 2, K)
    likely = -0.5 * (np.log(mean) + spectrum.power / mean).sum((-2, -1))
    weight = np.exp(likely - likely.max())
    return np.asarray(weight / weight.sum())


def _around(at: Float, weight: Float) -> Float:
    """A grid over what is likely."""
    middle, spread = _moments(at, weight)
    reach = 4 * max(spread, 0.5 * float(at[1] - at[0]))
    return np.asarray(np.clip(np.linspace(middle - reach, middle + reach, len(at)), at[0], at[-1]))


def _moments(at: Float, weight: Float) -> tuple[float, float]:
    mean = float((at * weight).sum())
    return mean, float(np.sqrt((weight * (at - mean) ** 2).sum()))
