"""Calibrate the fusion on simulated images, and score it on held-out ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.candidates import NEAR
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import CLASSES, Fusion, fit_fusion
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.image import LabelledImage

SETTINGS = DetectConfig()
UNSEEN, LEAST = 0.01, 1e-6  # probabilities: of a vacancy without a candidate, and the least that counts


@dataclass(frozen=True)
class SiteData:
    """Features and true classes of the candidates of one labelled image.

    Parameters
    ----------
    features
        Role ↦ ``(N, FEATURES)``.
    targets
        Role ↦ class index ``(N,)`` into `fusion.CLASSES`.
    missed
        True single anion vacancies that no candidate is near to.
    """

    features: Mapping[str, NDArray[np.float64]]
    targets: Mapping[str, NDArray[np.intp]]
    missed: int


def collect(finder: Finder, labelled: LabelledImage, *, alone: bool = False) -> SiteData:
    """Match a labelled image as a user's image is matched, and gather its candidates.

    Parameters
    ----------
    finder
        Its network is asked.
    labelled
        The image with its truth.
    alone
        Whether the network works as if no lattice were found; it does where none is.
    """
    image, material = labelled.image, get_material(labelled.parameters["material"])
    found = match(image, MatchConfig(material=material.key))
    if alone:
        found = replace(found, accepted=False)
    candidates = finder.candidates(image, found, SETTINGS)
    reach = NEAR * material.neighbour_distance_A / (found.pixel_size_A or image.pixel_size_A or 1.0)
    kinds = [kind_of(d, s) for d, s in zip(labelled.defects, labelled.sublattices, strict=True)]
    truth = np.full(len(candidates), "none", dtype="<U4")
    missed = sum(k == "V_X" for k in kinds)
    if len(candidates):
        distance, nearest = cKDTree(candidates.positions_px).query(labelled.positions_px.reshape(-1, 2))
        for kind, d, place in zip(kinds, distance, nearest, strict=True):
            if d <= reach and kind in CLASSES[candidates.roles[place]]:
                truth[place] = kind
                missed -= kind == "V_X"
    own = {role: candidates.roles == role for role in CLASSES}
    targets = {r: np.array([CLASSES[r].index(t) for t in truth[own[r]]], int) for r in CLASSES}
    return SiteData({r: candidates.features[own[r]] for r in CLASSES}, targets, missed)


def calibrated(start: Fusion | None, data: Sequence[SiteData], *, iterations: int = 120) -> Fusion:
    """Fit a fusion to the candidates of several images, starting from `start`."""
    if not data:
        raise ValueError("at least one simulated image must be given to calibrate; draw some")
    joined = {
        r: (np.concatenate([d.features[r] for d in data]), np.concatenate([d.targets[r] for d in data]))
        for r in CLASSES
    }
    return fit_fusion(joined, start=start, iterations=iterations)


@dataclass(frozen=True)
class Outcome:
    """How a fusion judges single anion vacancies on one or several images.

    Parameters
    ----------
    hits, false, missed
        Numbers of candidates at or above the threshold that are vacancies and that are none, and of other vacancies.
    loss
        Cross-entropy of the probability of a vacancy over all candidates, in nats; a vacancy that no candidate is near
        to counts as one that was given `UNSEEN`.
    """

    hits: int
    false: int
    missed: int
    loss: float

    def __add__(self, other: Outcome) -> Outcome:
        """Of both together."""
        return Outcome(
            self.hits + other.hits, self.false + other.false, self.missed + other.missed, self.loss + other.loss
        )

    @property
    def f1(self) -> float:
        """Twice the hits over twice the hits and all mistakes, 0 to 1."""
        return 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)


def outcome(fusion: Fusion, data: SiteData, *, threshold: float = 0.5) -> Outcome:
    """Judge the candidates of one image as a user's image is judged: with the shares of defects read from it."""
    total = Outcome(0, 0, data.missed, -data.missed * float(np.log(UNSEEN)))
    for role in ("anion", "alone"):
        if not len(data.targets[role]):
            continue
        odds = fusion.odds(data.features[role], role)
        probability = fusion.probabilities(data.features[role], role, odds)
        found = (probability[:, 1:].argmax(1) == 0) & (probability[:, 1] >= threshold)
        true = data.targets[role] == 1
        right = np.where(true, probability[:, 1], 1 - probability[:, 1])
        loss = -float(np.log(np.maximum(right, LEAST)).sum())
        total += Outcome(int((found & true).sum()), int((found & ~true).sum()), int((~found & true).sum()), loss)
    return total


def score(fusion: Fusion, data: Sequence[SiteData], *, threshold: float = 0.5) -> float:
    """F1 of single anion vacancies over the candidates of several images."""
    return sum((outcome(fusion, d, threshold=threshold) for d in data), Outcome(0, 0, 0, 0.0)).f1
