"""Today's statistics in closed form: a spectrum filter, shaped noise and a tone curve fitted to the session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.image import FloatImage
from napari_stem_gan.translate.patches import Normaliser, spread_selection, tiles_of

BINS = 96
KNOTS = 193
FIT_SIDE_PX = 512
MAX_TILES = 24
GAIN_LIMITS = (0.4, 2.5)
BRAGG_FLATNESS = 0.35  # of a ring: geometric over arithmetic mean of the power; noise alone has exp(-0.577) = 0.56
EULER_GAMMA = 0.5772156649

Profile = NDArray[np.float64]


def _frequencies() -> Profile:
    """Centres of the radial bins in cycles per pixel, up to the corner of the spectrum."""
    edges: Profile = np.linspace(0, 0.5 * np.sqrt(2), BINS + 1)
    return 0.5 * (edges[1:] + edges[:-1])


@dataclass(frozen=True)
class Spectrum:
    """Radial power of normalised images.

    Parameters
    ----------
    total
        Mean power of each ring, shape ``(BINS,)``.
    diffuse
        Power of each ring without its Bragg peaks (from the mean logarithm), the same shape.
    """

    total: Profile
    diffuse: Profile

    @property
    def bragg(self) -> NDArray[np.bool_]:
        """Rings that are ruled by Bragg peaks."""
        return np.asarray(self.diffuse * np.exp(-EULER_GAMMA) < BRAGG_FLATNESS * self.total)


def measure_spectrum(images: Sequence[FloatImage]) -> Spectrum:
    """Return the mean radial power of images ``(Y, X)``, each seen through a Hann window."""
    sums = np.zeros((2, BINS))
    for image in images:
        x = torch.from_numpy(image - image.mean())
        window = torch.hann_window(x.shape[0])[:, None] * torch.hann_window(x.shape[1])
        spectrum = torch.fft.rfft2(x * (window / window.square().mean().sqrt()), norm="ortho")
        power = spectrum.abs().square().numpy().ravel()
        index = _ring_index(x.shape[0], x.shape[1])
        count = np.bincount(index, minlength=BINS).clip(1)
        sums[0] += np.log(np.bincount(index, power, BINS) / count + 1e-12)
        sums[1] += np.bincount(index, np.log(power + 1e-12), BINS) / count + EULER_GAMMA
    total, diffuse = np.exp(sums / len(images))  # geometric means: one cloudy image does not rule
    return Spectrum(total, np.minimum(diffuse, total))


@lru_cache(maxsize=4)
def _ring_index(height: int, width: int) -> NDArray[np.int_]:
    """Radial bin of every value of ``rfft2``, flattened."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    index: NDArray[np.int_] = (radius / (0.5 * np.sqrt(2)) * BINS).astype(int).clip(max=BINS - 1).ravel()
    return index


@dataclass(frozen=True)
class Target:
    """What `fit_statistics` aims at: spectrum and quantiles of today's normalised images."""

    spectrum: Spectrum
    tones: Profile

    @classmethod
    def measure(cls, images: Sequence[FloatImage]) -> Target:
        """Measure images ``(Y, X)``, each with its own mean and spread taken as ±3.5 spreads = ±1."""
        tiles = [tile for image in images for tile in tiles_of(image, FIT_SIDE_PX)]
        tiles = [Normaliser.fit([tile]).apply(tile) for tile in spread_selection(tiles, MAX_TILES)]
        return cls(measure_spectrum(tiles), measure_tones(tiles))


@dataclass(frozen=True)
class SessionStatistics:
    """A radial filter, additive shaped noise and a monotone tone curve, in that order.

    Works on normalised images. What it adds or scales depends on frequency and grey value
    only, so it cannot move or plant a column.

    Parameters
    ----------
    gain
        Amplitude factor per radial bin, shape ``(BINS,)``.
    noise
        Amplitude of the added Gaussian noise per radial bin (1 = white noise of unit variance).
    tone_in, tone_out
        Knots of the tone curve, increasing, shape ``(KNOTS,)``.
    """

    gain: Profile = field(default_factory=lambda: np.ones(BINS))
    noise: Profile = field(default_factory=lambda: np.zeros(BINS))
    tone_in: Profile = field(default_factory=lambda: np.linspace(-1, 1, KNOTS))
    tone_out: Profile = field(default_factory=lambda: np.linspace(-1, 1, KNOTS))

    @classmethod
    def identity(cls) -> SessionStatistics:
        """Return the statistics that change nothing."""
        return cls()

    @property
    def is_identity(self) -> bool:
        """Whether applying it changes nothing."""
        flat = bool(np.all(self.gain == 1) and np.all(self.noise == 0))
        return flat and bool(np.array_equal(self.tone_in, self.tone_out))

    def shape_spectrum(self, x: Tensor, white: Tensor) -> Tensor:
        """Filter images ``(B, 1, Y, X)`` and add noise shaped from `white` (unit variance, the same shape)."""
        if np.all(self.gain == 1) and np.all(self.noise == 0):
            return x
        gain, noise = (self._on_grid(profile, x) for profile in (self.gain, self.noise))
        spectrum = torch.fft.rfft2(x) * gain + torch.fft.rfft2(white) * noise
        shaped: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:])
        return shaped

    def map_tones(self, image: FloatImage) -> FloatImage:
        """Apply the tone curve to an image ``(Y, X)``; beyond the knots it goes on with slope 1."""
        low, high = self.tone_in[0], self.tone_in[-1]
        mapped = np.empty_like(image)
        for row, values in enumerate(image):  # row by row, for the memory of large images
            beyond = np.minimum(values - low, 0) + np.maximum(values - high, 0)
            mapped[row] = np.interp(values, self.tone_in, self.tone_out) + beyond
        return mapped

    def apply(self, image: FloatImage, rng: np.random.Generator) -> FloatImage:
        """Return a normalised image ``(Y, X)`` with today's spectrum and histogram."""
        white = rng.standard_normal(image.shape, dtype=np.float32)
        shaped = self.shape_spectrum(torch.from_numpy(image)[None, None], torch.from_numpy(white)[None, None])
        return self.map_tones(shaped[0, 0].numpy())

    def _on_grid(self, profile: Profile, x: Tensor) -> Tensor:
        """Interpolate a radial profile to the grid of ``rfft2``, shape ``(Y, X // 2 + 1)``."""
        fy, fx = np.fft.fftfreq(x.shape[-2])[:, None], np.fft.rfftfreq(x.shape[-1])
        values = np.interp(np.hypot(fy, fx), _frequencies(), profile)
        values[0, 0] = 1.0 if profile is self.gain else 0.0
        return torch.from_numpy(values.astype(np.float32)).to(x.device)


def fit_statistics(
    simulated: Sequence[FloatImage],
    target: Target,
    *,
    noise_from: float = 0.0,
    rounds: int = 4,
    seed: int = 0,
) -> SessionStatistics:
    """Fit spectrum filter, noise and tone curve so that simulations have today's statistics.

    Parameters
    ----------
    simulated
        Normalised simulations ``(Y, X)``.
    target
        Today's images, measured.
    noise_from
        Frequency, in cycles per pixel, above which missing diffuse power is filled with noise. Below
        it the power that is there is raised instead, so that no noise hides a defect.
    rounds
        Repetitions: the tone curve changes the spectrum a little and the other way round.
    seed
        Seed of the noise used while fitting.
    """
    sources = [tile for image in simulated for tile in tiles_of(image, FIT_SIDE_PX)]
    may_fill = _frequencies() >= noise_from
    statistics, line = SessionStatistics(), np.linspace(-1, 1, KNOTS)
    for turn in range(rounds):
        rng = np.random.default_rng(seed)
        shaped = [replace(statistics, tone_in=line, tone_out=line).apply(image, rng) for image in sources]
        tone_in, tone_out = tone_knots(measure_tones(shaped), target.tones)
        statistics = replace(statistics, tone_in=tone_in, tone_out=tone_out)
        if turn < rounds - 1:
            now = measure_spectrum([statistics.map_tones(image) for image in shaped])
            statistics = _correct_spectrum(statistics, now, target.spectrum, may_fill)
    return statistics


def lattice_frequency(images: Sequence[FloatImage]) -> float:
    """Return the lowest frequency with Bragg peaks in cycles per pixel; 0.07 where there are none."""
    bragg = np.flatnonzero(measure_spectrum(images).bragg[3:])
    return float(_frequencies()[bragg[0] + 3]) if len(bragg) else 0.07


def spectrum_ratio(now: Spectrum, target: Spectrum) -> Profile:
    """Return the power that is wanted over the power that is there; whole rings at Bragg peaks, else diffuse."""
    bragg = now.bragg | target.bragg
    ratio: Profile = np.where(bragg, target.total / now.total, target.diffuse / now.diffuse)
    return ratio


def _correct_spectrum(
    statistics: SessionStatistics, now: Spectrum, target: Spectrum, may_fill: NDArray[np.bool_]
) -> SessionStatistics:
    """Move gain and noise towards the target: missing diffuse power becomes noise where it may, the rest gain."""
    missing = target.diffuse - now.diffuse
    fills = may_fill & ~(now.bragg | target.bragg) & ((missing > 0) | (statistics.noise > 0))
    gain = statistics.gain * np.where(fills, 1.0, np.sqrt(spectrum_ratio(now, target)))
    power = statistics.noise**2 + np.where(fills, missing, 0.0)
    return replace(statistics, gain=smooth(gain).clip(*GAIN_LIMITS), noise=smooth(np.sqrt(np.maximum(power, 0))))


def smooth(profile: Profile) -> Profile:
    """Average neighbouring bins, so that a filter does not ring."""
    padded = np.pad(profile, 1, mode="edge")
    averaged: Profile = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return averaged


def measure_tones(images: Sequence[FloatImage]) -> Profile:
    """Return quantiles of all pixels, denser in the tails, shape ``(KNOTS,)``."""
    pixels = np.concatenate([image.ravel()[:: max(1, image.size // 60_000)] for image in images])
    share = 0.5 * (1 - np.cos(np.linspace(0, np.pi, KNOTS)))
    tones: Profile = np.quantile(pixels, share.clip(1e-4, 1 - 1e-4)).astype(np.float64)
    return tones


def tone_knots(source: Profile, target: Profile) -> tuple[Profile, Profile]:
    """Return the knots, strictly increasing, that map the quantiles of the source onto those of the target."""
    step = 1e-6 * np.arange(KNOTS)
    return np.maximum.accumulate(source) + step, np.maximum.accumulate(target) + step
