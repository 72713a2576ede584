"""The threshold that a session's own confidences call for: false and missed points in balance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_stem_gan.detect.config import BALANCED, Threshold
from napari_stem_gan.detect.known_answer import NO_BREAK
from napari_stem_gan.detect.statistics import probabilities
from napari_stem_gan.detect.table import PointTable

LEAST, MOST = 0.25, 0.5  # below, most points would be wrong; above, theory has nothing to gain
STEPS_PER_UNIT = 100  # what a user reads is what was used


@dataclass(frozen=True, kw_only=True)
class ExpectedScores:
    """What calibrated confidences themselves say of the points above a threshold.

    Parameters
    ----------
    threshold
        Lowest confidence of a point, 0 to 1.
    precision
        Share of the points that is expected to be right, 0 to 1; NaN without a point.
    recall
        Share of the defects among all candidates that is expected to be above the threshold, 0 to 1; NaN without any.
    f1
        Twice the expected number of right points over the expected number of points and defects, 0 to 1.
    """

    threshold: float
    precision: float
    recall: float
    f1: float

    @property
    def sentence(self) -> str:
        """E.g. ``expect 68 % of the points to be right, and 70 % of …``; no unit is wrapped."""
        if np.isnan(self.precision):
            return f"no candidate has a confidence of {self.threshold:.2f}"
        right, found = (f"{100 * share:.0f}{NO_BREAK}%" for share in (self.precision, self.recall))
        return f"expect {right} of the points to be right, and {found} of the candidates' defects among them"


def expected_scores(confidence: ArrayLike, threshold: float) -> ExpectedScores:
    """Precision, recall and F1 to expect of calling every candidate at or above a threshold a defect.

    Parameters
    ----------
    confidence
        Calibrated probability of every candidate, shape ``(N,)``, 0 to 1. Defects that are no candidate (confidence
        below 0.05) are not counted as missed.
    threshold
        Lowest confidence of a point, 0 to 1.
    """
    p = np.asarray(confidence, float)
    called, every = p[p >= threshold], float(p.sum())
    right = float(called.sum())
    nothing = float("nan")
    return ExpectedScores(
        threshold=threshold, precision=right / len(called) if len(called) else nothing,
        recall=right / every if every > 0 else nothing, f1=2 * right / (len(called) + every) if every > 0 else 0.0,
    )  # fmt: skip


def balanced_threshold(confidence: ArrayLike) -> float:
    """The threshold at which the expected F1 is highest: lower on faint images, about 0.5 on clear ones.

    Of the thresholds t = 0.25, 0.26, … 0.50 the one with the highest F1(t) = 2 Σ_{p ≥ t} p / (n_{p ≥ t} + Σ p), and of
    several such the highest. Without these limits it is half the F1 that can be reached, hence never above 0.5 [1]_;
    on faint images that may be so low that most points would be wrong.

    Parameters
    ----------
    confidence
        Calibrated probability of every candidate of all images of a session, shape ``(N,)``, 0 to 1; those that a user
        accepted have 1, those that were rejected 0 (see `statistics.probabilities`).

    Returns
    -------
    float
        0.25 to 0.5; 0.5 where there is no candidate.

    References
    ----------
    .. [1] Lipton, Elkan and Naryanaswamy, ECML PKDD 2014, LNCS 8725, 225, doi:10.1007/978-3-662-44851-9_15.
    """
    steps = range(round(MOST * STEPS_PER_UNIT), round(LEAST * STEPS_PER_UNIT) - 1, -1)
    return max((step / STEPS_PER_UNIT for step in steps), key=lambda t: expected_scores(confidence, t).f1)


def threshold_of(asked: Threshold, tables: Iterable[PointTable]) -> float:
    """The number that a threshold means for a session: itself, or the balanced one of all candidates.

    Parameters
    ----------
    asked
        0 to 1, or ``balanced``.
    tables
        All candidates of the session, in one table or several.
    """
    return balanced_threshold(session_probabilities(tables)) if asked == BALANCED else asked


def session_probabilities(tables: Iterable[PointTable]) -> NDArray[np.float64]:
    """Chance that each candidate of several tables is real: its confidence, or what the user decided; ``(N,)``."""
    return np.concatenate([np.zeros(0), *(probabilities(table) for table in tables)])
