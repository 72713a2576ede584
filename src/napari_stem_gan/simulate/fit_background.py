"""Contamination of one image: its spectrum from patches down to its grain, its brightness, and fields drawn like it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.degrade.noise import torch_generator
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.fit_lattice import LatticeImage, block_mean, wave_vectors
from napari_stem_gan.simulate.fit_noise import Noise, tail_transfer

RINGS, GRAIN_BINS, LEVELS = 64, 10, 201
SLOW_CELLS = 0.6
SIGNIFICANT = 2.0
SPOT = 3.0
NOISE_ERROR = 0.02  # of the noise level: what lattice and jitter leave in it
A_PER_NM = 10.0
Float = NDArray[np.float64]
Frequency = NDArray[np.floating]


@dataclass(frozen=True)
class Background:
    """Statistics of contamination, to draw fields like it: patches, and a grain that is stronger on some of them.

    Parameters
    ----------
    frequency_per_A
        Spatial frequencies in 1/Å, shape ``(N,)``.
    amplitude
        Radial amplitude spectrum of the patches at them, arbitrary scale.
    quantiles
        201 quantiles of the patches in units of the column contrast; the lowest is what lies under clean places.
    grain
        Radial amplitude spectrum of the grain, arbitrary scale; empty: none.
    grain_sd
        Standard deviation of the grain in ten classes of patches from dark to bright, in units of the contrast.
    errors
        One standard error of `amount` and `grain_amount`.
    """

    frequency_per_A: Float
    amplitude: Float
    quantiles: Float
    grain: Float = dataclasses.field(default_factory=lambda: np.zeros(0))
    grain_sd: Float = dataclasses.field(default_factory=lambda: np.zeros(0))
    errors: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def grain_amount(self) -> float:
        """Standard deviation of the grain in units of the column contrast."""
        return float(np.sqrt(np.mean(self.grain_sd**2))) if len(self.grain_sd) else 0.0

    @property
    def amount(self) -> float:
        """Standard deviation of the whole field in units of the column contrast."""
        return float(np.hypot(self.quantiles.std(), self.grain_amount))

    @property
    def skew(self) -> float:
        """Skewness of the patches: 0 symmetric, larger: mostly clean with bright patches."""
        centred = self.quantiles - self.quantiles.mean()
        return float((centred**3).mean() / max(float((centred**2).mean()) ** 1.5, 1e-30))

    @property
    def patch_length_nm(self) -> float:
        """Correlation length of the patches in nm."""
        return _length_nm(self.frequency_per_A, self.amplitude)

    @property
    def grain_length_nm(self) -> float:
        """Correlation length of the grain in nm; 0 without grain."""
        return _length_nm(self.frequency_per_A, self.grain) if self.grain_amount > 0 else 0.0

    def to_dict(self) -> dict[str, float]:
        """Readable numbers for JSON and the panel."""
        names = ("amount", "skew", "patch_length_nm", "grain_amount", "grain_length_nm")
        return {name: float(getattr(self, name)) for name in names}

    def lifted(self, by: float) -> Background:
        """The same with an even brightness added, in units of the contrast."""
        return replace(self, quantiles=self.quantiles + by)

    def draw(
        self, shape: tuple[int, int], pixel_size_A: float, rng: np.random.Generator, device: str | torch.device = "cpu"
    ) -> FloatImage:
        """Draw a field ``(Y, X)`` ≥ 0 with these spectra and these quantiles.

        Parameters
        ----------
        shape
            Height and width in pixels.
        pixel_size_A
            Pixel size in Å.
        rng
            Source of every draw.
        device
            Where to compute.
        """
        return np.asarray(self.field(shape, pixel_size_A, rng, device).cpu().numpy(), np.float32)

    def field(
        self, shape: tuple[int, int], pixel_size_A: float, rng: np.random.Generator, device: str | torch.device = "cpu"
    ) -> torch.Tensor:
        """Draw a field like `draw`, and leave it on the device."""
        generator = torch_generator(rng, device)
        patches = self._waves(self.amplitude, shape, pixel_size_A, generator)
        ordered = torch.sort(patches[::2, ::2].reshape(-1)).values
        ranks = torch.linspace(0, len(ordered) - 1, len(self.quantiles), device=ordered.device).round().long()
        result = _interpolated(patches, ordered[ranks], self.quantiles)
        if self.grain_amount > 0:
            classes = (torch.arange(GRAIN_BINS, device=ordered.device) + 0.5) / GRAIN_BINS
            middles = ordered[(classes * len(ordered)).long()]
            strength = _interpolated(patches, middles, self.grain_sd)
            result = result + strength * self._waves(self.grain, shape, pixel_size_A, generator)
        return result.clamp_min(0)

    def _waves(
        self, amplitude: Float, shape: tuple[int, int], pixel_size_A: float, generator: torch.Generator
    ) -> torch.Tensor:
        """Gaussian random field of unit variance over a wide area, ``(Y, X)``."""
        pad = (shape[0] + shape[0] // 2, shape[1] + shape[1] // 2)
        device = generator.device
        k = torch.hypot(
            torch.fft.fftfreq(pad[0], pixel_size_A, device=device)[:, None],
            torch.fft.rfftfreq(pad[1], pixel_size_A, device=device)[None],
        )
        nodes = torch.as_tensor(self.frequency_per_A, dtype=k.dtype, device=device)
        filter_ = torch.where(k <= nodes[-1], _interpolated(k, nodes, amplitude), torch.zeros_like(k))
        filter_[0, 0] = 0
        norm = torch.sqrt(2 * (filter_**2).sum() / (pad[0] * pad[1])).clamp_min(1e-12)
        white = torch.randn(pad, generator=generator, device=device)
        drawn = torch.fft.irfft2(torch.fft.rfft2(white) * (filter_ / norm), s=pad)
        return drawn[: shape[0], : shape[1]]


def _interpolated(at: torch.Tensor, nodes: torch.Tensor, values: Float) -> torch.Tensor:
    """Linear interpolation of `values` at increasing `nodes`, constant beyond them."""
    target = torch.as_tensor(values, dtype=at.dtype, device=at.device)
    right = torch.searchsorted(nodes.contiguous(), at.contiguous()).clamp(1, len(nodes) - 1)
    left = right - 1
    part = ((at - nodes[left]) / (nodes[right] - nodes[left]).clamp_min(1e-30)).clamp(0, 1)
    return target[left] + part * (target[right] - target[left])


def _length_nm(frequency_per_A: Float, amplitude: Float) -> float:
    """Standard deviation of a Gaussian autocorrelation with this spectrum's mean square frequency, in nm."""
    weight = amplitude**2 * frequency_per_A * np.gradient(frequency_per_A)
    square = float((weight * frequency_per_A**2).sum() / max(float(weight.sum()), 1e-30))
    return 1 / (np.pi * np.sqrt(2 * max(square, 1e-12))) / A_PER_NM


def measure_background(
    image: LatticeImage, rest: NDArray[np.float32], noise: Noise, *, contrast: float, pixel_size_A: float,
    column_jitter_px: float = 0.0,
) -> Background:  # fmt: skip
    """Measure contamination in what is left of an image without lattice, defects and jitter.

    Parameters
    ----------
    image
        The split image.
    rest
        What is left, ``(Y, X)``; the background is still there.
    noise
        Counting noise, whose power is taken off.
    contrast
        Column contrast in image units, the unit of the result.
    pixel_size_A
        Pixel size in Å.
    column_jitter_px
        Displacement of columns that is drawn with them and so is no contamination (standard deviation per axis).
    """
    sigma = SLOW_CELLS * image.constant_px
    frequency, power, error = _radial_power(image, rest, noise, column_jitter_px)  # cycles/px, image units²
    kept = np.exp(-((2 * np.pi * sigma * frequency) ** 2))  # power that the blur lets through
    step = max(1, int(0.2 * image.constant_px))
    slow = block_mean(np.asarray(ndimage.gaussian_filter(rest, sigma, mode="reflect"), np.float32), step)
    quantiles = _quantiles(slow / contrast, noise.variance / (4 * np.pi * sigma**2) / contrast**2)
    fine = np.where(_above_noise(power, error), power, 0) * (1 - kept)
    area = 2 * np.pi * frequency * np.gradient(frequency)
    variance = float((fine * area).sum()) / contrast**2
    variance_error = float(np.sqrt((((1 - kept) * error * area) ** 2).sum())) / contrast**2
    sd = np.zeros(0) if variance <= 0 else np.sqrt(variance) * _grain_by_patch(rest, slow, step, frequency, fine, noise)
    fields = (frequency / pixel_size_A, np.sqrt(np.maximum(power, 0) * kept), quantiles, np.sqrt(fine), sd)
    patches = max(rest.size * pixel_size_A**2 / (20 * _length_nm(fields[0], fields[1])) ** 2, 2.0)
    amount = Background(*fields).amount
    grain = float(np.sqrt(max(variance, variance_error)))
    return Background(*fields, errors={
        "amount": amount * float(np.sqrt(0.5 / patches)) + 1e-12, "grain_amount": variance_error / (2 * grain + 1e-30)
    })  # fmt: skip


def _quantiles(slow: NDArray[np.float32], noise_variance: float) -> Float:
    """Quantiles of the patches without the spread that noise adds; 1 % of the image counts as clean."""
    values = np.quantile(slow, np.linspace(0, 1, LEVELS)).astype(float)
    median, variance = values[LEVELS // 2], max(float(slow.var()), 1e-30)
    values = median + (values - median) * np.sqrt(max(1 - noise_variance / variance, 0.0))
    return np.maximum(values - values[2], 0.0)


def _radial_power(
    image: LatticeImage, rest: NDArray[np.float32], noise: Noise, column_jitter_px: float
) -> tuple[Float, Float, Float]:
    """Rings in cycles per pixel, power without noise and displaced columns, and its standard error."""
    window = np.outer(np.hanning(rest.shape[0]), np.hanning(rest.shape[1])).astype(np.float32)
    centred = rest - np.float32(rest.mean(dtype=float))
    power = np.abs(np.fft.rfft2(centred * window)) ** 2 / float((window**2).sum())
    ky, kx = np.fft.fftfreq(rest.shape[0])[:, None], np.fft.rfftfreq(rest.shape[1])[None]
    response = np.abs(tail_transfer(noise.tail_px, kx[0])) ** 2
    known = noise.variance_at(float(np.average(image.data, weights=window**2))) * response[None]
    k = np.hypot(ky, kx)
    edges = _edges(min(rest.shape))
    ring = np.digitize(k, edges) - 1
    ring[_near_reflections(image, ky, kx) | (ring < 0) | (ring >= len(edges) - 1)] = len(edges) - 1
    count = np.maximum(np.bincount(ring.ravel(), minlength=len(edges))[:-1], 1)
    mean = np.bincount(ring.ravel(), (power - known).ravel(), len(edges))[:-1] / count
    total = np.bincount(ring.ravel(), power.ravel(), len(edges))[:-1] / count
    frequency = np.bincount(ring.ravel(), k.ravel(), len(edges))[:-1] / count
    filled = np.bincount(ring.ravel(), minlength=len(edges))[:-1] > 0
    columns = _column_jitter_power(image, frequency, column_jitter_px)
    systematic = NOISE_ERROR * noise.variance + noise.errors["variance"]
    error = np.sqrt((total / np.sqrt(0.25 * count)) ** 2 + (0.5 * columns) ** 2 + systematic**2)
    return frequency[filled], (mean - columns)[filled], error[filled]


def _above_noise(power: Float, error: Float) -> NDArray[np.bool_]:
    """Rings up to the first two in a row, beyond the most significant one, whose power is not significant."""
    ratio = power / np.maximum(error, 1e-30)
    seen = ratio > SIGNIFICANT
    best = int(ratio.argmax())
    lost = np.flatnonzero(~seen[best:-1] & ~seen[best + 1 :])
    last = best + int(lost[0]) if len(lost) else len(seen)
    return np.asarray((power > 0) & (np.arange(len(seen)) < last))


def _edges(side: int) -> Float:
    """Ring edges in cycles per pixel: single frequencies first, then in equal ratios."""
    first = np.arange(0.5, 6.0) / side
    return np.concatenate([first, np.geomspace(first[-1], 0.5, RINGS - len(first) + 1)[1:]])


def _near_reflections(image: LatticeImage, ky: Frequency, kx: Frequency) -> NDArray[np.bool_]:
    """Frequencies of the lattice, and of rows as a whole, where the rest holds more than contamination."""
    g_y, g_x = (g[np.abs(image.spectrum) > 0] for g in wave_vectors(image.spectrum.shape, image.vectors_px))
    rows, cols = len(ky), kx.shape[1]
    near = np.zeros((rows, cols), bool)
    width = 2 * (cols - 1)
    step = np.arange(-int(SPOT), int(SPOT) + 1)
    y = np.rint(g_y * rows).astype(int)[:, None, None] + step[:, None]
    x = np.rint(g_x * width).astype(int)[:, None, None] + step[None]
    y, x = np.broadcast_arrays(y, x)
    inside = (x >= 0) & (x < cols)
    near[y[inside] % rows, x[inside]] = True
    near[:, :2] |= np.abs(ky) > 6 / rows
    return near


def _column_jitter_power(image: LatticeImage, frequency: Float, jitter_px: float) -> Float:
    """Power of columns that are displaced at random: of a displaced peak, summed over all columns.

    The power of the average cell, times its cells per pixel, stands for that of single columns (their interference
    averages out over directions).
    """
    if jitter_px <= 0:
        return np.zeros_like(frequency)
    g = np.hypot(*wave_vectors(image.spectrum.shape, image.vectors_px))
    used = np.abs(image.spectrum) > 0
    order = np.argsort(g[used])
    cell_px = abs(float(np.linalg.det(image.vectors_px)))
    squared = np.abs(image.spectrum[used])[order] ** 2 * cell_px
    smooth = ndimage.uniform_filter1d(squared, 6, mode="nearest")
    return np.interp(frequency, g[used][order], smooth, right=0.0) * (2 * np.pi * frequency * jitter_px) ** 2


def _grain_by_patch(
    rest: NDArray[np.float32], slow: NDArray[np.float32], step: int, frequency: Float, fine: Float, noise: Noise
) -> Float:
    """Strength of the grain in ten classes of patches from dark to bright; mean square 1."""
    shape = rest.shape
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    wiener = np.interp(k, frequency, fine / (fine + noise.variance))
    grain = np.fft.irfft2(np.fft.rfft2(rest - rest.mean(dtype=float)) * wiener, s=shape)
    local = block_mean(np.asarray(grain**2, np.float32), step)
    edges = np.quantile(slow, np.linspace(0, 1, GRAIN_BINS + 1)[1:-1])
    index = np.digitize(slow, edges)
    count = np.maximum(np.bincount(index.ravel(), minlength=GRAIN_BINS), 1)
    mean, bright = (np.bincount(index.ravel(), part.ravel(), GRAIN_BINS) / count for part in (local, slow))
    variance = noise.per_unit * np.maximum(bright - noise.dark, 0)
    gain = float((wiener**2).mean())
    excess = np.maximum(mean - gain * variance, 0.02 * mean)
    return np.asarray(np.sqrt(excess / excess.mean()))
