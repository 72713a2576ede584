"""From heat maps and lattice sites to points: features per site, peaks without a lattice, names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_stem_gan.crystal.cell import column_brightness
from napari_stem_gan.crystal.defects import ANION_FOREIGN, FINDER_CLASSES, METAL_FOREIGN, defect_name
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.frame import Frame
from napari_stem_gan.detect.fusion import CLASSES, FEATURES, Fusion
from napari_stem_gan.detect.lattice_evidence import SiteEvidence

SEARCH_PX = 5
LOWEST_CONFIDENCE = 0.05
LEAST_CRYSTALLINITY = 0.3


@dataclass(frozen=True)
class Points:
    """Candidate defects of one image, all arrays of one length.

    Parameters
    ----------
    positions_px
        Shape ``(N, 2)`` as (y, x) in image pixels.
    kinds
        Class of the finder, e.g. ``V_X``.
    sublattices
        Sublattice of each point.
    confidence, network_score, intensity_ratio, z_score
        Fused probability; the network's own score; brightness over its neighbours; how many spreads darker.
    """

    positions_px: NDArray[np.float64]
    kinds: NDArray[np.str_]
    sublattices: NDArray[np.str_]
    confidence: NDArray[np.float64]
    network_score: NDArray[np.float64]
    intensity_ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]


def site_scores(heat: NDArray[np.float32], frame: Frame, sites: Sites) -> NDArray[np.float64]:
    """Largest heat of every class near every site, shape ``(N, classes)``."""
    index = np.clip(np.rint(frame.to_network(sites.positions_px)).astype(int), 0, np.array(heat.shape[1:]) - 1)
    near = [ndimage.maximum_filter(h, SEARCH_PX)[index[:, 0], index[:, 1]] for h in heat]
    return np.stack(near, 1).astype(float)


def site_features(
    scores: NDArray[np.float64], evidence: SiteEvidence, crystallinity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Features ``(N, FEATURES)`` of the fusion: five logits and five numbers of the lattice evidence."""
    clipped = np.clip(scores, 1e-5, 1 - 1e-5)
    features = np.concatenate(
        [
            np.log(clipped / (1 - clipped)),
            np.clip(evidence.ratio, -1, 3)[:, None],
            np.clip(evidence.z_score, -15, 15)[:, None],
            np.log(evidence.spread)[:, None],
            np.clip(evidence.background, -3, 5)[:, None],
            np.clip(crystallinity, 0, 2)[:, None],
        ],
        axis=1,
    )
    assert features.shape[1] == FEATURES
    return features


def points_at_sites(
    sites: Sites,
    scores: NDArray[np.float64],
    evidence: SiteEvidence,
    crystallinity: NDArray[np.float64],
    fusion: Fusion,
) -> Points:
    """Fuse network and evidence on every site; keep those that may be defects."""
    roles = np.array([c.role for c in sites.material.columns])[sites.column]
    names = np.array([c.sublattice for c in sites.material.columns])[sites.column]
    features = site_features(scores, evidence, crystallinity)
    kinds, confidence = np.full(len(sites), "", dtype="<U4"), np.zeros(len(sites))
    for role, classes in CLASSES.items():
        own = np.flatnonzero(roles == role)
        if len(own):
            probability = fusion.probabilities(features[own], role)[:, 1:]
            best = probability.argmax(1)
            kinds[own] = np.array(classes[1:])[best]
            confidence[own] = probability[np.arange(len(own)), best]
    network = scores[np.arange(len(sites)), [FINDER_CLASSES.index(k) if k else 0 for k in kinds]]
    keep = (confidence >= LOWEST_CONFIDENCE) & (crystallinity >= LEAST_CRYSTALLINITY)
    return Points(
        sites.positions_px[keep], kinds[keep], names[keep], confidence[keep],
        network[keep], evidence.ratio[keep], evidence.z_score[keep],
    )  # fmt: skip


def points_by_evidence(sites: Sites, evidence: SiteEvidence, crystallinity: NDArray[np.float64]) -> Points:
    """Vacancies by lattice evidence alone, for crystals that the network was not trained on."""
    roles = np.array([c.role for c in sites.material.columns])[sites.column]
    names = np.array([c.sublattice for c in sites.material.columns])[sites.column]
    sizes = np.array([len(c.atoms) for c in sites.material.columns])[sites.column]
    visible = np.array([c.sublattice != "O" or sites.material.family != "oxide" for c in sites.material.columns])
    depth = np.minimum(evidence.z_score - 5.0, 12 * (0.75 - evidence.ratio))
    confidence = 1 / (1 + np.exp(-np.clip(depth, -30, 30)))
    double = (sizes > 1) & (evidence.ratio < 0.22) & (roles == "anion")
    kinds = np.where(roles == "metal", "V_M", np.where(double, "V_2X", "V_X"))
    keep = (confidence >= LOWEST_CONFIDENCE) & (crystallinity >= LEAST_CRYSTALLINITY) & visible[sites.column]
    blank = np.full(int(keep.sum()), np.nan)
    return Points(
        sites.positions_px[keep], kinds[keep], names[keep], confidence[keep],
        blank, evidence.ratio[keep], evidence.z_score[keep],
    )  # fmt: skip


def points_at_peaks(heat: NDArray[np.float32], frame: Frame, material: Material) -> Points:
    """Peaks of the heat maps, where no lattice was found and the network works alone."""
    strongest = heat.max(0)
    peak = (ndimage.maximum_filter(strongest, 7) == strongest) & (strongest >= LOWEST_CONFIDENCE)
    index = np.argwhere(peak)
    best = heat[:, index[:, 0], index[:, 1]].argmax(0)
    kinds = np.array(FINDER_CLASSES)[best].astype("<U4")
    element = {role: next(c.sublattice for c in material.columns if c.role == role) for role in ("anion", "metal")}
    names = np.array([element["metal" if k in ("V_M", "S_M") else "anion"] for k in kinds], dtype="<U2")
    score = strongest[index[:, 0], index[:, 1]].astype(float)
    exact = np.array([_centroid(strongest, i) for i in index]).reshape(-1, 2)
    blank = np.full(len(index), np.nan)
    return Points(frame.to_image(exact), kinds, names, score, score, blank, blank)


def _centroid(image: NDArray[np.float32], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Centre of mass in 5×5 pixels around a peak."""
    y0, x0 = np.maximum(index - 2, 0)
    part = image[y0 : index[0] + 3, x0 : index[1] + 3].astype(float)
    yy, xx = np.mgrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
    return np.array([(part * yy).sum(), (part * xx).sum()]) / max(part.sum(), 1e-12)


def names_of(points: Points) -> list[str]:
    """Defect names as written to the CSV, e.g. ``V_Se``.

    A substitution is named after the element whose brightness comes nearest, e.g. ``Se_W`` (Se on W).
    """
    rows = zip(points.kinds, points.sublattices, points.intensity_ratio, strict=True)
    return [defect_name(str(k), str(s), _foreign(str(k), str(s), float(r))) for k, s, r in rows]


def _foreign(kind: str, element: str, ratio: float) -> str:
    """Element of a substitution by the brightness of its column; '' for vacancies or without a ratio."""
    table = {"S_X": ANION_FOREIGN, "S_M": METAL_FOREIGN}.get(kind, {})
    choices = table.get(element, ())
    if not choices or not ratio > 0:
        return choices[0] if choices else ""
    rest = (element,) if kind == "S_X" else ()
    whole = column_brightness((element, *rest))
    return min(choices, key=lambda f: abs(np.log(column_brightness((f, *rest)) / whole / ratio)))
