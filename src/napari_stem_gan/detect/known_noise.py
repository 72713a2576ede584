"""What is left of an image without its lattice: defects, contamination as far as it is known, and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

RINGS, SIGNIFICANT = 64, 2.0
SMOOTH_RINGS = 1.0

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Contamination:
    """Contamination of one image as far as counting noise lets it be seen.

    Parameters
    ----------
    smooth
        Its best estimate (Wiener filter), ``(Y, X)``.
    open
        Standard deviation of what the noise hides, for each cosine of the image (orthonormal DCT), ``(Y, X)``.
    """

    smooth: Float
    open: Float

    def drawn(self, rng: np.random.Generator) -> Float:
        """A field that agrees with the image and has the contamination's whole power."""
        return np.asarray(self.smooth + fft.idctn(self.open * rng.normal(size=self.open.shape), norm="ortho"))


def contamination(
    rest: NDArray[np.floating], noise_variance: float, transfer: NDArray[np.complex128], band_limit_per_px: float
) -> Contamination:
    """Split what is left of an image into contamination and noise, by their spectra.

    A signal of power S under noise of power N is estimated with S / (S + N) of the amplitude, and what is not known of
    it has the power S N / (S + N). S is taken to be isotropic. Cosines instead of waves: no jump at the image's rim.

    Parameters
    ----------
    rest
        Contamination and noise, ``(Y, X)``.
    noise_variance
        Variance of the counting noise before the detector's decay.
    transfer
        What that decay does to frequencies of ``rfftfreq(2 X)``, the first X of them, ``(X,)``.
    band_limit_per_px
        The probe shows nothing beyond, in cycles per pixel.
    """
    mean = float(rest.mean(dtype=float))
    waves = fft.dctn(np.asarray(rest, float) - mean, norm="ortho")
    noise = np.broadcast_to(noise_variance * np.abs(transfer) ** 2, waves.shape)
    ky, kx = (np.arange(n) / (2 * n) for n in waves.shape)
    frequency = np.hypot(ky[:, None], kx[None])
    power = np.where(frequency < band_limit_per_px, _signal(waves**2, noise, frequency), 0.0)
    known = power / np.maximum(power + noise, 1e-30)
    return Contamination(mean + fft.idctn(known * waves, norm="ortho"), np.sqrt(known * noise))


def _signal(power: Float, noise: Float, frequency: Float) -> Float:
    """Power over the noise in rings of one frequency, 0 where it is not significant; fine rings at low frequencies."""
    ring = np.minimum((np.sqrt(frequency / 0.75) * RINGS).astype(int), RINGS - 1)
    count = np.maximum(np.bincount(ring.ravel(), minlength=RINGS), 1)
    excess = np.bincount(ring.ravel(), (power - noise).ravel(), RINGS) / count
    error = np.sqrt(2 / count) * np.bincount(ring.ravel(), noise.ravel(), RINGS) / count
    excess = np.where(excess > SIGNIFICANT * error, excess, 0.0)
    return np.asarray(ndimage.gaussian_filter1d(excess, SMOOTH_RINGS, mode="nearest")[ring])


def column_excess(
    rest: NDArray[np.floating], places_px: Float, probe: NDArray[np.floating], background_px: float
) -> Float:
    """How much brighter columns are than the lattice says, by joint least squares on what is left of the image.

    Parameters
    ----------
    rest
        Image without lattice, ``(Y, X)``.
    places_px
        Where the columns are, ``(N, 2)`` as (y, x).
    probe
        One column of unit weight in the middle of an odd square.
    background_px
        Gaussian width of what is taken for background on both.

    Returns
    -------
    NDArray
        Weights ``(N,)`` in units of the probe; below 0: darker.
    """
    shape = fine(probe, background_px)
    turned = shape[::-1, ::-1]  # correlation is convolution with the picture turned round
    along = signal.fftconvolve(fine(rest, background_px), turned, mode="same")
    right = ndimage.map_coordinates(along, places_px.T, order=3, mode="nearest")
    overlap = signal.fftconvolve(shape, turned, mode="full")
    apart = places_px[:, None] - places_px[None] + len(overlap) // 2
    gram = ndimage.map_coordinates(overlap, np.moveaxis(apart, -1, 0), order=3, mode="constant")
    return np.asarray(np.linalg.solve(gram + 1e-3 * float(overlap.max()) * np.eye(len(gram)), right))


def fine(image: NDArray[np.floating], background_px: float) -> Float:
    """An image without what is wider than a column."""
    image = np.asarray(image, float)
    return np.asarray(image - ndimage.gaussian_filter(image, background_px, truncate=3.0, mode="nearest"))
