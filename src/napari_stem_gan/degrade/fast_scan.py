"""What the detector's and the amplifier's slow response does along the fast axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL_PX = 32


def fast_scan_kernel(length_px: Tensor, lorentzian: Tensor, ringing: Tensor) -> Tensor:
    """Make the detector's response along the fast axis: decay and damped oscillation (eqs 48, 49).

    Parameters
    ----------
    length_px, lorentzian, ringing
        Decay length in pixels, share of the Lorentzian in the decay, share of the oscillation, all ``(B, 1, 1, 1)``.

    Returns
    -------
    Tensor
        Causal kernels ``(B, KERNEL_PX)``, each of sum 1.
    """
    length = length_px.view(-1, 1).clamp(min=1e-3)
    x = torch.arange(KERNEL_PX, device=length.device, dtype=length.dtype)[None]
    slow, fast = 1 / (1 + (x / length) ** 2), torch.exp(-x / length)
    wave = torch.exp(-x / (2 * length)) * torch.cos(math.pi * x / (2 * length.clamp(min=1.0)))
    slow, fast, wave = (part / part.sum(dim=1, keepdim=True) for part in (slow, fast, wave))
    share, ring = lorentzian.view(-1, 1), ringing.view(-1, 1)
    return (1 - ring) * (share * slow + (1 - share) * fast) + ring * wave


def smear(image: Tensor, length_px: Tensor, lorentzian: Tensor, ringing: Tensor) -> Tensor:
    """Convolve along the fast axis with the detector's response and take out its mean delay.

    Parameters
    ----------
    image
        Images ``(B, 1, Y, X)``.
    length_px, lorentzian, ringing
        See `fast_scan_kernel`; a length of 0 leaves the image as it is.
    """
    if not bool((length_px > 0).any()):
        return image
    kernel = fast_scan_kernel(length_px, lorentzian, ringing)
    pad = min(KERNEL_PX, image.shape[-1] - 1)
    padded = F.pad(image, (pad, pad, 0, 0), mode="reflect")
    width = padded.shape[-1]
    delay = (kernel * torch.arange(KERNEL_PX, device=kernel.device, dtype=kernel.dtype)).sum(dim=1)  # (B,)
    frequency = torch.fft.rfftfreq(width, device=kernel.device)
    centre = torch.exp(2j * math.pi * frequency[None] * delay[:, None])
    response = (torch.fft.rfft(F.pad(kernel, (0, width))[:, :width], dim=1) * centre)[:, None, None]
    smeared = torch.fft.irfft(torch.fft.rfft(padded, dim=-1) * response, n=width, dim=-1)[..., pad : width - pad]
    return torch.where(length_px > 0, smeared, image)
