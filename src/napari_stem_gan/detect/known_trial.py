"""The known-answer test on a user's own image: plant vacancies, fill defects, ask the finder, count."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.known_images import FILLED, NEAR, Today, middle_of, planted, take_apart, without_defects
from napari_stem_gan.detect.points import LEAST_CRYSTALLINITY
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.prepare import prepare
from napari_stem_gan.simulate.fit import fit_session
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR

PLANTED_SHARE = 0.05  # of the sites that may be chosen
APART_CELLS = 1.5  # distance of planted vacancies from each other, from defects and from the rim
LIKELY = 0.3  # confidence of a point that is kept away from
SURE = 0.8  # confidence of the vacancies that tell how bright a column with one atom is
PAIR_LEFT, PAIR_LEFT_ERROR = 0.5 / PAIR_STACK_FACTOR, 0.03
RATIO_ERROR = 0.02  # of the brightness ratio beside its scatter: overlap with neighbours


def known_answer(
    finder: Finder,
    image: STEMImage,
    match: LatticeMatch,
    config: DetectConfig,
    rng: np.random.Generator,
    *,
    points: PointTable | None = None,
    stop: threading.Event | None = None,
) -> KnownAnswer:
    """Plant vacancies into the middle of an image and fill its defects, and see what a finder says of both.

    Parameters
    ----------
    finder
        Who is tested.
    image, match
        The raw image and its lattice.
    config
        As for `Finder.find`.
    rng
        Source of randomness.
    points
        What the finder found on the image, all candidates; None: it is asked.
    stop
        Ends within one tile.

    Returns
    -------
    KnownAnswer
        Where nothing can be planted (no lattice, no layer of few atoms, no room), its note says why.

    Raises
    ------
    Stopped
        If `stop` was set.
    """
    if not match.accepted:
        return KnownAnswer(note=f"'{image.name}' has no lattice")
    material = get_material(match.material)
    if material.layers > 1 or material.period_A or not any(c.role == "anion" for c in material.columns):
        return KnownAnswer(note=f"vacancies are planted into layers of one cell with anions, not into {material.label}")
    part, lattice, corner = middle_of(prepare(image).image, match)
    found = finder.find(part, lattice, config, stop=stop).points if points is None else _inside(points, part, corner)
    today = take_apart(part, lattice, fit_session(part, lattice), found)
    chosen = choose(today, found, rng)
    left = brightness_left(today, found.filter(FILLED))
    share = np.array([1 - left.get(c.sublattice, 0.0) for c in material.columns])[today.sites.column[chosen]]
    with_vacancies = finder.find(planted(today, chosen, share, rng), lattice, config, stop=stop)
    filled = finder.find(without_defects(today, rng), lattice, config, stop=stop)
    name = f"{image.name} [{image.frame}]" if image.frame else image.name
    counts = {"planted": len(chosen), "filled": len(today.filled)}
    details: dict[str, Any] = {"image": name, **counts, "brightness_left": left}
    confidence = _confidence(with_vacancies.points, today, chosen)
    area_nm2 = part.data.size * ((lattice.pixel_size_A or part.pixel_size_A or 1.0) / A_PER_NM) ** 2
    names = [f"V_{c.sublattice}" for c in material.columns if c.role == "anion"]
    single, false = (t.where(np.isin(t["defect"], names)) for t in (found, filled.points))
    return KnownAnswer(
        confidence, false["confidence"], area_nm2, (name,), details=(details,), found=single["confidence"]
    )


def _inside(points: PointTable, part: STEMImage, corner: tuple[int, int]) -> PointTable:
    """Points on a part of an image, in its pixels."""
    place = points.positions_px - np.array(corner)
    moved = replace(points, columns={**points.columns, "y_px": place[:, 0], "x_px": place[:, 1]})
    return moved.where(((place >= 0) & (place <= np.array(part.shape) - 1)).all(1))


def brightness_left(today: Today, points: PointTable) -> dict[str, float]:
    """What a column of each anion shows without one of its atoms, over that of a whole one.

    One of two atoms leaves 1 / (2 × 1.15) by multislice; sure vacancies of the image itself tell it better where there
    are many.

    Parameters
    ----------
    today
        The image, taken apart.
    points
        The points that were filled up, in the order of ``today.filled``.
    """
    pairs = {c.sublattice for c in today.sites.material.columns if c.role == "anion" and len(c.atoms) > 1}
    ratio = 1 + today.excess / np.maximum(today.weights(np.maximum(today.filled, 0)), 1e-30)
    left = {}
    for name in sorted(pairs):
        sure = (points["defect"] == f"V_{name}") & (points["confidence"] >= SURE) & (today.filled >= 0)
        known, prior, precision = ratio[sure], 1 / PAIR_LEFT_ERROR**2, 0.0
        if len(known) > 2:
            precision = 1 / (float(known.var(ddof=1)) / len(known) + RATIO_ERROR**2)
        mean = float(np.median(known)) if len(known) else PAIR_LEFT
        left[name] = float(np.clip((prior * PAIR_LEFT + precision * mean) / (prior + precision), 0, 1))
    return left


def choose(today: Today, points: PointTable, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of anion sites to plant vacancies at: random, in the crystal, far from defects, rim and each other."""
    sites, cell = today.sites, float(np.sqrt(abs(np.linalg.det(today.match.lattice_vectors_px))))
    apart = APART_CELLS * cell
    anion = np.array([c.role == "anion" for c in sites.material.columns])[sites.column]
    inside = ((sites.positions_px >= apart) & (sites.positions_px <= np.array(today.image.shape) - 1 - apart)).all(1)
    free = np.flatnonzero(anion & inside & _crystalline(today.match, sites))
    likely = points.filter(LIKELY).positions_px
    if len(likely) and len(free):
        free = free[cKDTree(likely).query(sites.positions_px[free])[0] >= apart]
    wanted = max(1, round(PLANTED_SHARE * len(free)))
    taken: list[int] = []
    for index in rng.permutation(free):
        away = sites.positions_px[taken] - sites.positions_px[index]
        if len(taken) < wanted and (not taken or (np.hypot(*away.T) >= apart).all()):
            taken.append(int(index))
    return np.array(taken, np.intp)


def _crystalline(match: LatticeMatch, sites: Sites) -> NDArray[np.bool_]:
    if match.warp is None:
        return np.ones(len(sites), bool)
    return np.asarray(match.warp.crystallinity_at(sites.positions_px) >= LEAST_CRYSTALLINITY)


def _confidence(points: PointTable, today: Today, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Confidence of the vacancy found at each planted site, 0 where there is none of its name."""
    names = np.array([f"V_{c.sublattice}" for c in today.sites.material.columns])
    reach = NEAR * today.neighbour_px
    confidence = np.zeros(len(chosen))
    for place, index in enumerate(chosen):
        near = np.hypot(*(points.positions_px - today.sites.positions_px[index]).T) <= reach
        same = near & (points["defect"] == names[today.sites.column[index]])
        confidence[place] = points["confidence"][same].max() if same.any() else 0.0
    return confidence
