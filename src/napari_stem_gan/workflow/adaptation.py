"""Adapt: fine-tune CycleGAN and finder on today's images inside a time budget, and keep what is better."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.threshold import threshold_of
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow.budget import TimeBudget
from napari_stem_gan.workflow.comparison import poor_warning
from napari_stem_gan.workflow.model import SessionModel
from napari_stem_gan.workflow.pairs import SessionPairs
from napari_stem_gan.workflow.progress import Progress, Steps
from napari_stem_gan.workflow.session import Matched, accepted, fit_images
from napari_stem_gan.workflow.tuning import tune

if TYPE_CHECKING:
    from napari_stem_gan.detect.decided import DecidedImage
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.detect.table import PointTable
    from napari_stem_gan.image import LabelledImage
    from napari_stem_gan.translate.cyclegan import CycleGAN

PRETRAINED = "cyclegan-compact"
TRANSLATE_SHARE, TEST_SHARE = 0.35, 0.03  # share of the budget at which the CycleGAN's training ends; least for a test
PAIRS, PAIR_PX = 6, 512


def adapt(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    config: AdaptConfig,
    *,
    simulate: SimulateConfig | None = None,
    decisions: PointTable | None = None,
    device: str = "auto",
    stop: threading.Event | None = None,
) -> Steps[SessionModel]:
    """Adapt to a session within ``config.minutes``; Stop ends it early and what is there is returned.

    Parameters
    ----------
    images, matches
        Today's images and their lattices.
    config
        Time budget and seed.
    simulate
        Probe, instrument and specimen of the simulated pairs; their number, size and defects are Adapt's own.
        None: as fitted.
    decisions
        Points of these images that a user accepted, added or rejected (column ``decision``), to learn from where
        ``config.use_decisions`` says so.
    device
        Where to train.
    stop
        Ends it early.

    Returns
    -------
    SessionModel
        Its report begins with a ``warning`` where the finder that is kept makes more mistakes than hits on held-out
        pairs (see `comparison.POOR_F1`).

    Raises
    ------
    ValueError
        If no image was matched.
    """
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.training import Stopped, seed_everything
    from napari_stem_gan.translate.cyclegan import CycleGAN

    clock = TimeBudget(config.minutes)
    good = accepted(images, matches)
    seed_everything(config.seed)
    cyclegan, finder = CycleGAN.from_file(PRETRAINED, device), Finder.load(device=device)
    try:
        fits = yield from fit_images(good, "adapt", stop, simulate)
    except Stopped:
        return SessionModel(finder, cyclegan, {"finder": "stopped early; the shipped finder is kept"})
    simulate = simulate or SimulateConfig()
    lattices = [m for _, m in good[: len(fits)]]
    session = SessionPairs(lattices, fits, cyclegan, simulate, size_px=PAIR_PX, seed=config.seed)
    simulated = [session.simulate(session.rng) for _ in range(PAIRS)]
    yield from _translate(cyclegan, simulated, [i for i, _ in good], clock, config.seed, stop)
    report: dict[str, Any] = {"translation": cyclegan.report, "minutes": config.minutes}
    if not (stop and stop.is_set()):
        decided = _decided(good, decisions if config.use_decisions else None, report)
        shipped, finder = finder, (yield from tune(finder, session, decided, clock, report, stop))
        tested = {"kept finder": finder} | ({} if finder is shipped else {"shipped finder": shipped})
        report["known_answer"] = yield from _tested(tested, good, config.seed, clock, stop)
    report["seconds"] = round(clock.seconds(), 1)
    if warning := poor_warning(report.get("kept_f1"), fits, simulate):
        report = {"warning": warning, **report}
    verdict = str(report.get("finder", "stopped early; the shipped finder is kept"))
    yield Progress(stage="adapt", fraction=1.0, message=warning or verdict)
    return SessionModel(finder, cyclegan, report)


def _tested(
    finders: dict[str, Finder], good: Matched, seed: int, clock: TimeBudget, stop: threading.Event | None
) -> Steps[dict[str, str]]:
    """What a known-answer test on one of today's images says of each finder, as far as the time goes."""
    from napari_stem_gan.detect.known_trial import known_answer
    from napari_stem_gan.training import Stopped

    image, match = good[len(good) // 2]
    settings, sentences = DetectConfig(), dict[str, str]()
    for name, finder in finders.items():
        if clock.left(1.0) < TEST_SHARE * clock.total_s:
            break
        yield clock.report(f"planting vacancies into {image.name} to test the {name}")
        try:
            answer = known_answer(finder, image, match, settings, np.random.default_rng(seed), stop=stop)
        except Stopped:
            break
        sentences[name] = answer.sentence(threshold_of(settings.threshold, ()))
    return sentences


def _translate(
    cyclegan: CycleGAN,
    simulated: Sequence[LabelledImage],
    real: Sequence[STEMImage],
    clock: TimeBudget,
    seed: int,
    stop: threading.Event | None,
) -> Steps[None]:
    from napari_stem_gan.translate.finetune import fine_tune

    minutes = max(clock.left(TRANSLATE_SHARE), 1.0) / 60
    for step in fine_tune(cyclegan, simulated, real, minutes=minutes, stop=stop, seed=seed):
        yield clock.report("; ".join(filter(None, ["fine-tuning the CycleGAN", step.note])), step)


def _decided(
    good: Sequence[tuple[STEMImage, LatticeMatch]], decisions: PointTable | None, report: dict[str, Any]
) -> list[DecidedImage]:
    """The user's decisions on today's images; the report says how many there are."""
    from napari_stem_gan.detect.decided import decided_images, sentence

    decided = [] if decisions is None else decided_images([i for i, _ in good], [m for _, m in good], decisions)
    if decided:
        report["decisions"] = sentence(decided)
    return decided
