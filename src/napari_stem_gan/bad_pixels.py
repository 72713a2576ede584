"""Pixels that cannot be the image: hot and dead ones, zingers, dead lines, a saturated corner. Found, and filled in.

A probe spreads every atom over several pixels, so that a pixel far above all around it is no atom, however bright. What
noise does is read from the image: the chances of counting noise and of readout noise fall at least exponentially (both
are log-concave), so that what is `FAR` times as far out as one pixel in a thousand has a chance of 10⁻³ to the power
of `FAR`. An image without such pixels is returned as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.image import FloatImage, STEMImage

RARE, FAR = 1e-3, 5.0  # one pixel of 10¹⁵ is that far out by chance
STEEP = 3.0  # times the range of the pixels around: a column of 1.4 pixels' width rises as much, a wider one less
GROUP = 3  # pixels that are hot together
LEAST_LINE_PX, THICKEST_LINE_PX = 16, 3
LEAST_SIDE_PX = 32  # of a saturated part: wider than a column
BEYOND, MOST_BRIGHT = 100.0, 0.005  # times the range of the image without its brightest and darkest share
MOST_BAD = 0.25  # share of an image; where more seems bad, it is drawn that way
RIM_PX = 4  # how far into a bad part the pixels around it tell
ROUNDS = 8
AT_ONCE = 200_000
Mask = NDArray[np.bool_]
NEAR = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)])
NEXT = NEAR[np.abs(NEAR).max(1) == 1]


def mended(image: STEMImage) -> STEMImage:
    """The image with its bad pixels filled in; the same object where it has none, or little but them."""
    bad = bad_pixels(image.data)
    if not bad.any() or bad.mean() > MOST_BAD or np.ptp(image.data[~bad]) == 0:
        return image
    return replace(image, data=filled(image.data, bad))


def bad_pixels(data: FloatImage) -> Mask:
    """Find pixels that cannot be the image.

    Parameters
    ----------
    data
        Image ``(Y, X)`` of finite numbers, any brightness scale; columns at least 1.4 pixels wide.

    Returns
    -------
    NDArray
        True for single pixels (up to three together) above or below all that noise and columns reach, lines of one
        value up to three pixels thick, parts at the image's largest value, and whatever is a hundred times the image's
        range away; shape ``(Y, X)``.
    """
    bad = _lines(data) | _lines(np.ascontiguousarray(data.T)).T
    bad |= _lone(data)
    bad |= _saturated(data, bad)
    return np.asarray(bad | _beyond(data, bad))


def filled(data: FloatImage, bad: Mask) -> FloatImage:
    """The image with bad pixels as smooth as the rest allows; wide bad parts are even inside.

    Parameters
    ----------
    data, bad
        Image and its bad pixels, shape ``(Y, X)``.
    """
    from skimage.restoration import inpaint_biharmonic  # slow to load, and few images need it

    known = np.where(bad, np.median(data[~bad]), data).astype(float)
    near = bad & (ndimage.distance_transform_cdt(bad, "chessboard") <= RIM_PX)
    smooth = inpaint_biharmonic(known, near, split_into_regions=True)
    return np.where(bad, smooth, data).astype(np.float32)


def _lone(data: FloatImage) -> Mask:
    """Single pixels, brightest first: those that they outshone show when they are gone."""
    bad, left = np.zeros(data.shape, bool), data.copy()
    for _ in range(ROUNDS):
        found = np.concatenate([_peaks(left), _peaks(-left)])
        if not len(found):
            break
        bad[tuple(found.T)] = True
        left[tuple(found.T)] = np.median(_around(left, found, NEAR), axis=1)
    return bad


def _peaks(data: FloatImage) -> NDArray[np.intp]:
    """Pixels ``(N, 2)`` that stand higher over all but `GROUP` − 1 of their neighbours than noise and columns do."""
    index = _maxima(data)
    value, excess = data[tuple(index.T)], np.empty(len(index), data.dtype)
    for first in range(0, len(index), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        excess[part] = value[part] - np.partition(_around(data, index[part], NEXT), -GROUP, axis=1)[:, -GROUP]
    usual = _rare(excess, data.size)
    far = (excess > FAR * usual) & (usual > 0)
    index, excess = index[far], excess[far]
    around = np.sort(_around(data, index, NEAR), axis=1)
    return index[excess > STEEP * (around[:, -GROUP] - around[:, GROUP - 1])]


def _maxima(data: FloatImage) -> NDArray[np.intp]:
    """Pixels ``(N, 2)`` that none of their eight neighbours exceeds and one falls short of."""
    high, low = (_of_nine(data, choose) for choose in (np.maximum, np.minimum))
    return np.argwhere((data == high) & (data > low))


def _of_nine(data: FloatImage, choose: np.ufunc) -> FloatImage:
    """The largest or smallest of each pixel and its eight neighbours."""
    for after, before in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        chosen = data.copy()
        choose(chosen[after], data[before], out=chosen[after])
        choose(chosen[before], data[after], out=chosen[before])
        data = chosen
    return data


def _rare(values: NDArray[np.generic], count: int) -> float:
    """What `RARE` of `count` pixels reach; `values` holds the highest ones."""
    rank = max(1, round(RARE * count))
    return float(np.partition(values, -rank)[-rank]) if len(values) >= rank else 0.0


def _around(data: FloatImage, index: NDArray[np.intp], steps: NDArray[np.intp]) -> FloatImage:
    """Pixels at `steps` ``(K, 2)`` from each of some ``(N, 2)``, mirrored at the rim, ``(N, K)``."""
    last = np.array(data.shape) - 1
    y, x = np.moveaxis(last - np.abs(last - np.abs(index[:, None] + steps)), -1, 0)
    return data[y, x]


def _runs(equal: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Flat first pixels and lengths of runs of one value along rows; `equal`: the next pixel is the same."""
    flat = np.concatenate([[False], equal.ravel(), [False]])
    first, last = (np.flatnonzero(flat[a] & ~flat[b]) for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])))
    return first, last - first + 1


def _long_runs(data: FloatImage) -> Mask:
    """Pixels in runs of one value along rows that are longer than chance makes them."""
    equal = np.zeros(data.shape, bool)
    equal[:, :-1] = data[:, 1:] == data[:, :-1]
    first, length = _runs(equal)
    least = max(FAR * max(_rare(length, data.size), 1.0), LEAST_LINE_PX)
    step = np.zeros(data.size + 1, np.int8)
    step[first[length >= least]] += 1
    np.subtract.at(step, (first + length)[length >= least], 1)
    return np.asarray(step[:-1].cumsum(dtype=np.int8).reshape(data.shape) > 0)


def _lines(data: FloatImage) -> Mask:
    """Thin lines of one value along rows; wide areas of one value are vacuum, or saturated."""
    long = _long_runs(data)
    thick = ndimage.binary_opening(long, np.ones((THICKEST_LINE_PX + 1, 1), bool)) if long.any() else long
    return np.asarray(long & ~thick)


def _saturated(data: FloatImage, bad: Mask) -> Mask:
    """Connected parts at the largest value that are wider than columns."""
    highest = np.where(bad, -np.inf, data).max()
    full = (data == highest) & ~bad
    if full.sum() < LEAST_SIDE_PX**2:
        return np.zeros_like(full)
    part, _ = ndimage.label(full)
    wide = ndimage.binary_opening(full, np.ones((LEAST_SIDE_PX, LEAST_SIDE_PX), bool))
    return np.isin(part, np.unique(part[wide])) & full


def _beyond(data: FloatImage, bad: Mask) -> Mask:
    """What is out of all proportion."""
    kept = data[~bad]
    low, middle, high = np.quantile(kept, [MOST_BRIGHT, 0.5, 1 - MOST_BRIGHT]) if len(kept) else (0.0, 0.0, 0.0)
    above, below = BEYOND * max(high - middle, 0.0), BEYOND * max(middle - low, 0.0)
    return np.asarray(((above > 0) & (data - middle > above)) | ((below > 0) & (middle - data > below)))
