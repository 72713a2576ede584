"""How far the beam lags at the start of every row: columns' displacement against the distance from the row's start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.fit_lattice import LatticeImage, left_edge, middle
from napari_stem_gan.simulate.fit_scan import least_squares

EDGE_PX, STRIP_PX, CHUNKS = 256, 4, 16
LENGTHS_PX = np.geomspace(2.5, 50, 48)
LARGEST_PX = 4.0
LEAST_GAIN = 9.0  # of the log-likelihood: less is no evidence of a lag
STEPS = 2  # a lag of pixels moves columns farther than their slope reaches
FIRST_COLUMN = 2  # before it the scan repeats its first pixel
Float = NDArray[np.float64]


def fit_flyback(
    data: FloatImage, match: LatticeMatch, image: LatticeImage
) -> tuple[dict[str, float], dict[str, float]]:
    """Fit a lag that decays along the rows.

    Strips of columns are displaced against the lattice; what warp and strips have together is a uniform stretch, which
    belongs to the lattice, and the lag.

    Parameters
    ----------
    data
        The whole image ``(Y, X)``, whose rows start at its first column.
    match
        Its lattice and warp.
    image
        Its split middle.

    Returns
    -------
    tuple
        ``flyback_px`` and ``flyback_length_px`` (0 and the usual length where there is no evidence of a lag), and one
        standard error of each, by leaving out one sixteenth of the rows at a time.
    """
    width = min(EDGE_PX, data.shape[1]) // STRIP_PX * STRIP_PX
    edge = left_edge(data, match, image, width)
    place = (np.arange(width // STRIP_PX) + 0.5) * STRIP_PX - 0.5
    warped = _warped(data, match, place)
    used, shift = edge, np.zeros(width)
    for step in range(STEPS):
        sums = _strips(used)
        at_strips = shift.reshape(-1, STRIP_PX).mean(1) - warped
        lag, length, gain = _fitted(sums, at_strips, place)
        if gain < LEAST_GAIN or step == STEPS - 1:
            break
        shift = _shift(lag, length, np.arange(width), at_strips, place)
        used = edge.columns_displaced(shift)
    left_out = np.array([_fitted(_without(sums, c), at_strips, place)[:2] for c in range(CHUNKS)])
    error = np.hypot(np.sqrt((CHUNKS - 1) * left_out.var(0)), _scatter(sums, at_strips, place, lag, length))
    if gain < LEAST_GAIN or abs(lag) < 2 * error[0] or length < abs(lag):
        usual = ScanConfig()
        least = float(np.abs(left_out[:, 0]).max())
        none = {"flyback_px": 0.0, "flyback_length_px": usual.flyback_length_px}
        return none, {"flyback_px": max(float(error[0]), least), "flyback_length_px": float(LENGTHS_PX[-1])}
    errors = {"flyback_px": float(error[0]), "flyback_length_px": float(error[1])}
    return {"flyback_px": lag, "flyback_length_px": length}, errors


def _warped(data: FloatImage, match: LatticeMatch, place: Float) -> Float:
    """How far the warp displaces the strips along x, the mean over all rows."""
    if match.warp is None:
        return np.zeros(len(place))
    crop, (row, _) = middle(data)
    moved, _ = match.warp.over(np.arange(row, row + len(crop), dtype=float), place)
    return np.asarray(moved[1].mean(0), float)


def _strips(image: LatticeImage) -> tuple[Float, Float]:
    """Normal equations of every strip in every chunk of rows, ``(chunks, strips, 4, 4)`` and ``(chunks, strips, 4)``.

    Unknown are background, brightness of the lattice and displacement along y and x, as in `measure_rows`.
    """
    rows = len(image.data) // CHUNKS * CHUNKS
    rest = image.residual - image.background

    def cut(part: NDArray[np.float32]) -> NDArray[np.float32]:
        return part[:rows].reshape(CHUNKS, -1, part.shape[1] // STRIP_PX, STRIP_PX)

    parts = [cut(p) for p in (np.ones_like(rest), image.lattice, image.along_y, image.along_x)]
    matrix = np.empty((CHUNKS, parts[0].shape[2], 4, 4))
    for i in range(4):
        for j in range(i, 4):
            matrix[..., i, j] = matrix[..., j, i] = np.einsum("cysw,cysw->cs", parts[i], parts[j])
    right = np.stack([np.einsum("cysw,cysw->cs", p, cut(rest)) for p in parts], -1)
    return matrix, np.asarray(right, float)


def _without(sums: tuple[Float, Float], chunk: int) -> tuple[Float, Float]:
    return np.delete(sums[0], chunk, 0), np.delete(sums[1], chunk, 0)


def _displaced(sums: tuple[Float, Float], known: Float, place: Float) -> tuple[Float, Float, Float, Float]:
    """Displacement of every strip along x, what is known of it, its place, and the design of a uniform stretch.

    `known` is how far each strip is displaced already.
    """
    total, right = sums[0].sum(0), sums[1].sum(0)
    values, information = least_squares(total, right, 1e-3 * np.diagonal(total, axis1=-2, axis2=-1).mean(0))
    used = place > FIRST_COLUMN
    x = place[used]
    return (values[:, 3] + known)[used], information[used, 3], x, np.stack([np.ones_like(x), x / x.max()], 1)


def _scatter(sums: tuple[Float, Float], known: Float, place: Float, lag: float, length: float) -> Float:
    """Standard errors of lag and length from how the strips scatter, which all rows may have in common."""
    seen, weight, x, straight = _displaced(sums, known, place)
    fall = np.exp(-x / length)
    design = np.c_[straight, -fall, -lag * x / length**2 * fall]
    left, _ = _left(design[:, :3], seen, weight)
    matrix = design.T @ (design * weight[:, None])
    return np.sqrt(np.diag(np.linalg.pinv(matrix))[2:] * left / max(len(x) - 4, 1))


def _fitted(sums: tuple[Float, Float], known: Float, place: Float) -> tuple[float, float, float]:
    """Lag, length and gain in log-likelihood over a uniform stretch alone; see `_displaced`."""
    seen, weight, x, straight = _displaced(sums, known, place)
    misfit, _ = _left(straight, seen, weight)
    trials = [_left(np.c_[straight, -np.exp(-x / length)], seen, weight) for length in LENGTHS_PX]
    left = np.array([m for m, _ in trials])
    best = int(left.argmin())
    lag, length = float(trials[best][1][2]), _vertex(left)
    gain = 0.5 * (len(x) - 4) * float(np.log(misfit / max(left[best], 1e-30)))
    return (lag, length, gain) if abs(lag) < LARGEST_PX else (0.0, length, 0.0)


def _left(design: Float, seen: Float, weight: Float) -> tuple[float, Float]:
    """Weighted squares that a linear model leaves, and its parameters."""
    root = np.sqrt(weight)
    found = np.linalg.lstsq(design * root[:, None], seen * root, rcond=None)[0]
    return float((weight * (seen - design @ found) ** 2).sum()), np.asarray(found)


def _vertex(left: Float) -> float:
    """Length of the smallest misfit, by a parabola in its logarithm."""
    best = int(left.argmin())
    if not 0 < best < len(left) - 1:
        return float(LENGTHS_PX[best])
    before, here, after = left[best - 1 : best + 2]
    step = 0.5 * (before - after) / max(before - 2 * here + after, 1e-30)
    return float(LENGTHS_PX[best] * (LENGTHS_PX[1] / LENGTHS_PX[0]) ** step)


def _shift(lag: float, length: float, x: NDArray[np.int_], known: Float, place: Float) -> Float:
    """Displacement of every column that makes warp and lag together the lag alone."""
    return np.asarray(-lag * np.exp(-x / length) - np.interp(x, place, known))
