"""Adapt: fine-tune CycleGAN and finder on today's images inside a time budget, and keep what is better."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow.comparison import FEWEST_PAIRS, SHIPPED, best_finder, poor_warning
from napari_stem_gan.workflow.model import SessionModel
from napari_stem_gan.workflow.progress import Progress, Steps
from napari_stem_gan.workflow.session import Matched, accepted, fit_images

if TYPE_CHECKING:
    from napari_stem_gan.detect.decided import DecidedImage
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.detect.table import PointTable
    from napari_stem_gan.image import LabelledImage
    from napari_stem_gan.simulate.fit import SessionFit
    from napari_stem_gan.training import TrainStep
    from napari_stem_gan.translate.cyclegan import CycleGAN

PRETRAINED = "cyclegan-compact"
TRANSLATE_SHARE, FINDER_END = 0.35, 0.75  # shares of the budget at which the CycleGAN and the finder's training end
CALIBRATED, TEST_SHARE = 0.88, 0.03  # share at which calibration ends; share that must be left for a test to start
PAIRS, PAIR_PX = 6, 512
PLANTED = DefectConfig(adatom=0.002)


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

    clock = _Clock(config.minutes)
    good = accepted(images, matches)
    seed_everything(config.seed)
    cyclegan, finder = CycleGAN.from_file(PRETRAINED, device), Finder.load(device=device)
    try:
        fits = yield from fit_images(good, "adapt", stop, simulate)
    except Stopped:
        return SessionModel(finder, cyclegan, {"finder": "stopped early; the shipped finder is kept"})
    simulate = simulate or SimulateConfig()
    session = _Session([m for _, m in good[: len(fits)]], fits, cyclegan, config.seed, simulate)
    simulated = [session.simulate(size_px=PAIR_PX) for _ in range(PAIRS)]
    yield from _translate(cyclegan, simulated, [i for i, _ in good], clock, config.seed, stop)
    report: dict[str, Any] = {"translation": cyclegan.report, "minutes": config.minutes}
    if not (stop and stop.is_set()):
        decided = _decided(good, decisions if config.use_decisions else None, report)
        shipped, finder = finder, (yield from _tune(finder, session, decided, clock, report, stop))
        tested = {"kept finder": finder} | ({} if finder is shipped else {"shipped finder": shipped})
        report["known_answer"] = yield from _tested(tested, good, config.seed, clock, stop)
    report["seconds"] = round(clock.seconds(), 1)
    if warning := poor_warning(report.get("kept_f1"), fits, simulate):
        report = {"warning": warning, **report}
    verdict = str(report.get("finder", "stopped early; the shipped finder is kept"))
    yield Progress(stage="adapt", fraction=1.0, message=warning or verdict)
    return SessionModel(finder, cyclegan, report)


def _tested(
    finders: dict[str, Finder], good: Matched, seed: int, clock: _Clock, stop: threading.Event | None
) -> Steps[dict[str, str]]:
    """What a known-answer test on one of today's images says of each finder, as far as the time goes."""
    from napari_stem_gan.detect.known_trial import known_answer
    from napari_stem_gan.training import Stopped

    image, match = good[len(good) // 2]
    settings, sentences = DetectConfig(), dict[str, str]()
    for name, finder in finders.items():
        if clock.left(1.0) < TEST_SHARE * clock.budget:
            break
        yield clock.report(f"planting vacancies into {image.name} to test the {name}")
        try:
            answer = known_answer(finder, image, match, settings, np.random.default_rng(seed), stop=stop)
        except Stopped:
            break
        sentences[name] = answer.sentence(settings.threshold)
    return sentences


class _Clock:
    """The time budget."""

    def __init__(self, minutes: float) -> None:
        self.started, self.budget = time.perf_counter(), 60 * minutes

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def left(self, share: float) -> float:
        """Seconds left until `share` of the budget is used."""
        return share * self.budget - self.seconds()

    def report(self, message: str, step: TrainStep | None = None) -> Progress:
        """Progress of the whole adaptation."""
        fraction = min(self.seconds() / self.budget, 1.0)
        losses = {} if step is None else step.losses
        preview = None if step is None else step.preview
        eta = max(self.budget - self.seconds(), 0.0)
        return Progress(stage="adapt", fraction=fraction, message=message, losses=losses, preview=preview, eta_s=eta)


class _Session:
    """Draws labelled images like today's, translated or not."""

    def __init__(
        self,
        matches: Sequence[LatticeMatch],
        fits: Sequence[SessionFit],
        cyclegan: CycleGAN,
        seed: int,
        config: SimulateConfig,
    ) -> None:
        self.matches, self.fits, self.cyclegan, self.config = matches, fits, cyclegan, config
        self.rng = np.random.default_rng(seed)

    def simulate(self, *, size_px: int, rng: np.random.Generator | None = None) -> LabelledImage:
        """A simulated image around one of today's matches."""
        from napari_stem_gan.simulate.session import session_image

        rng = rng or self.rng
        which = int(rng.integers(len(self.matches)))
        scale = float(rng.choice([0.5, 1.0, 1.5]))
        config = replace(self.config, size_px=size_px, defect_scale=scale, degrade=True, defects=PLANTED)
        return session_image(self.matches[which], self.fits[which], config, rng)

    def draw(self, rng: np.random.Generator, *, size_px: int = PAIR_PX) -> LabelledImage:
        """A simulated image that the CycleGAN made look like today's; every third stays as simulated."""
        labelled = self.simulate(size_px=size_px, rng=rng)
        if rng.random() < 1 / 3:
            return labelled
        return self.cyclegan.translate_labelled(labelled, seed=int(rng.integers(2**31)))


def _translate(
    cyclegan: CycleGAN,
    simulated: Sequence[LabelledImage],
    real: Sequence[STEMImage],
    clock: _Clock,
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


def _tune(
    finder: Any,
    session: _Session,
    decided: Sequence[DecidedImage],
    clock: _Clock,
    report: dict[str, Any],
    stop: threading.Event | None,
) -> Steps[Any]:
    """Train the finder on today's pairs, calibrate it, and keep the best of the candidates on held-out pairs."""
    from napari_stem_gan.detect.calibrate import SiteData, collect
    from napari_stem_gan.detect.decided import WithDecisions, decided_candidates, decided_example
    from napari_stem_gan.detect.fcn import FinderTraining
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.detect.patches import PatchPool
    from napari_stem_gan.training import TrainingConfig, train

    training = FinderTraining(finder.device, learning_rate=3e-4, steps=None, state=finder.network_state)
    pool: Any = PatchPool(session.draw, size=24, fresh_every=4, seed=int(session.rng.integers(2**31)))
    if decided:
        pool = WithDecisions(pool, [decided_example(finder, one) for one in decided])
    if clock.left(FINDER_END) > 5:
        budget = TrainingConfig(steps=None, minutes=clock.left(FINDER_END) / 60, report_every=5)
        for step in train(training, pool, config=budget, stop=stop):
            yield clock.report("fine-tuning the finder on today's pairs", step)
    candidates = {SHIPPED: finder}
    if training.done >= 20:
        candidates["tuned"] = Finder(training.average, finder.fusion, finder.device)
    data: dict[str, list[SiteData]] = {name: [] for name in candidates}
    pairs = data[SHIPPED]
    while (len(pairs) < FEWEST_PAIRS or clock.left(CALIBRATED) > clock.seconds() * 0.02) and len(pairs) < 20:
        if stop and stop.is_set():
            break
        labelled = session.draw(session.rng)
        for name, candidate in candidates.items():
            data[name].append(collect(candidate, labelled))
        yield clock.report(f"calibrating on held-out pair {len(pairs)}")
    if len(pairs) >= FEWEST_PAIRS:  # decisions alone know nothing of what nobody looked at
        for name, candidate in candidates.items():
            data[name] += decided_candidates(candidate, decided)
    return best_finder(candidates, data, report)
