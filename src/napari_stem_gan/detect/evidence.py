"""The evidence for one point: crops around it, what like places nearby look like, and a line through its column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.image import FloatImage

CROP, LINE = 1.6, 1.75  # half sides of crop and line, in distances between like sites
ALONE_PX = 24.0  # distance between like sites where no lattice is known
LIKE_PLACES = 36
FEWEST_LIKE = 6
MOST_SITES = 400  # around the point, of all sublattices
LINES, STEPS_PER_PX = 5, 2
NEIGHBOUR = 1.15  # of the nearest neighbour's distance: as near as that one
MAD_TO_SD = 1.4826
SMOOTH = 0.3  # sigma of the residual's smoothing, in widths of a column
LEAST_SCATTER = 1e-6  # of the brightness: what float32 rounds

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LineProfile:
    """Brightness along a line through the point and its neighbours, averaged over half a column's width.

    Parameters
    ----------
    distance_px
        Distance from the point along the line, shape ``(T,)``.
    ends_px
        Where the line begins and ends, shape ``(2, 2)`` as (y, x) in pixels of the image.
    values, usual, spread
        Brightness here (NaN beyond the image); median and robust standard deviation over like places (NaN without a
        lattice); shape ``(T,)``.
    """

    distance_px: Array
    ends_px: Array
    values: Array
    usual: Array
    spread: Array


@dataclass(frozen=True)
class PointEvidence:
    """What speaks for or against a point.

    Parameters
    ----------
    corner_px
        Pixel (y, x) of the image at the crops' first pixel.
    raw, restored
        Crops ``(S, S)``, NaN beyond the image; `restored` None: there is none.
    usual
        Local average: median over like places, brought to the same level; None without a lattice.
    residual
        Raw minus usual, smoothed by less than a column, in standard deviations of like places; None without a lattice.
    profile
        The line through the point.
    z_score
        How many standard deviations its column is darker than those of like places; NaN without a lattice.
    like_places
        How many like places there are.
    """

    corner_px: tuple[int, int]
    raw: Array
    restored: Array | None
    usual: Array | None
    residual: Array | None
    profile: LineProfile
    z_score: float
    like_places: int


def point_evidence(
    data: FloatImage,
    position_px: tuple[float, float],
    *,
    sites: Sites | None = None,
    fwhm_px: float = 4.0,
    restored: FloatImage | None = None,
) -> PointEvidence:
    """Gather the evidence for a point.

    Parameters
    ----------
    data
        Raw image ``(Y, X)``.
    position_px
        The point, (y, x).
    sites
        All lattice sites of the image; None: no lattice is known, and there are no like places.
    fwhm_px
        Width of a column.
    restored
        Restored image ``(Y, X)``.
    """
    here = np.asarray(position_px, float)
    spacing, like, along = (ALONE_PX, np.zeros((0, 2)), np.array([0.0, 1.0]))
    if sites is not None and len(sites):
        spacing, like = _like_places(sites, here, data.shape)
        along = _towards_neighbour(sites.positions_px, here)
    half = int(np.ceil(CROP * spacing))
    corner = np.rint(here).astype(int) - half
    raw = _crop(data, corner, 2 * half + 1)
    usual, residual, z = _against(data, raw, here, like, corner, fwhm_px)
    return PointEvidence(
        corner_px=(int(corner[0]), int(corner[1])),
        raw=raw, usual=usual, residual=residual, z_score=z, like_places=len(like),
        restored=None if restored is None else _crop(restored, corner, 2 * half + 1),
        profile=_profile(data, here, like, along, LINE * spacing, fwhm_px),
    )  # fmt: skip


def _like_places(sites: Sites, here: Array, shape: tuple[int, ...]) -> tuple[float, Array]:
    """Distance between like sites, and the places ``(K, 2)`` that lie to their site as `here` does to its."""
    near = np.argsort(np.linalg.norm(sites.positions_px - here, axis=1))[:MOST_SITES]
    own, column = sites.positions_px[near[0]], sites.column[near[0]]
    same = sites.positions_px[near[sites.column[near] == column]]
    around = np.sort(np.linalg.norm(same - own, axis=1))[1:7]
    spacing = float(np.median(around)) if len(around) else ALONE_PX
    places = same + (here - own)
    margin = LINE * spacing + 1
    whole = ((places >= margin) & (places <= np.array(shape) - 1 - margin)).all(1)
    others = places[whole & (np.linalg.norm(places - here, axis=1) > spacing / 2)]
    order = np.argsort(np.linalg.norm(others - here, axis=1))[:LIKE_PLACES]
    return spacing, others[order] if len(order) >= FEWEST_LIKE else np.zeros((0, 2))


def _towards_neighbour(positions_px: Array, here: Array) -> Array:
    """Unit vector (y, x) to one of the nearest neighbours, the one most nearly level."""
    away = positions_px - here
    distance = np.linalg.norm(away, axis=1)
    nearest = np.sort(distance)[:2]
    beside = distance > max(0.5 * nearest[-1], 1e-6)  # not the point's own site
    if not beside.any():
        return np.array([0.0, 1.0])
    near = np.flatnonzero(beside & (distance <= NEIGHBOUR * distance[beside].min()))
    unit = away[near] / distance[near, None]
    best = unit[np.abs(unit[:, 1]).argmax()]
    return np.asarray(best if best[1] >= 0 else -best)


def _crop(data: FloatImage, corner: NDArray[np.intp], side: int) -> Array:
    """Square of `side` pixels from `corner`, NaN beyond the image."""
    crop = np.full((side, side), np.nan)
    low, high = np.maximum(corner, 0), np.minimum(corner + side, data.shape)
    to, end = low - corner, high - corner
    if (high > low).all():
        crop[to[0] : end[0], to[1] : end[1]] = data[low[0] : high[0], low[1] : high[1]]
    return crop


def _against(
    data: FloatImage, raw: Array, here: Array, like: Array, corner: NDArray[np.intp], fwhm_px: float
) -> tuple[Array | None, Array | None, float]:
    """Average over like places, residual in standard deviations, and how much darker the point's column is."""
    if not len(like):
        return None, None, np.nan
    pixels = np.indices(raw.shape).reshape(2, -1).T + corner  # (S², 2)
    patches = _sampled(data, (pixels - here)[None] + like[:, None]).reshape(-1, *raw.shape)
    known = np.isfinite(raw)
    level = float(np.median(raw[known]))
    patches = patches - np.median(patches[:, known], axis=1)[:, None, None] + level
    usual = np.median(patches, axis=0)
    residual = _residual(raw, usual, patches, SMOOTH * fwhm_px)
    column = (np.linalg.norm(pixels - here, axis=1) <= fwhm_px / 2 + 0.5).reshape(raw.shape) & known
    if not column.any():
        return usual, residual, np.nan
    middle, scatter = _middle(patches[:, column].mean(1))
    return usual, residual, float((middle - raw[column].mean()) / max(float(scatter), _least_scatter(raw)))


def _residual(raw: Array, usual: Array, patches: Array, sigma_px: float) -> Array:
    """Raw minus usual in standard deviations of like places, after smoothing that leaves columns what they are."""
    here = ndimage.gaussian_filter(np.where(np.isfinite(raw), raw, usual) - usual, sigma_px)
    middle, spread = _middle(ndimage.gaussian_filter(patches - usual, (0, sigma_px, sigma_px)))
    least = _least_scatter(raw) + 0.1 * np.median(spread)
    return np.where(np.isfinite(raw), (here - middle) / np.maximum(spread, least), np.nan)


def _least_scatter(raw: Array) -> float:
    """The least standard deviation to divide by, in the image's own unit of brightness."""
    return float(LEAST_SCATTER * np.nanmax(np.abs(raw)) + np.finfo(np.float64).tiny)


def _profile(data: FloatImage, here: Array, like: Array, along: Array, reach_px: float, fwhm_px: float) -> LineProfile:
    """Lines beside each other through the point and through like places."""
    steps = int(np.ceil(reach_px * STEPS_PER_PX))
    distance = np.arange(-steps, steps + 1) / STEPS_PER_PX
    beside = np.linspace(-fwhm_px / 4, fwhm_px / 4, LINES)
    across = np.array([-along[1], along[0]])
    points = distance[:, None, None] * along + beside[None, :, None] * across  # (T, lines, 2)
    inside = ((here + points >= 0) & (here + points <= np.array(data.shape) - 1)).all((1, 2))
    values = np.where(inside, _sampled(data, here + points).mean(-1), np.nan)
    usual = spread = np.full(len(distance), np.nan)
    if len(like):
        lines = _sampled(data, like[:, None, None] + points[None]).mean(-1)  # (K, T)
        level = np.median(lines[:, inside], axis=1, keepdims=True) if inside.any() else 0.0
        lines = lines - level + (np.median(values[inside]) if inside.any() else 0.0)
        usual, spread = _middle(lines)
    ends = np.stack([here + distance[0] * along, here + distance[-1] * along])
    return LineProfile(distance, ends, values, usual, spread)


def _middle(values: Array) -> tuple[Array, Array]:
    """Median and robust standard deviation over the first axis."""
    median = np.median(values, axis=0)
    return median, MAD_TO_SD * np.median(np.abs(values - median), axis=0)


def _sampled(data: FloatImage, places_px: Array) -> Array:
    """Brightness at places ``(..., 2)``, interpolated with cubic splines in the part of the image that holds them."""
    flat = places_px.reshape(-1, 2)
    low = np.maximum(np.floor(flat.min(0)).astype(int) - 6, 0)
    high = np.minimum(np.ceil(flat.max(0)).astype(int) + 7, data.shape)
    part = np.asarray(data[low[0] : high[0], low[1] : high[1]], np.float64)
    values = ndimage.map_coordinates(part, (flat - low).T, order=3, mode="nearest")
    return np.asarray(values).reshape(places_px.shape[:-1])
