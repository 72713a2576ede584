"""Points against a truth: one-to-one matching, average precision, calibration error, confusion of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FAR = 1e6
BINS = 10
NOTHING = "none"


def evaluate_points(
    found_px: NDArray[np.float64], truth_px: NDArray[np.float64], radius_px: float
) -> tuple[int, int, int, list[float]]:
    """Match positions ``(N, 2)`` and ``(M, 2)``; return hits, false points, misses and the hits' distances in px."""
    rows, _, distances = assign(found_px, truth_px, radius_px)
    return len(rows), len(found_px) - len(rows), len(truth_px) - len(rows), [float(d) for d in distances]


def assign(
    found_px: NDArray[np.float64], truth_px: NDArray[np.float64], radius_px: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Best one-to-one (Hungarian) assignment within a radius: rows, columns and distances of the hits."""
    if not len(found_px) or not len(truth_px):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    distance = np.hypot(*(found_px[:, None] - truth_px[None]).transpose(2, 0, 1))
    rows, cols = linear_sum_assignment(np.where(distance <= radius_px, distance, FAR))
    hit = distance[rows, cols] <= radius_px
    return rows[hit], cols[hit], distance[rows, cols][hit]


def ranked_hits(
    found_px: NDArray[np.float64], confidence: NDArray[np.float64], truth_px: NDArray[np.float64], radius_px: float
) -> NDArray[np.bool_]:
    """Whether each point is a hit where the surest first takes the nearest free truth, shape ``(N,)``.

    So a hit does not depend on how many less sure points are kept, as average precision asks for.
    """
    hits, free = np.zeros(len(found_px), bool), np.ones(len(truth_px), bool)
    for row in np.argsort(-confidence, kind="stable"):
        distance = np.where(free, np.hypot(*(truth_px - found_px[row]).T), np.inf)
        near = int(distance.argmin()) if len(distance) else -1
        hits[row] = near >= 0 and distance[near] <= radius_px
        if hits[row]:
            free[near] = False
    return hits


def average_precision(confidence: NDArray[np.float64], hits: NDArray[np.bool_], true: int) -> float | None:
    """Area under precision over recall, no interpolation; None where there is nothing to find.

    Parameters
    ----------
    confidence
        Of each point, shape ``(N,)``.
    hits
        See `ranked_hits`, shape ``(N,)``.
    true
        Number of true defects. Those that no point lies at count as never found.
    """
    if not true:
        return None
    ranked = hits[np.argsort(-confidence, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1) * ranked).sum() / true)


def calibration_error(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> float | None:
    """Expected calibration error over ten bins of confidence; None without points.

    The mean over points of how far the share of hits in a bin is from its mean confidence.

    References
    ----------
    Guo et al., ICML 2017, arXiv:1706.04599, eq. 3.
    """
    if not len(confidence):
        return None
    bins = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    gaps = np.bincount(bins, confidence - hits, BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion(
    found_px: NDArray[np.float64],
    found_classes: NDArray[np.str_],
    truth_px: NDArray[np.float64],
    truth_classes: NDArray[np.str_],
    radius_px: float,
) -> Counter[tuple[str, str]]:
    """How often a true class was found as which, matched whatever the class; `NOTHING` for misses and false points."""
    rows, cols, _ = assign(found_px, truth_px, radius_px)
    pairs = Counter(zip(map(str, truth_classes[cols]), map(str, found_classes[rows]), strict=True))
    pairs.update((str(kind), NOTHING) for kind in np.delete(truth_classes, cols))
    pairs.update((NOTHING, str(kind)) for kind in np.delete(found_classes, rows))
    return pairs


@dataclass(frozen=True)
class Comparison:
    """Counts of one image, or, added up, of several.

    Parameters
    ----------
    hits, false, missed
        Of the one-to-one matching.
    distances_px
        Of the hits.
    confidence, ranked
        Of each point, and whether it is a hit by `ranked_hits`; shape ``(N,)``.
    pairs
        See `confusion`.
    """

    hits: int = 0
    false: int = 0
    missed: int = 0
    distances_px: tuple[float, ...] = ()
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    ranked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        found_px: NDArray[np.float64],
        confidence: NDArray[np.float64],
        truth_px: NDArray[np.float64],
        radius_px: float,
        pairs: Counter[tuple[str, str]] | None = None,
    ) -> Comparison:
        """Compare positions ``(N, 2)`` with true ones ``(M, 2)``; NaN as confidence: not known."""
        hits, false, missed, distances = evaluate_points(found_px, truth_px, radius_px)
        ranked = ranked_hits(found_px, confidence, truth_px, radius_px)
        return cls(hits, false, missed, tuple(distances), confidence, ranked, pairs or Counter())

    @staticmethod
    def total(parts: Iterable[Comparison]) -> Comparison:
        """All of several images."""
        every = list(parts)
        return Comparison(
            sum(p.hits for p in every), sum(p.false for p in every), sum(p.missed for p in every),
            tuple(d for p in every for d in p.distances_px),
            np.concatenate([np.zeros(0), *(p.confidence for p in every)]),
            np.concatenate([np.zeros(0, bool), *(p.ranked for p in every)]),
            sum((p.pairs for p in every), Counter()),
        )  # fmt: skip

    @property
    def average_precision(self) -> float | None:
        """See `average_precision`; None where a confidence is not known."""
        known = np.isfinite(self.confidence).all()
        return average_precision(self.confidence, self.ranked, self.hits + self.missed) if known else None

    @property
    def calibration_error(self) -> float | None:
        """See `calibration_error`; None where a confidence is not known."""
        return calibration_error(self.confidence, self.ranked) if np.isfinite(self.confidence).all() else None
