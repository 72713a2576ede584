"""What each button runs: the workflow's step, after the images are made and the lattice is matched."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_stem_gan.app.layers import Source
from napari_stem_gan.image import STEMImage

MOST_MEASURED = 6
STEPS = ("match", "simulate", "adapt", "detect", "restore")

Steps = Generator[Any, None, "Outcome"]


def load_workflow() -> Any:
    """Import the workflow when the first job runs, not when the panel opens."""
    return importlib.import_module("napari_stem_gan.workflow")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that a job needs, taken in the main thread before it starts.

    Parameters
    ----------
    sources
        The layers to work on.
    configs
        Config of each step, by its name in `STEPS`, and perhaps of the ``statistics`` of "Run all".
    device
        ``auto``, ``cuda``, ``mps`` or ``cpu``.
    matches
        Matches of these images from an earlier job, if they are still true.
    simulated
        Simulated images of an earlier job, to show translated after Adapt.
    model
        Model for Detect: a session model, a name, a path, or None for the shipped finder.
    folder
        Where "Run all" and "Save simulated" write their files; None writes nothing.
    by_hand
        For ``snap``: index of the image among all frames, and the lattice that was placed on it.
    decisions
        Columns of our table for each source: the points that the user decided on, for Adapt to learn from.
    regions
        Of each image by its name, the polygons that "Run all" counts in; empty: a grid.
    load
        Imports the workflow; tests put their own in.
    """

    sources: tuple[Source, ...]
    configs: Mapping[str, Any]
    device: str = "auto"
    matches: tuple[Any, ...] | None = None
    simulated: Sequence[Any] | None = None
    model: Any = None
    folder: Path | None = None
    by_hand: tuple[int, Any] | None = None
    decisions: Sequence[Mapping[str, Any]] = ()
    regions: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    load: Callable[[], Any] = load_workflow

    def decided(self) -> Any | None:
        """The user's decisions as one table, or None."""
        from napari_stem_gan.detect.table import PointTable

        return PointTable.concat(PointTable(columns) for columns in self.decisions) if self.decisions else None

    def images(self) -> list[STEMImage]:
        """All frames of all layers; runs in the worker."""
        return [image for source in self.sources for image in source.images()]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job found; None where it did not look.

    Lists run parallel to the images: all frames of the first source, then of the second.
    """

    step: str
    sources: tuple[Source, ...]
    matches: Sequence[Any] | None = None
    snapped: Any = None
    simulated: Sequence[Any] | None = None
    fits: Sequence[Mapping[str, Any]] | None = None
    translated: Sequence[Any] | None = None
    model: Any = None
    detections: Sequence[Any] | None = None
    known_answer: Any = None
    restored: Sequence[Any] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def per_source(self, results: Sequence[Any]) -> list[tuple[Source, list[Any]]]:
        """Split a list that runs parallel to the images by source."""
        pairs, start = [], 0
        for source in self.sources:
            pairs.append((source, list(results[start : start + source.frames])))
            start += source.frames
        return pairs


def job(step: str, request: Request) -> Callable[[threading.Event], Steps]:
    """The job of one button.

    Parameters
    ----------
    step
        A name in `STEPS`, ``run`` for all of them, ``snap`` or ``save``.
    request
        What to work on.

    Returns
    -------
    callable
        Takes the stop event, returns a generator of `Progress` that returns an `Outcome`.
    """
    run = {
        "match": _match, "snap": _snap, "simulate": _simulate, "save": _save, "adapt": _adapt, "detect": _detect,
        "restore": _restore,
    }  # fmt: skip

    def steps(stop: threading.Event) -> Steps:
        return (yield from run.get(step, _run)(request, request.load(), stop))

    return steps


def _matched(
    request: Request, workflow: Any, images: list[STEMImage], stop: threading.Event
) -> Generator[Any, None, Any]:
    if request.matches is not None:
        return list(request.matches)
    return (yield from workflow.match_images(images, request.configs["match"], stop=stop))


def _match(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    images = request.images()
    matches = yield from workflow.match_images(images, request.configs["match"], stop=stop)
    fits, why = yield from _measured(request, workflow, images, matches, stop)
    return Outcome(step="match", sources=request.sources, matches=matches, fits=fits, report={"not measured": why})


def _measured(
    request: Request, workflow: Any, images: list[STEMImage], matches: Any, stop: threading.Event
) -> Generator[Any, None, tuple[Any, str]]:
    """What the simulator needs, measured on the images; Stop or an unusual image leaves the matches as they are."""
    try:
        optics = request.configs["simulate"].probe
        return (yield from workflow.fit(images, matches, optics, most=MOST_MEASURED, stop=stop)), ""
    except Exception as error:
        if not (stop.is_set() or isinstance(error, ValueError)):
            raise
        return None, "stopped" if stop.is_set() else str(error)


def _snap(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    """Refine a lattice placed by hand; an accepted one takes the place of the image's match."""
    if request.by_hand is None or request.matches is None:
        raise ValueError("the images or the Match settings changed since Match; run Match again, then adjust")
    index, start = request.by_hand
    yield from ()
    snapped = workflow.snap_image(request.images()[index], request.configs["match"], start)
    matches = list(request.matches)
    if snapped.accepted:
        matches[index] = snapped
    return Outcome(step="snap", sources=request.sources, matches=matches, snapped=snapped)


def _save(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    """Write the simulated images that are shown."""
    if not request.simulated or request.folder is None:
        raise ValueError("there is no simulated image to save; run Simulate first")
    yield from ()
    files = workflow.write_simulated(request.simulated, request.folder)
    return Outcome(step="save", sources=request.sources, report={"files": [str(file) for file in files]})


def _simulate(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    images = request.images()
    matches = yield from _matched(request, workflow, images, stop)
    simulated = yield from workflow.simulate(images, matches, request.configs["simulate"], stop=stop)
    found = {"simulated": simulated, "fits": simulated.fits}
    return Outcome(step="simulate", sources=request.sources, matches=matches, **found)


def _adapt(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    images = request.images()
    matches = yield from _matched(request, workflow, images, stop)
    config, like = request.configs["adapt"], request.configs["simulate"]
    more = {"decisions": request.decided(), "device": request.device}
    model = yield from workflow.adapt(images, matches, config, simulate=like, stop=stop, **more)
    simulated = request.simulated
    if simulated is None and not stop.is_set():  # to be shown beside its translation
        simulated = yield from workflow.simulate(images, matches, request.configs["simulate"], stop=threading.Event())
    translated = [model.translate(labelled) for labelled in ([] if stop.is_set() else simulated or [])]
    return Outcome(
        step="adapt", sources=request.sources, matches=matches, simulated=simulated, translated=translated,
        model=model, report=model.report,
    )  # fmt: skip


def _detect(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    images = request.images()
    matches = yield from _matched(request, workflow, images, stop)
    config = request.configs["detect"]
    detections = yield from workflow.detect(
        images, matches, config, model=request.model, device=request.device, stop=stop
    )
    answer = None
    if config.known_answer:
        more = {"model": request.model, "device": request.device, "stop": stop}
        answer = yield from workflow.known_answer(images, matches, config, detections=detections, **more)
    record = provenance(request, workflow, images, matches, request.model)
    return Outcome(
        step="detect", sources=request.sources, matches=matches, detections=detections, known_answer=answer,
        provenance=record,
    )  # fmt: skip


def _restore(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    config = request.configs["restore"]
    restored = yield from workflow.restore(request.images(), config, device=request.device, stop=stop)
    return Outcome(step="restore", sources=request.sources, restored=restored)


def _run(request: Request, workflow: Any, stop: threading.Event) -> Steps:
    config, images = workflow.RunConfig(**request.configs), request.images()
    more = {"device": request.device, "folder": request.folder, "decisions": request.decided()}
    more["divide"] = workflow.by_polygons(request.regions) if request.regions else None
    result = yield from workflow.run(images, config, matches=request.matches, stop=stop, **more)
    found = {name: getattr(result, name) for name in ("matches", "simulated", "translated", "detections", "restored")}
    found["known_answer"] = result.known_answer
    record = provenance(request, workflow, images, result.matches, result.model)
    return Outcome(
        step="run", sources=request.sources, model=result.model, report=result.report, provenance=record, **found,
        fits=result.simulated.fits,
    )  # fmt: skip


def provenance(request: Request, workflow: Any, images: list[STEMImage], matches: Any, model: Any) -> dict[str, Any]:
    """What the points were made from, for the JSON beside the CSV; hashes are made in the worker."""
    configs = [request.configs[name] for name in STEPS]
    return dict(workflow.provenance(images, matches, configs=configs, model=model))
