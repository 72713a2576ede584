"""Statistics in the viewer: gathers points, lattices and drawn regions, counts in a thread, saves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QTimer

from napari_stem_gan.app.jobs import load_workflow
from napari_stem_gan.app.layers import Source, read_layer
from napari_stem_gan.app.regions import Polygon, polygons_on, shapes_layers
from napari_stem_gan.app.session import Session
from napari_stem_gan.app.statistics_view import StatisticsView
from napari_stem_gan.app.worker import Bridge
from napari_stem_gan.crystal.lattice import LatticeMatch

LAID_OUT_MS = 200  # after which numbers that are new have their place in the panel


@dataclass(frozen=True)
class Frame:
    """What counting needs to know of an image: no pixels."""

    name: str
    frame: int
    shape: tuple[int, int]
    pixel_size_nm: float | None


class StatisticsTools(QObject):
    """Connects the Statistics fold with the defect layers of a viewer.

    Parameters
    ----------
    viewer
        napari viewer.
    session
        What the panels of the viewer share.
    view
        The fold of the Detect panel.
    load
        Imports the workflow when something is counted.
    """

    def __init__(
        self, viewer: Any, session: Session, view: StatisticsView, load: Callable[[], Any] = load_workflow
    ) -> None:
        super().__init__(view)
        self._viewer, self._session, self._view, self._load = viewer, session, view, load
        self.found: Any = None
        self._made_of: list[Any] = []
        self.bridge = Bridge(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(LAID_OUT_MS)
        self._connect()
        self.refresh()

    @property
    def _curated(self) -> Any:
        return self._session.results.curated

    def refresh(self) -> None:
        """Offer the Shapes layers that there are, and allow what can be done."""
        self._view.set_regions([layer.name for layer in shapes_layers(self._viewer)])
        ready = any(True for _ in self._curated.each())
        self._view.set_state(ready=ready, running=self.bridge.is_running())
        if self.found is not None and not self.bridge.is_running():
            self._view.show_remark(self.found, stale=not _same(self._made_of, self._now()))

    def count(self) -> None:
        """Count what counts now, in a thread; what is wrong is a notification."""
        if self.bridge.is_running():
            return
        try:
            config = self._view.value()
        except ValueError as error:
            show_error(str(error))
            return
        self._made_of = self._now()
        frames, matches = self._frames()
        polygons = self.polygons(self._sources())
        self.bridge.start(self._job(config, frames, matches, polygons))
        self.refresh()

    def save(self, folder: str) -> None:
        """Write the files of what was counted."""
        if self.found is None:
            return
        try:
            files = self._load().write_statistics(self.found, Path(folder))
        except OSError as error:
            show_error(str(error))
            return
        show_info(f"{len(files)} files are in {folder}")

    def close(self) -> None:
        """Stop counting and hear nothing any more."""
        self.bridge.stop()
        self._soon.stop()
        self._curated.events.edited.disconnect(self._on_edited)

    def _connect(self) -> None:
        self._view.count_requested.connect(self.count)
        self._view.save_requested.connect(self.save)
        self._curated.events.edited.connect(self._on_edited)
        self.bridge.progressed.connect(self._on_progress)
        self.bridge.returned.connect(self._on_returned)
        self.bridge.failed.connect(show_error)
        self.bridge.ended.connect(self._on_ended)
        self._soon.timeout.connect(self._view.bring_into_view)

    def _job(self, config: Any, frames: list[Frame], matches: list[Any], polygons: Mapping[str, list[Polygon]]) -> Any:
        """The job, with everything that belongs to the main thread taken before."""
        table, threshold, load = self._curated.candidates(), self._curated.threshold, self._load

        def steps(stop: threading.Event) -> Generator[Any, None, Any]:
            workflow = load()
            areas = workflow.crystal_areas(frames, matches)
            divide = workflow.by_polygons(polygons) if polygons else None
            return (yield from workflow.statistics(areas, table, config, threshold=threshold, divide=divide, stop=stop))

        return steps

    def _now(self) -> list[Any]:
        """Changes when other points count."""
        return [self._curated.threshold, *(one.points.columns for one, _ in self._curated.each())]

    def _sources(self) -> list[Source]:
        return [read_layer(one.source) for one, _ in self._curated.each()]

    def _frames(self) -> tuple[list[Frame], list[Any]]:
        """Every frame that has candidates, with its match; one that says so where nothing was matched."""
        known = {id(source.layer): matches for source, matches in self._session.matched()}
        frames, matches = [], []
        for source in self._sources():
            own = known.get(id(source.layer)) or [_unmatched()] * source.frames
            frames += [Frame(source.name, k, source.shape, source.pixel_size_nm) for k in range(source.frames)]
            matches += own
        return frames, matches

    def polygons(self, sources: Sequence[Source]) -> dict[str, list[Polygon]]:
        """Drawn regions of each source; empty for the grid."""
        chosen = next((one for one in shapes_layers(self._viewer) if one.name == self._view.regions()), None)
        if chosen is None:
            return {}
        return {source.name: polygons_on(chosen, source.layer) for source in sources}

    def _on_progress(self, progress: Any) -> None:
        self._view.show_progress(progress.message, progress.fraction)

    def _on_returned(self, found: Any) -> None:
        self.found = found
        self._view.show_statistics(found)
        self._soon.start()

    def _on_ended(self, _: Any) -> None:
        self.refresh()

    def _on_edited(self, _: Any = None) -> None:
        self.refresh()


def _same(one: list[Any], other: list[Any]) -> bool:
    same = len(one) == len(other) and one[0] == other[0]
    return same and all(a is b for a, b in zip(one[1:], other[1:], strict=True))


def _unmatched() -> LatticeMatch:
    """No lattice: the whole image counts."""
    return LatticeMatch(
        accepted=False, reason="not matched", material="", pixel_size_A=None, nominal_pixel_size_A=None
    )
