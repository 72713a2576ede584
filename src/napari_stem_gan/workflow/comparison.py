"""Which of several finders is kept after adaptation, and whether what is kept is any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stem_gan.simulate.config import SimulateConfig

if TYPE_CHECKING:
    from napari_stem_gan.detect.calibrate import Outcome, SiteData
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.detect.fusion import Fusion
    from napari_stem_gan.simulate.fit import SessionFit

SHIPPED, TODAY = "as shipped", ", calibrated today"
FEWEST_PAIRS = FOLDS = 3
POOR_F1 = 2 / 3
"""Below it a finder makes more mistakes than hits: F1 = 2 h / (2 h + e) of h hits and e missed and false vacancies is
less than 2/3 just where e > h. That holds whenever recall or precision is below one half."""


def best_finder(
    candidates: Mapping[str, Finder],
    data: Mapping[str, Sequence[SiteData]],
    report: dict[str, Any],
    *,
    pairs: int | None = None,
) -> Finder:
    """The candidate with the truest confidences on pairs it was not fitted to, calibrated today or not.

    Every candidate is judged on all pairs: calibrated on two thirds of them, on the others, in turn. What counts is the
    cross-entropy of the confidence of single vacancies, to which every site adds: F1 hangs on a few dozen of them. The
    shipped finder stays unless it is beaten by more than the standard error of the difference from pair to pair.

    Parameters
    ----------
    candidates
        Finders by name, the shipped one among them.
    data
        For each of them what it sees on the same labelled pairs.
    report
        Gets a sentence (``finder``), F1 and cross-entropy per vacancy of all (``held_out_f1``, ``held_out_loss``), and
        the F1 of the one that is kept (``kept_f1``).
    pairs
        How many of the data are simulated pairs, the first ones; the rest are the user's decisions, which count in the
        choice alone: users decide on what is unsure, so that F1 there is low for any finder. None: all.
    """
    from napari_stem_gan.detect.calibrate import calibrated

    shipped, pairs = candidates[SHIPPED], len(data[SHIPPED]) if pairs is None else pairs
    count = sum(map(vacancies, data[SHIPPED][:pairs]))
    if pairs < FEWEST_PAIRS:
        report["finder"] = "the shipped finder is kept: there was no time to compare"
        return shipped
    if not count:
        report["finder"] = "the shipped finder is kept: no vacancies on the held-out pairs to compare by"
        return shipped
    outcomes = {
        name + suffix: judge(finder.fusion, data[name])
        for name, finder in candidates.items() for suffix, judge in (("", _plain), (TODAY, _calibrated))
    }  # fmt: skip
    totals = {name: sum(seen[1:pairs], seen[0]) for name, seen in outcomes.items()}
    f1, loss = {n: one.f1 for n, one in totals.items()}, {n: one.loss / count for n, one in totals.items()}
    best = _best(outcomes)
    report["held_out_f1"] = {name: round(value, 4) for name, value in f1.items()}
    report["held_out_loss"] = {name: round(value, 4) for name, value in loss.items()}
    report["kept_f1"], report["finder"] = round(f1[best], 4), _verdict(best, f1, loss)
    name = best.removesuffix(TODAY)
    chosen = candidates[name]
    return chosen if name == best else chosen.with_fusion(calibrated(chosen.fusion, data[name]))


def _plain(fusion: Fusion, data: Sequence[SiteData]) -> list[Outcome]:
    """How a fusion judges each pair."""
    from napari_stem_gan.detect.calibrate import outcome

    return [outcome(fusion, one) for one in data]


def _calibrated(fusion: Fusion, data: Sequence[SiteData]) -> list[Outcome]:
    """How it judges each pair after calibration on those of the other two thirds."""
    from napari_stem_gan.detect.calibrate import calibrated, outcome

    fitted = [calibrated(fusion, [d for i, d in enumerate(data) if i % FOLDS != fold]) for fold in range(FOLDS)]
    return [outcome(fitted[i % FOLDS], one) for i, one in enumerate(data)]


def _best(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Name of the least loss of those that beat the shipped finder by more than a standard error; it, if none does."""
    shipped = np.array([one.loss for one in outcomes[SHIPPED]])
    gains = {name: shipped - np.array([one.loss for one in seen]) for name, seen in outcomes.items()}
    better = {n: float(g.mean()) for n, g in gains.items() if g.mean() > g.std(ddof=1) / np.sqrt(len(g))}
    return max(better, key=lambda name: better[name], default=SHIPPED)


def _verdict(best: str, f1: Mapping[str, float], loss: Mapping[str, float]) -> str:
    """Which finder is kept and why, in one sentence."""
    if best == SHIPPED:
        return f"finder {best}: F1 {f1[best]:.3f} on held-out pairs, and no other's confidences are truer beyond chance"
    return (
        f"finder {best}: F1 {f1[best]:.3f} on held-out pairs, {f1[SHIPPED]:.3f} as shipped; its confidences are truer "
        f"(cross-entropy {loss[best]:.3g} per vacancy, {loss[SHIPPED]:.3g} as shipped)"
    )


def vacancies(data: SiteData) -> int:
    """Number of true single anion vacancies on one labelled image."""
    return data.missed + sum(int((data.targets[role] == 1).sum()) for role in ("anion", "alone"))


def poor_warning(f1: float | None, fits: Sequence[SessionFit], config: SimulateConfig) -> str:
    """What to say of a finder that makes more mistakes than hits, and why that may be; empty for a better one.

    Parameters
    ----------
    f1
        Of the finder that is kept, on held-out pairs of today; None where it is not known.
    fits
        What was measured on today's images.
    config
        How the pairs were simulated; numbers that were set by hand are named.
    """
    if f1 is None or f1 >= POOR_F1:
        return ""
    dose = config.instrument.dose_e_per_A2 or float(np.median([fit.detector.dose_e_per_A2 for fit in fits]))
    typed = [f"{name} {value:g}" for name, value in config.instrument.by_hand().items()]
    typed += [f"aberrations {config.aberrations}"] if config.aberrations else []
    by_hand = f"wrong numbers by hand in Simulate ({', '.join(typed)}), " if typed else ""
    return (
        f"F1 {f1:.2f} on held-out pairs: the finder misses or invents more vacancies than it finds, so do not rely on "
        f"its points; likely causes are {by_hand}a dose too low to tell single vacancies ({dose:.3g} e/Å²) or a wrong "
        "material"
    )
