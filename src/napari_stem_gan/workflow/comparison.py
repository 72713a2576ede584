"""Which of several finders is kept after adaptation, and whether what is kept is any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stem_gan.simulate.config import SimulateConfig

if TYPE_CHECKING:
    from napari_stem_gan.detect.calibrate import SiteData
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.simulate.fit import SessionFit

SHIPPED = "as shipped"
FEWEST_PAIRS = 3
POOR_F1 = 2 / 3
"""Below it a finder makes more mistakes than hits: F1 = 2 h / (2 h + e) of h hits and e missed and false vacancies is
less than 2/3 just where e > h. That holds whenever recall or precision is below one half."""


def best_finder(
    candidates: Mapping[str, Finder], data: Mapping[str, Sequence[SiteData]], report: dict[str, Any]
) -> Finder:
    """The candidate with the highest F1 on every third pair, after calibration on the others; the shipped one on a tie.

    Parameters
    ----------
    candidates
        Finders by name, the shipped one among them.
    data
        For each of them what it sees on the same labelled pairs.
    report
        Gets a sentence (``finder``), the F1 of all (``held_out_f1``) and of the one that is kept (``kept_f1``).
    """
    from napari_stem_gan.detect.calibrate import calibrated, score

    shipped = candidates[SHIPPED]
    if len(data[SHIPPED]) < FEWEST_PAIRS:
        report["finder"] = "the shipped finder is kept: there was no time to compare"
        return shipped
    if not sum(map(vacancies, data[SHIPPED][::3])):
        report["finder"] = "the shipped finder is kept: no vacancies on the held-out pairs to compare by"
        return shipped
    results: dict[str, tuple[float, Finder]] = {}
    for name, finder in candidates.items():
        held, fit = data[name][::3], [d for i, d in enumerate(data[name]) if i % 3]
        results[name] = (score(finder.fusion, held), finder)
        fused = calibrated(finder.fusion, fit)
        results[f"{name}, calibrated today"] = (score(fused, held), finder.with_fusion(fused))
    report["held_out_f1"] = {name: round(value, 4) for name, (value, _) in results.items()}
    best = max(results, key=lambda name: results[name][0])
    if results[best][0] <= results[SHIPPED][0]:
        best = SHIPPED
    mine, theirs = results[best][0], results[SHIPPED][0]
    report["kept_f1"] = round(mine, 4)
    report["finder"] = f"finder {best}: F1 {mine:.3f} on held-out pairs, {theirs:.3f} as shipped"
    return results[best][1]


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
