"""The network's frame: every image resampled so that one lattice constant is 16 pixels, locally normalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.image import FloatImage

CONSTANT_PX = 16.0
SITE_SIGMA_PX = 2.0
CHANNELS = 4  # image, coarse image, anion sites, metal sites
LOCAL_PX = 16.0
WIDE_PX = 48.0


@dataclass(frozen=True)
class Frame:
    """Mapping between an image and the network's frame.

    Parameters
    ----------
    shape
        Height and width of the image.
    network_shape
        Height and width in the network's frame.
    """

    shape: tuple[int, int]
    network_shape: tuple[int, int]

    @property
    def zoom(self) -> NDArray[np.float64]:
        """Network pixels per image pixel, (y, x)."""
        return np.array(self.network_shape) / np.array(self.shape)

    def to_network(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions ``(N, 2)`` of the image in the network's frame."""
        return (np.asarray(positions_px) + 0.5) * self.zoom - 0.5

    def to_image(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions ``(N, 2)`` of the network's frame in the image."""
        return (np.asarray(positions_px) + 0.5) / self.zoom - 0.5


def make_frame(shape: tuple[int, int], constant_px: float) -> Frame:
    """Frame of an image whose lattice constant is `constant_px` pixels."""
    zoom = CONSTANT_PX / constant_px
    return Frame(shape, (max(16, round(shape[0] * zoom)), max(16, round(shape[1] * zoom))))


def resample(data: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """Resample an image to `shape` with antialiasing; pixel areas stay aligned."""
    if data.shape == shape:
        return data
    tensor = torch.from_numpy(np.ascontiguousarray(data, np.float32))[None, None]
    mode = "bicubic" if shape[0] >= data.shape[0] else "bilinear"
    return F.interpolate(tensor, shape, mode=mode, antialias=True, align_corners=False)[0, 0].numpy()


def network_input(data: FloatImage, frame: Frame, sites: Sites | None) -> NDArray[np.float32]:
    """Build the network's input.

    Parameters
    ----------
    data
        Image ``(Y, X)``, any brightness scale.
    frame
        From `make_frame`.
    sites
        Lattice sites in image pixels; None: the site channels are 0 and the network works alone.

    Returns
    -------
    NDArray
        Shape ``(4, y, x)``: image minus local mean, and local minus wide mean, both over the local contrast;
        anion sites; metal sites.
    """
    image = resample(data, frame.network_shape)
    local, wide = blur(image, LOCAL_PX), blur(image, WIDE_PX)
    fine = image - local
    spread = np.sqrt(blur(fine**2, WIDE_PX)) + 1e-6 * (float(np.abs(fine).max()) + 1e-12)
    channels = np.zeros((CHANNELS, *frame.network_shape), np.float32)
    channels[0] = np.clip(fine / spread, -6, 6)
    channels[1] = np.clip((local - wide) / spread, -6, 6)
    if sites is not None:
        roles = np.array([c.role for c in sites.material.columns])[sites.column]
        positions = frame.to_network(sites.positions_px)
        channels[2] = paint(frame.network_shape, positions[roles == "anion"])
        channels[3] = paint(frame.network_shape, positions[roles == "metal"])
    return channels


def paint(shape: tuple[int, int], positions_px: NDArray[np.float64], sigma_px: float = SITE_SIGMA_PX) -> FloatImage:
    """Unit Gaussians at positions ``(N, 2)``; where two overlap the larger counts."""
    image = np.zeros(shape, np.float32)
    reach = int(np.ceil(3 * sigma_px))
    offsets = np.arange(-reach, reach + 1)
    centre = np.rint(positions_px).astype(int)
    fraction = positions_px - centre
    profile = np.exp(-((offsets - fraction[..., None]) ** 2) / (2 * sigma_px**2)).astype(np.float32)  # (N, 2, K)
    values = profile[:, 0, :, None] * profile[:, 1, None, :]
    rows, cols = centre[:, 0, None] + offsets, centre[:, 1, None] + offsets
    rows, cols = np.broadcast_arrays(rows[:, :, None], cols[:, None, :])
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    np.maximum.at(image, (rows[inside], cols[inside]), values[inside])
    return image


def blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Wide Gaussian blur, done on a coarser grid; mirrored at the rim."""
    step = max(1, int(sigma_px // 4))
    tensor = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]
    pad = [(-n) % step for n in image.shape]
    coarse = F.avg_pool2d(F.pad(tensor, (0, pad[1], 0, pad[0]), mode="replicate"), step)
    coarse = _separable(coarse, sigma_px / step)
    size = (coarse.shape[2] * step, coarse.shape[3] * step)
    fine = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    return fine[0, 0, : image.shape[0], : image.shape[1]].numpy()


def _separable(tensor: Tensor, sigma: float) -> Tensor:
    """Gaussian convolution along both axes with replicated rims."""
    reach = int(np.ceil(2.5 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    tensor = F.conv2d(F.pad(tensor, (0, 0, reach, reach), mode="replicate"), kernel)
    return F.conv2d(F.pad(tensor, (reach, reach, 0, 0), mode="replicate"), kernel.transpose(2, 3))
