"""From candidates to points: fused probability, its spread, and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.adatoms import ADATOM_KIND
from napari_stem_gan.crystal.defects import FINDER_CLASSES, defect_name
from napari_stem_gan.crystal.materials import Column, Material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect.brightness import brightness, foreign_ratios
from napari_stem_gan.detect.candidates import ALONE, BETWEEN, Candidates
from napari_stem_gan.detect.fusion import CLASSES, SITES, Fusion
from napari_stem_gan.detect.lattice_evidence import SiteEvidence

SURE, LARGEST_STEP = (0.01, 0.99), 3.0
LOWEST_CONFIDENCE = 0.05
LEAST_CRYSTALLINITY = 0.6  # at a rim, where columns end for no defect, half of a site's surroundings are crystal
FOREIGN = ("S_X", "S_M")
EMPTY, AROUND_EMPTY = ("V_M", "V_2X"), 0.85  # a column missing where order falls off is the crystal's end


@dataclass(frozen=True)
class Points:
    """Candidate defects of one image, all arrays of one length.

    Parameters
    ----------
    positions_px
        Shape ``(N, 2)`` as (y, x) in image pixels.
    kinds, defects
        Class of the finder, e.g. ``V_X``, and name, e.g. ``V_Se``.
    sublattices
        Sublattice of each point; of adatoms ``top`` or ``between``.
    confidence, network_score, intensity_ratio, z_score, confidence_spread
        Fused probability; the network's own score; brightness over its neighbours; how many spreads darker; how far
        the probability moves (one standard deviation) as the network's views disagree.
    """

    positions_px: NDArray[np.float64]
    kinds: NDArray[np.str_]
    defects: NDArray[np.str_]
    sublattices: NDArray[np.str_]
    confidence: NDArray[np.float64]
    network_score: NDArray[np.float64]
    intensity_ratio: NDArray[np.float64]
    z_score: NDArray[np.float64]
    confidence_spread: NDArray[np.float64]


def points_of(candidates: Candidates, fusion: Fusion, material: Material) -> Points:
    """Judge candidates by the fusion; keep those that may be defects."""
    kinds, confidence, spread = np.full(len(candidates), "", dtype="<U4"), *np.zeros((2, len(candidates)))
    for role, classes in CLASSES.items():
        own = np.flatnonzero(candidates.roles == role)
        if len(own):
            crystal = own[candidates.crystallinity[own] >= LEAST_CRYSTALLINITY]
            odds = fusion.odds(candidates.features[crystal], role)
            best = fusion.probabilities(candidates.features[own], role, odds)[:, 1:].argmax(1)
            kinds[own] = np.array(classes[1:])[best]
            confidence[own], spread[own] = _judged(candidates, own, role, best, (fusion, odds))
    index = np.array([FINDER_CLASSES.index(k) for k in kinds], int)
    keep = (confidence >= LOWEST_CONFIDENCE) & (candidates.crystallinity >= _needed(kinds))
    elements, names = _sublattices(candidates, kinds, material)
    ratio, network = candidates.intensity_ratio[keep], candidates.scores[keep, index[keep]]
    defects = names_of(kinds[keep], elements[keep], ratio, material)
    return Points(
        candidates.positions_px[keep], kinds[keep], defects, names[keep], confidence[keep], network,
        ratio, candidates.z_score[keep], spread[keep],
    )  # fmt: skip


def _needed(kinds: NDArray[np.str_]) -> NDArray[np.float64]:
    """Least crystallinity around a point of each kind."""
    return np.where(np.isin(kinds, EMPTY), AROUND_EMPTY, LEAST_CRYSTALLINITY)


def _judged(
    candidates: Candidates,
    own: NDArray[np.intp],
    role: str,
    best: NDArray[np.intp],
    judge: tuple[Fusion, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability of the likeliest class, and how far it moves when the network's score moves by its disagreement."""
    rows = np.arange(len(own))
    channel = np.array([FINDER_CLASSES.index(name) for name in CLASSES[role][1:]])[best]
    score = np.clip(candidates.scores[own, channel], *SURE)
    step = np.clip(candidates.disagreement[own] / (score * (1 - score)), 0, LARGEST_STEP)

    def probability(sign: float) -> NDArray[np.float64]:
        features = candidates.features[own].copy()
        features[rows, channel] += sign * step
        return np.asarray(judge[0].probabilities(features, role, judge[1])[rows, best + 1])

    return probability(0.0), np.abs(probability(1.0) - probability(-1.0)) / 2


def _sublattices(
    candidates: Candidates, kinds: NDArray[np.str_], material: Material
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Element of the site (without a lattice: that such a defect is on), and the same with what adatoms lie on."""
    element = {role: next((c.sublattice for c in material.columns if c.role == role), "") for role in SITES}
    guess = np.where(np.isin(kinds, ("V_M", "S_M")), element["metal"], element["anion"])
    adatom, on_site = kinds == ADATOM_KIND, np.isin(candidates.roles, SITES)
    elements = np.where((candidates.roles == ALONE) & ~adatom, guess, candidates.sublattices)
    return elements, np.where(adatom, np.where(on_site, "top", BETWEEN), elements)


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
    keep = (confidence >= LOWEST_CONFIDENCE) & (crystallinity >= _needed(kinds)) & visible[sites.column]
    blank = np.full(int(keep.sum()), np.nan)
    defects = names_of(kinds, names, evidence.ratio, sites.material)
    return Points(
        sites.positions_px[keep], kinds[keep], defects[keep], names[keep], confidence[keep],
        blank, evidence.ratio[keep], evidence.z_score[keep], blank,
    )  # fmt: skip


def names_of(
    kinds: Sequence[str] | NDArray[np.str_],
    elements: Sequence[str] | NDArray[np.str_],
    ratios: NDArray[np.float64],
    material: Material,
) -> NDArray[np.str_]:
    """Defect names as written to the CSV, e.g. ``V_Se``.

    A substitution is named after the element whose brightness comes nearest, e.g. ``Se_W`` (Se on W), an adatom after
    the element of the crystal whose does (``ad_W``); see `brightness`.

    Parameters
    ----------
    kinds
        Classes of the finder.
    elements
        Element of the site, '' between sites.
    ratios
        Brightness over that of like neighbours; between sites over that of metal columns.
    material
        The crystal.
    """
    rows = zip(kinds, elements, ratios, strict=True)
    return np.array([_name(str(k), str(e), float(r), material) for k, e, r in rows], dtype=str)


def _name(kind: str, element: str, ratio: float, material: Material) -> str:
    column = next((c for c in material.columns if c.sublattice == element), None)
    if kind == ADATOM_KIND:
        return f"ad_{_on_top(column, ratio, material)}"
    known = {} if column is None or kind not in FOREIGN else foreign_ratios(column)
    return defect_name(kind, element, _nearest(known, ratio))


def _on_top(column: Column | None, ratio: float, material: Material) -> str:
    """The crystal's element whose brightness comes nearest to what an adatom adds; its heaviest where none is known."""
    elements = sorted({atom for one in material.columns for atom in one.atoms}, key=lambda e: brightness((e,)))
    if not np.isfinite(ratio):
        return elements[-1]
    usual = brightness((elements[-1],) if column is None else column.atoms)
    lone = {e: brightness((e,)) / usual for e in elements}
    return _nearest(lone, ratio - (column is not None))


def _nearest(known: Mapping[str, float], ratio: float) -> str:
    """Element of the nearest brightness by factor: the faintest for none or less, the first where it is unknown."""
    if not known or np.isnan(ratio):
        return next(iter(known), "")
    return min(known, key=lambda e: abs(np.log(known[e] / ratio)) if ratio > 0 else known[e])
