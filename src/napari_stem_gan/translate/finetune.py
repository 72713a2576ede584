"""Fine-tune the CycleGAN on today's images within a time budget, and keep what is most like them."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from napari_stem_gan.bad_pixels import mended
from napari_stem_gan.image import FloatImage, LabelledImage, STEMImage
from napari_stem_gan.training import TrainingConfig, TrainStep, train
from napari_stem_gan.translate.audit import Audit, Auditor
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.translate.patches import Normaliser, PatchSampler, crop_labelled
from napari_stem_gan.translate.similarity import Similarity, Today
from napari_stem_gan.translate.statistics import Target, fit_statistics, lattice_frequency
from napari_stem_gan.translate.translator import Translator

CHECK_SIDE_PX = 512
CHECK_IMAGES = 4
CHECKS = (0.25, 0.5, 0.75)  # shares of the budget at which the generator is measured; once more at the end
NOISE_FROM = (0.0, 1.0, 1.5, 2.0, 3.0, 99.0)  # in units of the lattice's lowest Bragg frequency
MIN_TRAINING_S = 3.0


@dataclass(frozen=True)
class Candidate:
    """A translation that could be kept.

    Parameters
    ----------
    name
        What it is, for the report.
    translator
        It.
    similarity
        Its distances from today's images.
    audit
        What it did to the labels.
    score
        Mean distance relative to the unadapted simulation (1 = no better, smaller is better).
    """

    name: str
    translator: Translator
    similarity: Similarity
    audit: Audit
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says about it."""
        numbers = {"score": self.score, "similarity": self.similarity.to_dict(), "audit": self.audit.to_dict()}
        return {"name": self.name, **numbers}


def fine_tune(
    cyclegan: CycleGAN,
    simulated: Sequence[LabelledImage],
    real: Sequence[STEMImage],
    *,
    minutes: float,
    stop: threading.Event | None = None,
    seed: int = 0,
) -> Iterator[TrainStep]:
    """Adapt `cyclegan` to today's images; afterwards it translates with the best candidate.

    Candidates are the simulation as it is, today's statistics alone, and the averaged
    generator with today's statistics at several moments. The one most like today's images
    that passes the label audit is kept, so the result is never worse than the simulation.
    ``cyclegan.report`` says which one, and why.

    Parameters
    ----------
    cyclegan
        Pretrained or new; changed in place.
    simulated
        Simulations matched to today's images, with labels, at the same pixel size.
    real
        Today's images; their bad pixels are filled in.
    minutes
        Time budget, everything included.
    stop
        Set it to end within one step; what was best so far is kept.
    seed
        Seed of the patches.

    Yields
    ------
        Progress; the note tells of paused discriminators and of checks.
    """
    started = time.perf_counter()
    session = _Session(cyclegan, simulated, real)
    try:
        session.check_closed_forms()
        yield session.progress(0, started, minutes)
        yield from _train(session, started, minutes, stop, seed)
    finally:
        session.keep_best()
    yield replace(session.progress(cyclegan.trainer.steps, started, minutes), fraction=1.0, eta_s=0.0)


def _train(
    session: _Session, started: float, minutes: float, stop: threading.Event | None, seed: int
) -> Iterator[TrainStep]:
    """Train until the time is up, with a check now and then."""
    remaining_s = 60 * minutes - (time.perf_counter() - started) - 2 * session.check_s
    if remaining_s < MIN_TRAINING_S or (stop is not None and stop.is_set()):
        return
    model, due, step = session.cyclegan, list(CHECKS), 0
    config = TrainingConfig(steps=None, minutes=remaining_s / 60, report_every=5, epoch_steps=1_000_000)
    for report in train(model, session.sampler(seed), config=config, stop=stop):
        step, note = report.step, model.trainer.balance_note()
        model.trainer.set_learning_rate(min(1.0, 2.2 - 2 * report.fraction))
        preview = None
        if due and report.fraction >= due[0] and report.fraction < 1:
            due = [share for share in due if share > report.fraction]
            checked = session.check_network(f"network after {step} steps")
            note, preview = "; ".join(filter(None, [note, session.verdict(checked)])), session.last_preview
        yield replace(session.progress(step, started, minutes, report), note=note, preview=preview)
    if not (stop is not None and stop.is_set()):
        session.check_network(f"network after {step} steps")


class _Session:
    """Today's images, the simulations to check with, and the candidates."""

    def __init__(self, cyclegan: CycleGAN, simulated: Sequence[LabelledImage], real: Sequence[STEMImage]) -> None:
        self.cyclegan = cyclegan
        self.sim_data = [item.image.data for item in simulated]
        self.exp_data = [mended(image).data for image in real]
        ranges = Normaliser.fit(self.sim_data), Normaliser.fit(self.exp_data)
        cyclegan.today = Translator(sim_range=ranges[0], exp_range=ranges[1], device=cyclegan.device)
        self.target = Today(self.exp_data)
        self.fit_target = Target.measure(self.target.tiles)
        self.noise_from, self.lattice_frequency = 0, lattice_frequency(self.target.tiles)
        chosen = np.linspace(0, len(simulated) - 1, min(CHECK_IMAGES, len(simulated))).astype(int)
        self.checked = [crop_labelled(simulated[i], CHECK_SIDE_PX) for i in chosen]
        self.unadapted = self.target.similarity([item.image.data for item in self.checked])
        self.auditor = Auditor(self.checked)
        self.candidates: list[Candidate] = []
        self.check_s = 0.0
        self.last_preview: FloatImage | None = None

    def sampler(self, seed: int) -> PatchSampler:
        """Training patches of both domains."""
        config, today = self.cyclegan.config, self.cyclegan.today
        return PatchSampler(
            [today.sim_range.apply(image) for image in self.sim_data],
            [today.exp_range.apply(image) for image in self.exp_data],
            patch_px=config.patch_px,
            batch_size=config.batch_size,
            rng=np.random.default_rng(seed),
        )

    def check_closed_forms(self) -> None:
        """Add the candidates that need no training, and the network as it is."""
        self._add("simulation as it is", self.cyclegan.today)
        self._add_fitted("statistics alone", None)
        if self._network_does_something():
            self.check_network("network as loaded")

    def _network_does_something(self) -> bool:
        """Whether the network differs from a new residual generator, which changes nothing."""
        state = self.cyclegan.ema["sim_to_exp"].state_dict()
        return bool(state["head.weight"].count_nonzero())

    def check_network(self, name: str) -> Candidate:
        """Measure the averaged generator with freshly fitted statistics."""
        started = time.perf_counter()
        network = copy.deepcopy(self.cyclegan.ema["sim_to_exp"]).eval()
        candidate = self._add_fitted(name, network)
        self.check_s = time.perf_counter() - started
        return candidate

    def _add_fitted(self, name: str, network: nn.Module | None) -> Candidate:
        """Add a network (or none) with fitted statistics, with noise at fewer frequencies where labels are lost."""
        bare = replace(self.cyclegan.today, network=network)
        outputs = [bare.network_output(item.image.data, seed=i) for i, item in enumerate(self.checked)]
        while True:
            frequency = self.lattice_frequency * NOISE_FROM[self.noise_from]
            fitted = fit_statistics(outputs, self.fit_target, noise_from=frequency)
            label = f"{name}, noise from {frequency:.2f}/px"
            candidate = self._add(label, replace(bare, statistics=fitted, target=self.fit_target))
            if candidate.audit.passed or self.noise_from == len(NOISE_FROM) - 1:
                return candidate
            self.noise_from += 1

    def _add(self, name: str, translator: Translator) -> Candidate:
        """Measure and audit one translator."""
        images = [translator.translate(item.image.data, seed=100 + i) for i, item in enumerate(self.checked)]
        similarity = self.target.similarity(images)
        score = similarity.relative_to(self.unadapted, floor=self.target.floor)
        candidate = Candidate(name, translator, similarity, self.auditor.audit(images), score)
        self.candidates.append(candidate)
        self.last_preview = images[0]
        return candidate

    @property
    def best(self) -> Candidate:
        """The most similar candidate that kept the labels; the simulation as it is, if there is no other."""
        usable = [candidate for candidate in self.candidates[1:] if candidate.audit.passed]
        return min([self.candidates[0], *usable], key=lambda candidate: candidate.score)

    def verdict(self, candidate: Candidate) -> str:
        """One sentence about a candidate."""
        kept = "best so far" if candidate is self.best else "not kept"
        return f"{candidate.name}: distance {candidate.score:.2f} of the simulation's, {candidate.audit.reason}; {kept}"

    def keep_best(self) -> None:
        """Put the best candidate into the CycleGAN and write the report."""
        if not self.candidates:
            return
        model, best = self.cyclegan, self.best
        if best.translator.network is not None:
            model.ema["sim_to_exp"].load_state_dict(best.translator.network.state_dict())
        model.use_network = best.translator.network is not None
        model.today = best.translator
        model.report = {
            "kept": best.name,
            "before": self.unadapted.to_dict(),
            "after": best.similarity.to_dict(),
            "audit": best.audit.to_dict(),
            "steps": model.trainer.steps,
            "balance": model.trainer.balance_note(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }

    def progress(self, step: int, started: float, minutes: float, report: TrainStep | None = None) -> TrainStep:
        """Progress over the whole budget."""
        elapsed = time.perf_counter() - started
        losses = dict(report.losses) if report else {}
        losses["distance"] = self.best.score
        speed = report.steps_per_s if report else 0.0
        fraction, eta = min(1.0, elapsed / (60 * minutes)), max(0.0, 60 * minutes - elapsed)
        preview = None if report else self.last_preview
        return TrainStep(step, None, fraction, losses, speed, eta, preview, "" if report else self.verdict(self.best))
