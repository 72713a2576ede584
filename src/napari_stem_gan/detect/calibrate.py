"""Calibrate the fusion on simulated images, and score it on held-out ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import CLASSES, Fusion, fit_fusion
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.image import LabelledImage

NEAR = 0.3  # of the neighbour distance: a defect belongs to the site it is this near
SETTINGS = DetectConfig()


@dataclass(frozen=True)
class SiteData:
    """Features and true classes of the sites of one labelled image.

    Parameters
    ----------
    features
        Role ↦ ``(N, FEATURES)``.
    targets
        Role ↦ class index ``(N,)`` into `fusion.CLASSES`.
    missed
        True single anion vacancies that no site is near to.
    """

    features: Mapping[str, NDArray[np.float64]]
    targets: Mapping[str, NDArray[np.intp]]
    missed: int


def collect(finder: Finder, labelled: LabelledImage) -> SiteData | None:
    """Match a labelled image as a user's image is matched, and gather its sites; None where no lattice is found."""
    image = labelled.image
    found = match(image, MatchConfig(material=labelled.parameters["material"]))
    if not found.accepted:
        return None
    sites, features = finder.site_features(image, found, SETTINGS)
    roles = np.array([c.role for c in sites.material.columns])[sites.column]
    reach = NEAR * sites.material.neighbour_distance_A / (found.pixel_size_A or 1.0)
    kinds = [kind_of(d, s) for d, s in zip(labelled.defects, labelled.sublattices, strict=True)]
    distance, nearest = cKDTree(sites.positions_px).query(labelled.positions_px.reshape(-1, 2))
    truth = np.full(len(sites), "none", dtype="<U4")
    for kind, d, site in zip(kinds, distance, nearest, strict=True):
        if d <= reach and kind in CLASSES[roles[site]]:
            truth[site] = kind
    missed = sum(k == "V_X" and d > reach for k, d in zip(kinds, distance, strict=True))
    targets = {r: np.array([classes.index(t) for t in truth[roles == r]], int) for r, classes in CLASSES.items()}
    return SiteData({r: features[roles == r] for r in CLASSES}, targets, missed)


def calibrated(start: Fusion | None, data: Sequence[SiteData | None], *, iterations: int = 300) -> Fusion:
    """Fit a fusion to the sites of several images, starting from `start`."""
    good = [d for d in data if d is not None]
    if not good:
        raise ValueError("at least one simulated image must be matched to calibrate; check the pixel size")
    joined = {
        r: (np.concatenate([d.features[r] for d in good]), np.concatenate([d.targets[r] for d in good]))
        for r in CLASSES
    }
    return fit_fusion(joined, start=start, iterations=iterations)


def score(fusion: Fusion, data: Sequence[SiteData | None], *, threshold: float = 0.5) -> float:
    """F1 of single anion vacancies over the sites of several images; images without a match count as 0 found."""
    hits = false = missed = 0
    for d in data:
        if d is None:
            continue
        probability = fusion.probabilities(d.features["anion"], "anion")
        found = (probability[:, 1:].argmax(1) == 0) & (probability[:, 1] >= threshold)
        true = d.targets["anion"] == 1
        hits += int((found & true).sum())
        false += int((found & ~true).sum())
        missed += int((~found & true).sum()) + d.missed
    return 2 * hits / max(2 * hits + false + missed, 1)
