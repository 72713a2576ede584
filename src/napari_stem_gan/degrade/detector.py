"""The detector: counting, photomultiplier, readout, rows, bad pixels, clipping, digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.scan import as_batch, per_image, smear, torch_generator
from napari_stem_gan.image import FloatImage

NORMAL_ABOVE_E = 200.0


def count(expected: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw Poisson counts; far above 200 electrons a rounded normal draw is the same and faster."""
    if float(expected.min()) > NORMAL_ABOVE_E:
        noise = torch.randn(expected.shape, generator=generator, device=expected.device, dtype=expected.dtype)
        return torch.round(expected + torch.sqrt(expected) * noise)
    return torch.poisson(expected, generator=generator)


def row_lines(image: Tensor, fraction: Tensor, generator: torch.Generator | None) -> Tensor:
    """Replace random stretches of rows by their mean times 0.5 to 1.5 (Lobato et al. 2023, eq. 51)."""
    size, _, height, width = image.shape
    uniform = torch.rand(size, 4, height, 1, generator=generator, device=image.device, dtype=image.dtype)
    x = torch.arange(width, device=image.device, dtype=image.dtype).view(1, 1, 1, -1)
    start = uniform[:, 1:2] * width
    dead = (uniform[:, :1] < fraction) & (x >= start) & (x < start + uniform[:, 2:3] * width)
    mean = (image * dead).sum(dim=-1, keepdim=True) / dead.sum(dim=-1, keepdim=True).clamp(min=1)
    return torch.where(dead, mean * (0.5 + uniform[:, 3:4]), image)


def bad_pixels(image: Tensor, fraction: Tensor, generator: torch.Generator | None) -> Tensor:
    """Blacken half of the bad pixels and let the other half flash (eqs 52, 53)."""
    uniform = torch.rand(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    bright = 3 * image.amax(dim=(-2, -1), keepdim=True)
    image = torch.where(uniform < fraction / 2, torch.zeros_like(image), image)
    return torch.where(uniform > 1 - fraction / 2, bright, image)


def detect_electrons(
    image: Tensor,
    *,
    electrons_per_px: float | Tensor,
    config: DetectorConfig | Sequence[DetectorConfig],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Turn the fraction of electrons that reach the detector into its output.

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

    def value(name: str) -> Tensor:
        return per_image(configs, name, batch)

    expected = (batch * electrons_per_px).clamp(min=0)
    if bool((value("row_noise") > 0).any()):
        rows = torch.randn(*batch.shape[:3], 1, generator=generator, device=batch.device, dtype=batch.dtype)
        expected = expected * (1 + value("row_noise") * rows).clamp(min=0)
    electrons = count(expected, generator)
    spread = torch.sqrt(electrons * value("pmt_spread") ** 2 + value("read_noise_e") ** 2)
    if bool((spread > 0).any()):
        noise = torch.randn(batch.shape, generator=generator, device=batch.device, dtype=batch.dtype)
        electrons = electrons + spread * noise
    electrons = smear(electrons, value("tail_px"), value("tail_lorentzian"), torch.zeros_like(value("tail_px")))
    if bool((value("row_line_fraction") > 0).any()):
        electrons = row_lines(electrons, value("row_line_fraction"), generator)
    if bool((value("bad_pixel_fraction") > 0).any()):
        electrons = bad_pixels(electrons, value("bad_pixel_fraction"), generator)
    output = torch.minimum(electrons, value("saturation_e")) * value("gain") + value("offset")
    step = value("quantisation")
    output = torch.where(step > 0, torch.round(output / step.clamp(min=1e-30)) * step, output)
    return output.reshape(image.shape)


def apply_detector(
    image: FloatImage, pixel_size_A: float, config: DetectorConfig, rng: np.random.Generator
) -> FloatImage:
    """Detect a NumPy image ``(Y, X)`` of detected fractions with the config's dose; see `detect_electrons`."""
    if not pixel_size_A > 0:
        raise ValueError(f"pixel size must be positive, got {pixel_size_A}; give it in Å, e.g. 0.2")
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    electrons = config.dose_e_per_A2 * pixel_size_A**2
    result = detect_electrons(tensor, electrons_per_px=electrons, config=config, generator=torch_generator(rng))
    return result.numpy().astype(np.float32)
