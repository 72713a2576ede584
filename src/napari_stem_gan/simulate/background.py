"""Contamination as it was measured: its spectrum and brightness, and fields drawn like it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_stem_gan.degrade.noise import torch_generator
from napari_stem_gan.image import FloatImage

GRAIN_CLASSES = 10
A_PER_NM = 10.0
Float = NDArray[np.float64]


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
        return correlation_length_nm(self.frequency_per_A, self.amplitude)

    @property
    def grain_length_nm(self) -> float:
        """Correlation length of the grain in nm; 0 without grain."""
        return correlation_length_nm(self.frequency_per_A, self.grain) if self.grain_amount > 0 else 0.0

    def to_dict(self) -> dict[str, float]:
        """Readable numbers for JSON and the panel."""
        names = ("amount", "skew", "patch_length_nm", "grain_amount", "grain_length_nm")
        return {f"contamination_{name}": float(getattr(self, name)) for name in names}

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
            classes = (torch.arange(GRAIN_CLASSES, device=ordered.device) + 0.5) / GRAIN_CLASSES
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


def correlation_length_nm(frequency_per_A: Float, amplitude: Float) -> float:
    """Standard deviation of a Gaussian autocorrelation with this spectrum's mean square frequency, in nm."""
    weight = amplitude**2 * frequency_per_A * np.gradient(frequency_per_A)
    square = float((weight * frequency_per_A**2).sum() / max(float(weight.sum()), 1e-30))
    return 1 / (np.pi * np.sqrt(2 * max(square, 1e-12))) / A_PER_NM
