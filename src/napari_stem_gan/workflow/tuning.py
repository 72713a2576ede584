"""Train the finder on today's pairs, calibrate it, and keep what is best on pairs that were held out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_stem_gan.workflow.budget import TimeBudget
from napari_stem_gan.workflow.comparison import FEWEST_PAIRS, SHIPPED, best_finder
from napari_stem_gan.workflow.pairs import SessionPairs
from napari_stem_gan.workflow.progress import Steps

if TYPE_CHECKING:
    from napari_stem_gan.detect.calibrate import SiteData
    from napari_stem_gan.detect.decided import DecidedImage
    from napari_stem_gan.detect.finder import Finder

FINDER_END, CALIBRATED = 0.75, 0.88  # shares of the budget at which the finder's training and calibration end
SHORTEST_S, FEWEST_STEPS = 5, 20  # a training worth to begin with, and to look at
MOST_PAIRS = 20
PAUSE = 0.02  # share of the time used so far that must be left for another pair


def tune(
    finder: Finder,
    pairs: SessionPairs,
    decided: Sequence[DecidedImage],
    clock: TimeBudget,
    report: dict[str, Any],
    stop: threading.Event | None,
) -> Steps[Finder]:
    """Train, calibrate and compare as far as the time goes.

    Parameters
    ----------
    finder
        The shipped one.
    pairs
        Draws labelled images like today's.
    decided
        Points of today's images that the user decided on.
    clock
        What is left of the time.
    report
        Gets which finder is kept and why (see `comparison.best_finder`).
    stop
        Ends it early.

    Returns
    -------
    Finder
        The one that is kept.
    """
    from napari_stem_gan.detect.decided import decided_candidates

    candidates = {SHIPPED: finder}
    tuned = yield from _trained(finder, pairs, decided, clock, stop)
    if tuned is not None:
        candidates["tuned"] = tuned
    data = yield from _held_out(candidates, pairs, clock, stop)
    count = len(data[SHIPPED])
    if count >= FEWEST_PAIRS:  # decisions alone know nothing of what nobody looked at
        data = {name: [*seen, *decided_candidates(candidates[name], decided)] for name, seen in data.items()}
    return best_finder(candidates, data, report, pairs=count)


def _trained(
    finder: Finder,
    pairs: SessionPairs,
    decided: Sequence[DecidedImage],
    clock: TimeBudget,
    stop: threading.Event | None,
) -> Steps[Finder | None]:
    """The finder after training on pairs and decisions; None where there was no time for it."""
    from napari_stem_gan.detect.decided import WithDecisions, decided_example
    from napari_stem_gan.detect.fcn import FinderTraining
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.detect.patches import PatchPool
    from napari_stem_gan.training import TrainingConfig, train

    training = FinderTraining(finder.device, learning_rate=3e-4, steps=None, state=finder.network_state)
    pool: Any = PatchPool(pairs.draw, size=24, fresh_every=4, seed=int(pairs.rng.integers(2**31)))
    if decided:
        pool = WithDecisions(pool, [decided_example(finder, one) for one in decided])
    if clock.left(FINDER_END) > SHORTEST_S:
        budget = TrainingConfig(steps=None, minutes=clock.left(FINDER_END) / 60, report_every=5)
        for step in train(training, pool, config=budget, stop=stop):
            yield clock.report("fine-tuning the finder on today's pairs", step)
    return Finder(training.average, finder.fusion, finder.device) if training.done >= FEWEST_STEPS else None


def _held_out(
    candidates: Mapping[str, Finder], pairs: SessionPairs, clock: TimeBudget, stop: threading.Event | None
) -> Steps[dict[str, list[SiteData]]]:
    """What each candidate sees on the same fresh pairs."""
    from napari_stem_gan.detect.calibrate import collect

    data: dict[str, list[SiteData]] = {name: [] for name in candidates}
    count = 0
    while count < FEWEST_PAIRS or (clock.left(CALIBRATED) > clock.seconds() * PAUSE and count < MOST_PAIRS):
        if stop and stop.is_set():
            break
        labelled = pairs.draw(pairs.rng)
        for name, candidate in candidates.items():
            data[name].append(collect(candidate, labelled))
        count += 1
        yield clock.report(f"calibrating on held-out pair {count}")
    return data
