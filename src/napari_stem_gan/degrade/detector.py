"""The detector: counting, photomultiplier, readout, rows, bad pixels, clipping, digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.noise import Noise, Source, as_noise
from napari_stem_gan.degrade.scan import as_batch, per_image, smear
from napari_stem_gan.image import FloatImage

SERIES_ABOVE_E = 10.0


def count(expected: Tensor, source: Source = None) -> Tensor:
    """Draw Poisson counts of images ``(Y, X)`` or ``(B, 1, Y, X)``.

    Above 10 electrons by the Cornish-Fisher series to the fourth cumulant, rounded, which is several times faster: at
    10 electrons 0.2 % of the draws would be another number, and fewer above.

    References
    ----------
    .. [1] E. A. Cornish & R. A. Fisher, "Moments and cumulants in the specification of distributions",
       Rev. Inst. Int. Stat. 5, 307 (1938), doi:10.2307/1400905.
    """
    batch = expected if expected.ndim == 4 else expected[None, None]
    noise = as_noise(source, len(batch), batch.device)
    z = noise.normal("count", *batch.shape[1:])
    root = torch.sqrt(batch)
    counts = torch.round(batch + root * z + (z * z - 1) * (1 / 6 - z / (72 * root))).clamp(min=0)
    few = batch < SERIES_ABOVE_E
    if bool(few.any()):
        counts = torch.where(few, noise.poisson("few", torch.where(few, batch, torch.zeros_like(batch))), counts)
    return counts.reshape(expected.shape)


def row_lines(image: Tensor, fraction: Tensor, source: Source) -> Tensor:
    """Replace random stretches of rows by their mean times 0.5 to 1.5 (Lobato et al. 2023, eq. 51)."""
    height, width = image.shape[-2:]
    uniform = as_noise(source, len(image), image.device).uniform("lines", 4, height, 1)
    x = torch.arange(width, device=image.device, dtype=image.dtype).view(1, 1, 1, -1)
    start = uniform[:, 1:2] * width
    dead = (uniform[:, :1] < fraction) & (x >= start) & (x < start + uniform[:, 2:3] * width)
    mean = (image * dead).sum(dim=-1, keepdim=True) / dead.sum(dim=-1, keepdim=True).clamp(min=1)
    return torch.where(dead, mean * (0.5 + uniform[:, 3:4]), image)


def bad_pixels(image: Tensor, fraction: Tensor, source: Source) -> Tensor:
    """Blacken half of the bad pixels and let the other half flash (eqs 52, 53)."""
    uniform = as_noise(source, len(image), image.device).uniform("bad", *image.shape[1:])
    bright = 3 * image.amax(dim=(-2, -1), keepdim=True)
    image = torch.where(uniform < fraction / 2, torch.zeros_like(image), image)
    return torch.where(uniform > 1 - fraction / 2, bright, image)


def detect_electrons(
    image: Tensor,
    *,
    electrons_per_px: float | Tensor,
    config: DetectorConfig | Sequence[DetectorConfig],
    generator: Source = None,
) -> Tensor:
    """Turn the fraction of electrons that reach the detector into its output, in one frame (`frames.acquire`: several).

    Parameters
    ----------
    image
        Fraction of the incident electrons, at least 0, ``(Y, X)`` or ``(B, 1, Y, X)``.
    electrons_per_px
        Incident electrons in a pixel (dose × pixel area): a number, or ``(B, 1, 1, 1)``. It replaces
        the config's dose.
    config
        One config, or one per image.
    generator
        Source of randomness.

    Returns
    -------
    Tensor
        Detector output, same shape as `image`, in output units.
    """
    batch, configs = as_batch(image, config)
    noise = as_noise(generator, len(configs), batch.device)
    electrons = collect(batch * electrons_per_px, configs, noise)
    return digitise(spoil(electrons, configs, noise), configs).reshape(image.shape)


def collect(expected: Tensor, configs: Sequence[DetectorConfig], noise: Noise) -> Tensor:
    """One frame's electrons as the amplifier shows them, ``(B, 1, Y, X)``, for `expected` ones of the same shape."""

    def value(name: str) -> Tensor:
        return per_image(configs, name, expected)

    def rows(name: str) -> Tensor:
        return value(name) * noise.normal(name, 1, expected.shape[-2], 1)

    if any(config.row_noise for config in configs):
        expected = expected * (1 + rows("row_noise")).clamp(min=0)
    electrons = count(expected.clamp(min=0), noise)
    if any(config.pmt_spread or config.read_noise_e for config in configs):
        spread = torch.sqrt(electrons * value("pmt_spread") ** 2 + value("read_noise_e") ** 2)
        electrons = electrons + spread * noise.normal("amplifier", *expected.shape[1:])
    electrons = smear(electrons, value("tail_px"), value("tail_lorentzian"), torch.zeros_like(value("tail_px")))
    if any(config.row_offset_e for config in configs):
        electrons = electrons + rows("row_offset_e")
    return electrons


def spoil(electrons: Tensor, configs: Sequence[DetectorConfig], noise: Noise) -> Tensor:
    """Dead stretches of rows and bad pixels."""
    if any(config.row_line_fraction for config in configs):
        electrons = row_lines(electrons, per_image(configs, "row_line_fraction", electrons), noise)
    if any(config.bad_pixel_fraction for config in configs):
        electrons = bad_pixels(electrons, per_image(configs, "bad_pixel_fraction", electrons), noise)
    return electrons


def digitise(electrons: Tensor, configs: Sequence[DetectorConfig]) -> Tensor:
    """Clip, amplify and round electrons ``(B, 1, Y, X)``."""
    limit = per_image(configs, "saturation_e", electrons)
    clipped = torch.where(limit > 0, torch.minimum(electrons, limit), electrons)
    output = clipped * per_image(configs, "gain", electrons) + per_image(configs, "offset", electrons)
    step = per_image(configs, "quantisation", electrons)
    return torch.where(step > 0, torch.round(output / step.clamp(min=1e-30)) * step, output)


def apply_detector(
    image: FloatImage, pixel_size_A: float, config: DetectorConfig, rng: np.random.Generator
) -> FloatImage:
    """Detect one frame, a NumPy image ``(Y, X)`` of detected fractions, with the config's dose; `detect_electrons`."""
    if not pixel_size_A > 0:
        raise ValueError(f"pixel size must be positive, got {pixel_size_A}; give it in Å, e.g. 0.2")
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    electrons = config.dose_e_per_A2 * pixel_size_A**2
    result = detect_electrons(tensor, electrons_per_px=electrons, config=config, generator=Noise.of([rng]))
    return result.numpy().astype(np.float32)
