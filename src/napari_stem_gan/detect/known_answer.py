"""What a known-answer test says: how many planted vacancies are found, and how many are false, by threshold.

False are those that are reported on the image without its defects, and of those on the image itself as many as their
confidences say: filling a place up also takes away the noise that made it look like a vacancy.

It speaks of vacancies alone. Contamination that looks like an adatom or a foreign atom is filled up with the defects,
so that the image without defects does not tell how many bright points are false.

The test itself is in `known_trial`, the images it is made on in `known_images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.detect.intervals import binomial_interval, poisson_interval

NO_BREAK = "\u00a0"  # a space that ties a number to its unit, so that a narrow panel does not part them
AREA_NM2 = 100.0
NOTHING = 1e-3  # false vacancies per 100 nm², one on 100 000 nm²
LEVEL = 0.95
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Expectation:
    """What to expect of the points above one threshold, with 95 % intervals.

    Parameters
    ----------
    threshold
        Lowest confidence of a point.
    found, found_low, found_high
        Share of single vacancies that are found, 0 to 1, and its Clopper-Pearson interval; NaN if none was planted.
    false_per_100nm2, false_low, false_high
        Single vacancies reported on 100 nm² where there is none, and the Garwood interval; NaN without any area.
    """

    threshold: float
    found: float
    found_low: float
    found_high: float
    false_per_100nm2: float
    false_low: float
    false_high: float

    @property
    def sentence(self) -> str:
        """E.g. ``expect 2 false vacancies per 100 nm² (0.7 to 5), 94 % found (88 to 98 %)``; no unit is wrapped."""
        false = f"{_number(self.false_per_100nm2)} false vacancies per 100{NO_BREAK}nm²"
        between = f"{_number(self.false_low)} to {_number(self.false_high)}"
        share = f"{_percent(self.found)}{NO_BREAK}% found ({_percent(self.found_low)} to {_percent(self.found_high)}"
        return f"expect {false} ({between}), {share}{NO_BREAK}%)"


@dataclass(frozen=True)
class KnownAnswer:
    """What a finder said of vacancies that were planted into today's images, and of the same images without defects.

    Parameters
    ----------
    planted
        Confidence of each planted vacancy, 0 where no point was there, shape ``(N,)``.
    false
        Confidence of each single vacancy reported on the images without defects, shape ``(M,)``.
    area_nm2
        Area of those images.
    found
        Confidence of each single vacancy found on the images themselves, shape ``(F,)``.
    images
        Their names.
    note
        Why nothing was planted, or an empty string.
    details
        What the test is about: the planted defect, the brightness it leaves, how many defects were filled up.
    """

    planted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    false: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    area_nm2: float = 0.0
    images: tuple[str, ...] = ()
    note: str = ""
    details: tuple[dict[str, Any], ...] = ()
    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @staticmethod
    def joined(parts: Sequence[KnownAnswer]) -> KnownAnswer:
        """All of several images; those on which nothing could be tested only if there is no other."""
        tested = [part for part in parts if part.area_nm2 > 0]
        if not tested:
            return KnownAnswer(note=next((part.note for part in parts), "no image was tested"))
        return KnownAnswer(
            np.concatenate([part.planted for part in tested]), np.concatenate([part.false for part in tested]),
            sum(part.area_nm2 for part in tested), tuple(name for part in tested for name in part.images),
            details=tuple(detail for part in tested for detail in part.details),
            found=np.concatenate([part.found for part in tested]),
        )  # fmt: skip

    def at(self, threshold: float) -> Expectation:
        """Recall and false points above a threshold; a count, so that a slider can follow."""
        hits, sure = int((self.planted >= threshold).sum()), self.found[self.found >= threshold]
        false = float((self.false >= threshold).sum() + (1 - sure).sum())
        share = hits / len(self.planted) if len(self.planted) else float("nan")
        low, high = (float(end) for end in binomial_interval(hits, len(self.planted), LEVEL))
        rate = AREA_NM2 / self.area_nm2 if self.area_nm2 > 0 else float("nan")
        fewest, most = (float(end) * rate for end in poisson_interval(false, LEVEL))
        return Expectation(threshold, share, low, high, false * rate, fewest, most)

    def sentence(self, threshold: float) -> str:
        """What to expect above a threshold, in one sentence; without a test, why there is none."""
        if not self.area_nm2 > 0:
            return f"no known-answer test: {self.note}"
        return self.at(threshold).sentence

    def to_dict(self, threshold: float) -> dict[str, Any]:
        """Plain values for JSON: the sentence and numbers at `threshold`, and the numbers at others."""
        if not self.area_nm2 > 0:
            return {"sentence": self.sentence(threshold)}
        return {
            "sentence": self.sentence(threshold),
            **_plain(self.at(threshold)),
            "planted": len(self.planted),
            "area_nm2": self.area_nm2,
            "images": list(self.images),
            "details": list(self.details),
            "by_threshold": [_plain(self.at(value)) for value in THRESHOLDS],
        }


def _plain(expected: Expectation) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in asdict(expected).items()}


def _number(value: float) -> str:
    """Two digits, whole numbers above 10, and 0 for what is next to nothing."""
    if np.isnan(value):
        return "unknown"
    return f"{value:.0f}" if value >= 10 or value < NOTHING else f"{value:.2g}"


def _percent(share: float) -> str:
    return "?" if np.isnan(share) else f"{100 * share:.0f}"
