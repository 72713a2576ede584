"""The steps in the order the data flows: simulate, detect, restore, and all of them from match to report."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.threshold import threshold_of
from napari_stem_gan.image import LabelledImage, STEMImage
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow.adaptation import adapt
from napari_stem_gan.workflow.known_trial import known_answer
from napari_stem_gan.workflow.matching import match_images
from napari_stem_gan.workflow.model import SessionModel, load_finder
from napari_stem_gan.workflow.point_statistics import Divide
from napari_stem_gan.workflow.progress import Progress, Steps, check
from napari_stem_gan.workflow.session import accepted, fit_images, other_material, refuse_nothing, without_lattice
from napari_stem_gan.workflow.simulated import SimulatedSession, plain_name

if TYPE_CHECKING:
    from napari_stem_gan.detect.finder import Detection
    from napari_stem_gan.restore.restorer import Restored


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings of all steps."""

    match: MatchConfig = field(default_factory=MatchConfig)
    """How the lattice is looked for."""
    simulate: SimulateConfig = field(default_factory=SimulateConfig)
    """The simulated session."""
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    """How networks are fine-tuned."""
    detect: DetectConfig = field(default_factory=DetectConfig)
    """How defects are found."""
    restore: RestoreConfig = field(default_factory=RestoreConfig)
    """How images are restored."""
    statistics: StatisticsConfig = field(default_factory=StatisticsConfig)
    """How defects are counted."""


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """Everything one run gave; lists run parallel to `images`."""

    images: Sequence[STEMImage]
    matches: Sequence[LatticeMatch]
    simulated: Sequence[LabelledImage]
    translated: Sequence[LabelledImage]
    model: SessionModel | None
    detections: Sequence[Detection]
    restored: Sequence[Restored]
    threshold: float
    table: PointTable
    report: dict[str, Any]
    known_answer: KnownAnswer | None = None


def simulate(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    config: SimulateConfig,
    *,
    stop: threading.Event | None = None,
) -> Steps[SimulatedSession]:
    """Draw labelled images with today's lattice, optics, noise and contamination.

    Raises
    ------
    ValueError
        If no image was matched.
    """
    from napari_stem_gan.simulate.session import session_pairs

    good = accepted(images, matches)
    yield Progress(stage="simulate", fraction=0.0, message="fitting optics, dose and contamination to the images")
    fits = yield from fit_images(good, "simulate", stop, config)
    drawn: list[LabelledImage] = []
    for labelled in session_pairs([m for _, m in good[: len(fits)]], fits, config):
        check(stop)
        name = f"simulated_{plain_name(labelled.parameters['material'])}_{len(drawn) + 1:03d}"
        drawn.append(replace(labelled, image=replace(labelled.image, name=name)))
        message = f"simulated {len(drawn)} of {config.count}"
        yield Progress(stage="simulate", fraction=len(drawn) / config.count, message=message)
    return SimulatedSession(tuple(drawn), tuple(fit.to_dict() for fit in fits))


def detect(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    config: DetectConfig,
    *,
    model: SessionModel | str | Path | None = None,
    device: str = "auto",
    stop: threading.Event | None = None,
) -> Steps[list[Detection]]:
    """Find the defects of every image, linked over the frames of a stack; `model` None takes the shipped finder.

    On images without a lattice the network works alone, if it knows the material; `without_lattice` says which.

    Raises
    ------
    ModelFileError
        If the model cannot be used.
    ValueError
        If an image shows another material than the one given, or no image has a lattice and nothing was found.
    """
    from napari_stem_gan.detect.tracks import track_stacks

    finder = load_finder(model, device)
    found: list[Detection] = []
    for index, (image, lattice) in enumerate(zip(images, matches, strict=True)):
        check(stop)
        if not lattice.accepted and lattice.best_other:
            raise ValueError(other_material(image.name, lattice))
        yield Progress(stage="detect", fraction=index / len(images), message=f"looking for defects in {image.name}")
        found.append(finder.find(image, lattice, config, stop=stop))
    refuse_nothing(matches, sum(len(one.points) for one in found))
    threshold = threshold_of(config.threshold, [one.points for one in found])
    tables = track_stacks(images, matches, [one.points for one in found], threshold=threshold)
    found = [replace(one, points=table) for one, table in zip(found, tables, strict=True)]
    count = sum(len(d.points.filter(threshold)) for d in found)
    yield Progress(stage="detect", fraction=1.0, message=f"{count} defects in {len(images)} images")
    return found


def restore(
    images: Sequence[STEMImage],
    config: RestoreConfig,
    *,
    device: str = "auto",
    stop: threading.Event | None = None,
) -> Steps[list[Restored]]:
    """Restore every image; what the network invented or erased is reported with it."""
    from napari_stem_gan.restore.restorer import Restorer

    restorer = Restorer.load(config.mode, device)
    results: list[Restored] = []
    for index, image in enumerate(images):
        check(stop)
        yield Progress(stage="restore", fraction=index / len(images), message=f"restoring {image.name}")
        results.append(restorer.restore(image, config, stop=stop))
    yield Progress(stage="restore", fraction=1.0, message=f"{len(images)} images restored")
    return results


def run(
    images: Sequence[STEMImage],
    config: RunConfig,
    *,
    device: str = "auto",
    stop: threading.Event | None = None,
    folder: Path | None = None,
    matches: Sequence[LatticeMatch] | None = None,
    decisions: PointTable | None = None,
    divide: Divide | None = None,
) -> Steps[SessionResult]:
    """Do all steps; with a `folder`, write points.csv, overlays, restored images and a report into it.

    Lattices that are known already, some of them perhaps snapped by hand, may be given as `matches`, and points that
    a user decided on as `decisions` (see `adapt`); `divide` gives the regions that are counted in (see `statistics`).

    Raises
    ------
    ValueError
        If no image was matched.
    OutputError
        If the folder cannot be written.
    """
    from napari_stem_gan.workflow.output import write_run

    if matches is None:
        matches = yield from match_images(images, config.match, stop=stop)
    simulated = yield from simulate(images, matches, config.simulate, stop=stop)
    model = yield from adapt(
        images, matches, config.adapt, simulate=config.simulate, decisions=decisions, device=device, stop=stop
    )
    check(stop)
    translated = [model.translate(labelled) for labelled in simulated]
    detections = yield from detect(images, matches, config.detect, model=model, device=device, stop=stop)
    threshold = threshold_of(config.detect.threshold, [d.points for d in detections])
    alone = without_lattice([image.name for image in images], matches)
    report: dict[str, Any] = {"adapt": model.report, "without_lattice": alone}
    answer = None
    if config.detect.known_answer:
        answer = yield from known_answer(
            images, matches, config.detect, detections=detections, model=model, device=device, stop=stop
        )
        report["known_answer"] = answer.to_dict(threshold)
    restored = yield from restore(images, config.restore, device=device, stop=stop)
    table = PointTable.concat(d.points.filter(threshold) for d in detections)
    result = SessionResult(
        images=images, matches=matches, simulated=simulated, translated=translated, model=model,
        detections=detections, restored=restored, threshold=threshold, table=table, report=report,
        known_answer=answer,
    )  # fmt: skip
    if folder is not None:
        write_run(result, config, Path(folder), divide)
    return result
