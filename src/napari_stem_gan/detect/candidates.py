"""Where a defect may be, and what is known of each place: the features that the fusion judges by.

On a lattice every site is a candidate, and so is every peak of the adatom map between the sites. Without a lattice the
peaks of all maps are the candidates, and the network works alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.adatoms import ADATOM_KIND
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.brightness import adatom_ratios, foreign_ratios
from napari_stem_gan.detect.frame import CONSTANT_PX, Frame
from napari_stem_gan.detect.fusion import FEATURES
from napari_stem_gan.detect.lattice_evidence import ERRORS, RATIOS, SiteEvidence
from napari_stem_gan.detect.order import hexagonal_order
from napari_stem_gan.detect.pedestal import HALF
from napari_stem_gan.image import FloatImage

SEARCH_PX, PEAK_PX = 5, 7
NEAR = 0.3  # of the neighbour distance: what is this near a site belongs to it
LOWEST_PEAK = 0.02
STRONG_PEAK, AROUND, MOST_AROUND = 0.3, 1.5, 2  # a score; in lattice constants; a second grain has ten
CERTAIN = 1e-5
ODDS = (-20, 20)  # logarithms
BETWEEN, ALONE = "between", "alone"
ADATOM = FINDER_CLASSES.index(ADATOM_KIND)


@dataclass(frozen=True)
class Heat:
    """What the network says of an image, in its own frame.

    Parameters
    ----------
    maps
        Probability of each class, shape ``(classes, y, x)``.
    disagreement
        Standard deviation over the averaged views of the likeliest class's probability, shape ``(y, x)``; 0 for a
        single view.
    planes
        The network's input, shape ``(4, y, x)``.
    """

    maps: NDArray[np.float32]
    disagreement: FloatImage
    planes: NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """Places that may be defects, all arrays of one length N.

    Parameters
    ----------
    positions_px
        Shape ``(N, 2)`` as (y, x) in image pixels.
    roles
        ``anion``, ``metal``, ``between`` (no site) or ``alone`` (no lattice); keys of `fusion.CLASSES`.
    sublattices
        Element of the site; '' where there is none.
    scores
        Network's probability of each class, shape ``(N, classes)``.
    disagreement
        Its standard deviation over views, for the likeliest class.
    features
        Shape ``(N, FEATURES)``.
    crystallinity
        0 where there is no crystal, about 1 in it.
    intensity_ratio, z_score
        Brightness over that of like neighbours (between sites: of metal columns), and how many spreads darker; NaN
        where there are none.
    """

    positions_px: NDArray[np.float64]
    roles: NDArray[np.str_]
    sublattices: NDArray[np.str_]
    scores: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    features: NDArray[np.float64]
    crystallinity: NDArray[np.float64]
    intensity_ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.roles)

    @staticmethod
    def joined(parts: Sequence[Candidates]) -> Candidates:
        """All of several, in order."""
        return Candidates(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Candidates)})


def at_sites(
    heat: Heat, frame: Frame, sites: Sites, evidence: SiteEvidence, crystallinity: NDArray[np.float64]
) -> Candidates:
    """Every lattice site, with the strongest scores near it and the lattice evidence."""
    columns = sites.material.columns
    scores, disagreement = _near(heat, frame.to_network(sites.positions_px))
    numbers = (
        np.clip(evidence.ratio, *RATIOS), np.clip(evidence.z_score, -15, 15), np.log(evidence.spread),
        np.clip(evidence.significance, -15, 30), np.clip(evidence.background, -3, 5), np.clip(crystallinity, 0, 1),
        np.log(np.clip(evidence.error, *ERRORS)), *(np.clip(evidence.odds_of(r), *ODDS) for r in (HALF, 0.0)),
        np.log(np.clip(evidence.misfit, 0.1, 100)), evidence.surroundings, *_other_atoms(sites, evidence),
    )  # fmt: skip
    return Candidates(
        sites.positions_px,
        np.array([c.role for c in columns], dtype="<U7")[sites.column],
        np.array([c.sublattice for c in columns], dtype="<U7")[sites.column],
        scores, disagreement, _features(scores, numbers), crystallinity, evidence.ratio, evidence.z_score,
    )  # fmt: skip


def _other_atoms(sites: Sites, evidence: SiteEvidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithm of how much likelier the brightness of each site is with a foreign atom, and with an adatom on top."""
    odds = np.zeros((2, len(sites)))
    for index in np.unique(sites.column):
        own, column = sites.column == index, sites.material.columns[index]
        for row, ratios in enumerate((foreign_ratios(column), adatom_ratios(column, sites.material))):
            odds[row, own] = evidence.where(own).odds_among(list(ratios.values()))
    foreign, adatom = np.clip(odds, *ODDS)
    return foreign, adatom


def between_sites(
    heat: Heat, frame: Frame, sites: Sites, crystallinity_at: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Candidates:
    """Peaks of the adatom map that lie on no site; where they crowd, another lattice than this one is there."""
    metal = np.array([c.role == "metal" for c in sites.material.columns])[sites.column]
    near_px = NEAR * sites.material.neighbour_distance_A / sites.material.constant_A * CONSTANT_PX
    peaks = _peaks(heat.maps[ADATOM])
    if len(sites) and len(peaks):
        peaks = peaks[cKDTree(frame.to_network(sites.positions_px)).query(peaks)[0] > near_px]
    fine = heat.planes[0]
    bright = float(np.median(_at(fine, frame.to_network(sites.positions_px[metal])))) if metal.any() else 1.0
    positions = frame.to_image(peaks)
    found = _peak_candidates(heat, peaks, positions, BETWEEN, crystallinity_at(positions), max(bright, 0.1))
    return replace(found, crystallinity=np.where(_crowded(peaks, found.scores[:, ADATOM]), 0.0, found.crystallinity))


def _crowded(peaks: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Peaks ``(N, 2)`` with more strong ones around them than single adatoms have."""
    strong = peaks[scores >= STRONG_PEAK]
    if len(strong) <= MOST_AROUND:
        return np.zeros(len(peaks), bool)
    around = cKDTree(strong).query_ball_point(peaks, AROUND * CONSTANT_PX, return_length=True)
    return np.asarray(around - (scores >= STRONG_PEAK) > MOST_AROUND)


def alone(heat: Heat, frame: Frame) -> Candidates:
    """Peaks of the strongest class, where no lattice was found; crystalline is where the surroundings have order."""
    peaks = _peaks(heat.maps.max(0))
    found = _peak_candidates(heat, peaks, frame.to_image(peaks), ALONE, np.ones(len(peaks)), np.nan)
    return replace(found, crystallinity=hexagonal_order(heat.planes[0], peaks))


def _peak_candidates(
    heat: Heat,
    peaks: NDArray[np.float64],
    positions_px: NDArray[np.float64],
    role: str,
    crystallinity: NDArray[np.float64],
    bright: float,
) -> Candidates:
    """Candidates at peaks ``(N, 2)`` of the network's frame: scores and local brightness."""
    scores, disagreement = _near(heat, peaks)
    fine, coarse = (_at(plane, peaks) for plane in heat.planes[:2])
    zero, count = np.zeros(len(peaks)), len(peaks)
    features = _features(scores, (fine, coarse, zero, zero, zero, np.clip(crystallinity, 0, 1), *(zero,) * 7))
    blank = np.full(count, np.nan)
    return Candidates(
        positions_px, np.full(count, role, "<U7"), np.full(count, "", "<U7"), scores, disagreement, features,
        crystallinity, fine / bright, blank,
    )  # fmt: skip


def _near(heat: Heat, places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest probability of each class ``(N, classes)`` and largest disagreement ``(N,)`` near places ``(N, 2)``."""
    steps = np.arange(SEARCH_PX) - SEARCH_PX // 2
    last = np.array(heat.disagreement.shape) - 1
    rows, cols = (np.clip(np.rint(places[:, [a]]).astype(int) + steps, 0, last[a]) for a in (0, 1))  # (N, S)
    where = (rows[:, :, None] * (last[1] + 1) + cols[:, None, :]).reshape(len(places), SEARCH_PX**2)
    scores = [m.ravel()[where].max(1) for m in (*heat.maps, heat.disagreement)]
    return np.stack(scores[:-1], 1).astype(float), scores[-1].astype(float)


def _features(scores: NDArray[np.float64], numbers: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Logits of all classes and thirteen numbers, shape ``(N, FEATURES)``."""
    clipped = np.clip(scores, CERTAIN, 1 - CERTAIN)
    features = np.concatenate([np.log(clipped / (1 - clipped)), np.stack(numbers, 1)], axis=1)
    assert features.shape[1] == FEATURES
    return features


def _peaks(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sub-pixel maxima of a map, shape ``(N, 2)``."""
    index = np.argwhere((ndimage.maximum_filter(heat, PEAK_PX) == heat) & (heat >= LOWEST_PEAK))
    return np.array([_centroid(heat, i) for i in index]).reshape(-1, 2)


def _centroid(image: NDArray[np.float32], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Centre of mass in 5×5 pixels around a peak."""
    y0, x0 = np.maximum(index - 2, 0)
    part = image[y0 : index[0] + 3, x0 : index[1] + 3].astype(float)
    yy, xx = np.mgrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
    return np.array([(part * yy).sum(), (part * xx).sum()]) / max(part.sum(), 1e-12)


def _at(image: FloatImage, places: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.clip(np.rint(places).astype(int), 0, np.array(image.shape) - 1)
    return np.asarray(image[index[:, 0], index[:, 1]], float)
