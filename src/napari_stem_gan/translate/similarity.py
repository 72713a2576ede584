"""How like today's images a set of translated simulations is: histograms and radial spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from napari_stem_gan.image import FloatImage
from napari_stem_gan.metrics import kl_divergence, radial_spectrum, standardise
from napari_stem_gan.translate.patches import tiles_of

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
    """

    kl: float
    radial: float

    def to_dict(self) -> dict[str, float]:
        """Return both distances for a report."""
        return asdict(self)

    def relative_to(self, other: Similarity) -> float:
        """Return the mean of both distances in units of the other's: below 1 is better than the other."""
        return 0.5 * (self.kl / max(other.kl, 1e-9) + self.radial / max(other.radial, 1e-9))


class Today:
    """Today's images, measured once.

    Parameters
    ----------
    images
        Real images ``(Y, X)``; large ones are cut into squares, of which a spread selection is used.
    """

    def __init__(self, images: Sequence[FloatImage]) -> None:
        self.side_px = min(SIDE_PX, *(min(image.shape) for image in images))
        self.tiles = _selection([tile for image in images for tile in tiles_of(image, self.side_px)])
        self.pixels = _pooled(self.tiles)
        self.spectrum = _mean_log_spectrum(self.tiles)

    def similarity(self, images: Sequence[FloatImage]) -> Similarity:
        """Return how far images ``(Y, X)`` are from today's."""
        tiles = _selection([tile for image in images for tile in tiles_of(image, self.side_px)])
        radial = float(np.sqrt(np.mean((_mean_log_spectrum(tiles) - self.spectrum) ** 2)))
        return Similarity(kl=kl_divergence(_pooled(tiles), self.pixels), radial=radial)


def _selection(tiles: list[FloatImage]) -> list[FloatImage]:
    """At most MAX_TILES, spread evenly."""
    if len(tiles) <= MAX_TILES:
        return tiles
    return [tiles[i] for i in np.linspace(0, len(tiles) - 1, MAX_TILES).astype(int)]


def _pooled(tiles: Sequence[FloatImage]) -> FloatImage:
    """Standardised pixels of all tiles, thinned to what a histogram needs."""
    step = max(1, sum(tile.size for tile in tiles) // MAX_PIXELS)
    return np.concatenate([standardise(tile).ravel()[::step] for tile in tiles]).astype(np.float32)


def _mean_log_spectrum(tiles: Sequence[FloatImage]) -> FloatImage:
    logs = [np.log10(radial_spectrum(standardise(tile), BINS) + 1e-12) for tile in tiles]
    return np.asarray(np.mean(logs, axis=0), dtype=np.float32)
