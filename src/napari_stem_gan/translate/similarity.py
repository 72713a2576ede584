"""How like today's images a set of translated simulations is: histograms and radial spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from napari_stem_gan.image import FloatImage
from napari_stem_gan.metrics import kl_divergence, radial_spectrum, standardise
from napari_stem_gan.translate.patches import spread_selection, tiles_of
from napari_stem_gan.translate.texture import texture_distance, texture_features

SIDE_PX = 512
MAX_TILES = 24
BINS = 64
MAX_PIXELS = 1_000_000


@dataclass(frozen=True)
class Similarity:
    """Distances of a set of images from today's; smaller is more alike.

    Parameters
    ----------
    kl
        Kullback–Leibler divergence of the pooled intensity histograms, each image standardised, in nats.
    radial
        Rms difference of the mean log10 radial spectra.
    texture
        Distance of the textures of 64-pixel patches (`texture.texture_distance`).
    """

    kl: float
    radial: float
    texture: float

    def to_dict(self) -> dict[str, float]:
        """Return the distances for a report."""
        return asdict(self)

    def relative_to(self, other: Similarity, *, floor: Similarity) -> float:
        """Return the mean distance in units of the other's: below 1 is better than the other.

        Parameters
        ----------
        other
            Distances to compare with.
        floor
            Distances of today's images among themselves; smaller differences mean nothing.
        """
        mine, theirs, limits = (np.array(list(item.to_dict().values())) for item in (self, other, floor))
        return float(np.mean((mine + limits) / np.maximum(theirs + limits, 1e-9)))


class Today:
    """Today's images, measured once.

    Parameters
    ----------
    images
        Real images ``(Y, X)``; large ones are cut into squares, of which a spread selection is used.
    """

    def __init__(self, images: Sequence[FloatImage]) -> None:
        self.side_px = min(SIDE_PX, *(min(image.shape) for image in images))
        self.tiles = spread_selection([tile for image in images for tile in tiles_of(image, self.side_px)], MAX_TILES)
        self.pixels = _pooled(self.tiles)
        self.spectrum = _mean_log_spectrum(self.tiles)
        self.texture = texture_features(self.tiles)

    @cached_property
    def floor(self) -> Similarity:
        """Distances of one half of today's squares from the other half; zero for a single square."""
        if len(self.tiles) < 2:
            return Similarity(0.0, 0.0, 0.0)
        return Today(self.tiles[::2]).similarity(self.tiles[1::2])

    def similarity(self, images: Sequence[FloatImage]) -> Similarity:
        """Return how far images ``(Y, X)`` are from today's."""
        tiles = spread_selection([tile for image in images for tile in tiles_of(image, self.side_px)], MAX_TILES)
        radial = float(np.sqrt(np.mean((_mean_log_spectrum(tiles) - self.spectrum) ** 2)))
        texture = texture_distance(texture_features(tiles), self.texture)
        return Similarity(kl=kl_divergence(_pooled(tiles), self.pixels), radial=radial, texture=texture)


def _pooled(tiles: Sequence[FloatImage]) -> FloatImage:
    """Standardised pixels of all tiles, thinned to what a histogram needs."""
    step = max(1, sum(tile.size for tile in tiles) // MAX_PIXELS)
    return np.concatenate([standardise(tile).ravel()[::step] for tile in tiles]).astype(np.float32)


def _mean_log_spectrum(tiles: Sequence[FloatImage]) -> FloatImage:
    logs = [np.log10(radial_spectrum(standardise(tile), BINS) + 1e-12) for tile in tiles]
    return np.asarray(np.mean(logs, axis=0), dtype=np.float32)
