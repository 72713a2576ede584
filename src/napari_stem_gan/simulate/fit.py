"""Fit optics, dose and contamination to a matched image, so that simulations already look like today's."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.crystal.cell import average_cell, fit_cell
from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.spectrum import central_crop
from napari_stem_gan.crystal.warp import measure_warp
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.scan import fast_scan_kernel
from napari_stem_gan.image import FloatImage, STEMImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Field, ideal_image
from napari_stem_gan.simulate.probe import band_limit

LARGEST_SOURCE_A = 2.6
LARGEST_TAIL_PX = 2.0
DOSE_RANGE = (2e2, 5e6)
CLEAN_PX = 320


@dataclass(frozen=True)
class Background:
    """Statistics of the slowly varying part of an image, to draw fields like it.

    Parameters
    ----------
    frequency_per_A
        Spatial frequencies in 1/Å, shape ``(N,)``.
    amplitude
        Radial amplitude spectrum at them, arbitrary scale.
    quantiles
        201 quantiles of the background in units of the column contrast, lowest 0.
    """

    frequency_per_A: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    def draw(self, shape: tuple[int, int], pixel_size_A: float, rng: np.random.Generator) -> FloatImage:
        """Draw a field ``(Y, X)`` ≥ 0 with this spectrum and these quantiles."""
        pad = (shape[0] + shape[0] // 2, shape[1] + shape[1] // 2)
        ky, kx = np.fft.fftfreq(pad[0], pixel_size_A)[:, None], np.fft.rfftfreq(pad[1], pixel_size_A)[None]
        filter_ = np.interp(np.hypot(ky, kx), self.frequency_per_A, self.amplitude, right=0.0)
        field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(pad)) * filter_, s=pad)[: shape[0], : shape[1]]
        rank = np.argsort(np.argsort(field, axis=None)).reshape(shape) / max(field.size - 1, 1)
        return np.interp(rank, np.linspace(0, 1, len(self.quantiles)), self.quantiles).astype(np.float32)


@dataclass(frozen=True)
class SessionFit:
    """What was fitted to one image.

    Parameters
    ----------
    optics
        Probe with the source size that gives today's column width.
    detector
        Dose, tail, row noise, gain and offset that give today's noise and brightness.
    scan
        Jitter per axis and its correlation from row to row.
    contrast
        Column brightness over background in the clean simulation, as a fraction of the beam.
    background
        Today's contamination.
    errors
        One standard error of each fitted number, by its name.
    """

    optics: OpticsConfig
    detector: DetectorConfig
    scan: ScanConfig
    contrast: float
    background: Background
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def dose_e_per_A2(self) -> float:
        """Dose in electrons per Å²."""
        return self.detector.dose_e_per_A2

    @property
    def tail_px(self) -> float:
        """Decay of the detector along the fast axis in pixels."""
        return self.detector.tail_px

    @property
    def gain(self) -> float:
        """Image units for one electron."""
        return self.detector.gain

    @property
    def offset(self) -> float:
        """Image units for no electron."""
        return self.detector.offset

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON and the panel."""
        detector = {k: v for k, v in asdict(self.detector).items() if not (isinstance(v, float) and math.isinf(v))}
        return {
            "optics": asdict(self.optics),
            "detector": detector,
            "scan": asdict(self.scan),
            "contrast": self.contrast,
            "errors": dict(self.errors),
        }


def fit_session(image: STEMImage, match: LatticeMatch, optics: OpticsConfig | None = None) -> SessionFit:
    """Fit the simulation to an accepted match.

    Parameters
    ----------
    image
        The raw image.
    match
        Its lattice.
    optics
        Beam energy, convergence and detector angles; None: 80 kV, 25 mrad, 63–200 mrad.

    Raises
    ------
    ValueError
        If the match was not accepted.
    """
    if not match.accepted or match.pixel_size_A is None:
        raise ValueError(f"'{image.name}' must be matched before it can be simulated: {match.reason}")
    size = match.pixel_size_A
    base = optics or OpticsConfig()
    fitted, contrast, clean_mean = _fit_source(match, base)
    noise, tail = noise_level(image.data, band_limit(fitted) * size)
    background = measure_background(image.data, match)
    mean = clean_mean + contrast * float(background.quantiles.mean())
    signal_to_noise = match.contrast / max(noise, 1e-12 * abs(match.contrast) + 1e-30)
    dose = float(np.clip(signal_to_noise**2 * mean / (contrast**2 * size**2), *DOSE_RANGE))
    gain = match.contrast / (dose * size**2 * contrast)
    offset = float(image.data.mean()) - gain * dose * size**2 * mean
    detector = DetectorConfig(dose_e_per_A2=dose, tail_px=tail, gain=float(gain), offset=offset)
    return SessionFit(fitted, detector, ScanConfig(), contrast, background)


def _fit_source(match: LatticeMatch, optics: OpticsConfig) -> tuple[OpticsConfig, float, float]:
    """Source size that gives the measured column width, with the clean image's contrast and mean.

    The average cell of a clean image without source size is blurred in its own Fourier series, so that one
    rendering serves all trials.
    """
    vectors, size = match.lattice_vectors_px, match.pixel_size_A or 0.2
    material = get_material(match.material)
    image = _clean_image(match, replace(optics, source_size_fwhm_A=0.0))
    spectrum = np.fft.fft2(average_cell(image, vectors, measure_warp(image, vectors)))
    index = np.fft.fftfreq(len(spectrum)) * len(spectrum)
    hk = np.stack(np.meshgrid(index, index, indexing="ij"), -1)
    k2 = ((hk @ np.linalg.inv(vectors).T / size) ** 2).sum(-1)  # 1/Å²
    low, high, contrast, middle = 0.0, LARGEST_SOURCE_A, 0.0, 0.0
    for _ in range(7):
        middle = 0.5 * (low + high)
        blurred = np.fft.ifft2(spectrum * np.exp(-((np.pi * middle) ** 2) * k2 / (4 * np.log(2)))).real
        cell = fit_cell(blurred, material, vectors, size, senses=(False,))
        contrast = cell.contrast
        low, high = (middle, high) if cell.fwhm_A < match.fwhm_A else (low, middle)
    return replace(optics, source_size_fwhm_A=middle), contrast, float(image.mean())


def _clean_image(match: LatticeMatch, optics: OpticsConfig) -> FloatImage:
    """A noise-free, defect-free image with the matched lattice."""
    none = DefectConfig(
        single_vacancy=0, double_vacancy=0, metal_vacancy=0, anion_substitution=0, metal_substitution=0, jitter_A=0
    )
    constant = float(np.hypot(*match.lattice_vectors_px[0]))
    side = int(max(CLEAN_PX, 8 * constant))
    place = Field(
        material=get_material(match.material), vectors_px=match.lattice_vectors_px, origin_px=(0.0, 0.0),
        shape=(side, side), pixel_size_A=match.pixel_size_A or 0.2,
    )  # fmt: skip
    return ideal_image(place, optics, none, np.random.default_rng(0)).image.data


def noise_level(data: FloatImage, band_limit_per_px: float) -> tuple[float, float]:
    """Standard deviation of the counting noise before the detector's decay, and that decay along x (px).

    The power beyond the probe's band limit is noise alone. Along x it is filtered by the detector's tail, so the
    level is read where kx is small and ky large, and the tail from its fall along kx.
    """
    crop = central_crop(data, 1024).astype(np.float64)
    window = np.hanning(crop.shape[0])[:, None] * np.hanning(crop.shape[1])[None]
    power = np.abs(np.fft.rfft2((crop - crop.mean()) * window)) ** 2 / (window**2).sum()
    ky = np.abs(np.fft.fftfreq(crop.shape[0]))[:, None]
    kx = np.fft.rfftfreq(crop.shape[1])[None]
    beyond = np.hypot(ky, kx) > min(1.03 * band_limit_per_px, 0.43)
    slow, fast = beyond & (kx < 0.1) & (kx > 0.01), beyond & (kx > 0.4)
    level = float(np.median(power[slow]) if slow.sum() > 20 else np.median(power[beyond])) / np.log(2)
    ratio = float(np.median(power[fast])) / np.log(2) / max(level, 1e-30) if fast.sum() > 20 else 1.0
    tail = _tail_of(ratio)
    slow_power, _ = _tail_power(np.array([tail]))
    return float(np.sqrt(max(level / slow_power[0], 0.0))), tail


def _tail_of(ratio: float) -> float:
    """Decay of the detector whose power at large kx falls to `ratio` of that at small kx."""
    if ratio > 0.9:
        return 0.0
    lengths = np.linspace(0.0, LARGEST_TAIL_PX, 101)
    slow, fast = _tail_power(lengths)
    return float(np.interp(-ratio, -fast / slow, lengths))


def _tail_power(lengths_px: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power of the detector's decay at kx = 0.01 to 0.1 and at 0.4 to 0.5, each of shape ``(N,)``."""
    length = torch.as_tensor(lengths_px).view(-1, 1, 1, 1)
    share = torch.full_like(length, DetectorConfig().tail_lorentzian)
    kernel = fast_scan_kernel(length, share, torch.zeros_like(length)).numpy()
    power = np.abs(np.fft.rfft(kernel, 400, axis=1)) ** 2  # (N, 201): kx in steps of 0.0025
    return power[:, 4:41].mean(1), power[:, 160:].mean(1)


def measure_background(data: FloatImage, match: LatticeMatch) -> Background:
    """Measure the slowly varying part of an image, in units of its column contrast."""
    size = match.pixel_size_A or 0.2
    constant = float(np.sqrt(abs(np.linalg.det(match.lattice_vectors_px))))
    crop = central_crop(data, 2048)
    step = max(1, int(0.2 * constant))
    slow = ndimage.gaussian_filter(crop, 0.6 * constant, mode="reflect")[::step, ::step].astype(np.float64)
    slow = slow / max(match.contrast, 1e-30)
    quantiles = np.quantile(slow, np.linspace(0, 1, 201))
    quantiles = quantiles - quantiles[2]
    window = np.hanning(slow.shape[0])[:, None] * np.hanning(slow.shape[1])[None]
    amplitude = np.abs(np.fft.rfft2((slow - slow.mean()) * window)) ** 2
    ky, kx = np.fft.fftfreq(slow.shape[0], size * step)[:, None], np.fft.rfftfreq(slow.shape[1], size * step)[None]
    k = np.hypot(ky, kx)
    edges = np.linspace(0, 0.5 / (size * step), 49)
    index = np.digitize(k, edges) - 1
    radial = np.array([np.sqrt(amplitude[index == i].mean()) if (index == i).any() else 0.0 for i in range(48)])
    return Background(0.5 * (edges[1:] + edges[:-1]), radial, np.maximum(quantiles, 0.0))
