"""Bring each translated image to today's spectrum and histogram, with statistics of the whole image."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.image import FloatImage
from napari_stem_gan.tiles import tile_apply
from napari_stem_gan.translate.patches import spread_selection, tiles_of
from napari_stem_gan.translate.statistics import (
    FIT_SIDE_PX,
    Profile,
    SessionStatistics,
    Target,
    measure_spectrum,
    measure_tones,
    smooth,
    spectrum_ratio,
    tone_knots,
)

TILE_PX, OVERLAP_PX = 1024, 128
TRUST_PX = 192  # an image of this side is trusted half: its own statistics are too uncertain to be forced
GAIN_LIMITS = (0.5, 2.0)
MAX_TILES = 16
ROUNDS = 2


def match_image(image: FloatImage, target: Target, *, stop: threading.Event | None = None) -> FloatImage:
    """Return an image with the spectrum and histogram of today's images.

    A radial filter close to 1 and a monotone tone curve, fitted to this image: neither can
    move or plant a column. Small images are corrected in part only.

    Parameters
    ----------
    image
        Translated image ``(Y, X)``, normalised.
    target
        Today's images, measured.
    stop
        Ends the work within one tile by raising `training.Stopped`.
    """
    share = image.size / (image.size + TRUST_PX**2)
    for _ in range(ROUNDS):
        tiles = spread_selection(tiles_of(image, FIT_SIDE_PX), MAX_TILES)
        ratio = spectrum_ratio(measure_spectrum(tiles), target.spectrum)
        gain = smooth(np.sqrt(ratio)).clip(*GAIN_LIMITS) ** share
        image = _filtered(image, gain, stop)
        tiles = spread_selection(tiles_of(image, FIT_SIDE_PX), MAX_TILES)
        own = measure_tones(tiles)
        tone_in, tone_out = tone_knots(own, share * target.tones + (1 - share) * own)
        image = SessionStatistics(tone_in=tone_in, tone_out=tone_out).map_tones(image)
    return image


def _filtered(image: FloatImage, gain: Profile, stop: threading.Event | None) -> FloatImage:
    """Apply a radial filter tile by tile."""
    filter_ = replace(SessionStatistics.identity(), gain=gain)

    def function(tiles: Tensor) -> Tensor:
        return filter_.shape_spectrum(tiles, torch.zeros_like(tiles))

    planes = tile_apply(function, image, tile_px=TILE_PX, overlap_px=OVERLAP_PX, multiple=8, out_channels=1, stop=stop)
    filtered: FloatImage = planes[0]
    return filtered
