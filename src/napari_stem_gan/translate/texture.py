"""Texture of small patches, quickly: what histograms and radial spectra do not see (directions, places)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.image import FloatImage

PATCH_PX = 64
STEPS_PX = (1, 4)
TINY = 1e-6

Features = NDArray[np.float64]


def texture_features(images: Sequence[FloatImage]) -> Features:
    """Return the features of all whole patches of images ``(Y, X)``, each standardised; shape ``(patches, 9)``.

    Features of a patch: log deviation, skewness, kurtosis, log mean gradients over 1 and 4 px along
    y and along x, and the log deviations of steps between rows and between columns.
    """
    return np.concatenate([_features(image) for image in images])


def texture_distance(features: Features, reference: Features) -> float:
    """Return the Fréchet distance of two sets of features, taken as independent, in spreads of the reference."""
    spread = np.maximum(reference.std(axis=0), 1e-3)
    shift = (features.mean(axis=0) - reference.mean(axis=0)) / spread
    width = features.std(axis=0) / spread - reference.std(axis=0) / spread
    return float(np.mean(shift**2 + width**2))


def _features(image: FloatImage) -> Features:
    side = min(PATCH_PX, *image.shape)
    rows, columns = (size // side for size in image.shape)
    x = (image - image.mean()) / max(float(image.std()), TINY)
    x = x[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    deviation = x.std(axis=(1, 2)) + TINY
    z = (x - x.mean(axis=(1, 2), keepdims=True)) / deviation[:, None, None]
    cube = z * z * z
    gradients = [_change(z, axis, step) for step in STEPS_PX for axis in (1, 2)]
    lines = [np.diff(z.mean(axis=axis), axis=1).std(axis=1) for axis in (2, 1)]
    moments = [np.log(deviation), cube.mean(axis=(1, 2)), (cube * z).mean(axis=(1, 2))]
    return np.stack([*moments, *(np.log(value + TINY) for value in (*gradients, *lines))], axis=1).astype(np.float64)


def _change(z: NDArray[np.floating], axis: int, step: int) -> NDArray[np.floating]:
    """Mean absolute change over `step` pixels along an axis, for each patch."""
    size = z.shape[axis]
    ahead, behind = (np.take(z, range(start, start + size - step), axis=axis) for start in (step, 0))
    change: NDArray[np.floating] = np.abs(ahead - behind).mean(axis=(1, 2))
    return change
