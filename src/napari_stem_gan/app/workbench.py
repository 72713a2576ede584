"""The workbench: Match, Simulate, Adapt, Detect, Restore, and one button for all of them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QWidget

from napari_stem_gan.app.asked import asked_configs, asked_errors, asked_material
from napari_stem_gan.app.jobs import STEPS, Outcome, Request, job, load_workflow
from napari_stem_gan.app.layers import Source, summary
from napari_stem_gan.app.listener import Listener
from napari_stem_gan.app.remarks import Remarks
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.app.session import Session, lie_on_each_other, set_pixel_size, side_by_side
from napari_stem_gan.app.shell import Shell
from napari_stem_gan.app.show import show_outcome
from napari_stem_gan.app.sources import notes_of, problem_of, read_sources
from napari_stem_gan.app.tools import Tools
from napari_stem_gan.app.worker import Bridge, Ending

TOLD_BY = {"run": "detect", "snap": "match"}  # the panel whose remark ends the job


class Workbench(QWidget):
    """Dock widget for one or all steps.

    Parameters
    ----------
    napari_viewer
        The viewer to work in.
    steps
        Names of the steps to show; several also get "Run all".
    """

    _open: weakref.WeakSet[Workbench] = weakref.WeakSet()
    _busy: set[Workbench] = set()  # keeps a panel with a running job from being collected half way
    _docked = False

    def __init__(self, napari_viewer: Any, steps: tuple[str, ...] = STEPS) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.steps = steps
        self.load_workflow = load_workflow
        self._session = self._find_session(napari_viewer)
        self._running: Request | None = None
        self._step = self._told_by = self._told = ""
        self._build()
        self._connect()
        Workbench._open.add(self)
        self.refresh()

    @property
    def results(self) -> ResultLayers:
        """Our layers in this viewer."""
        return self._session.results

    def sources(self) -> tuple[tuple[Source, ...], list[str]]:
        """The layers to work on, and why others are left out (see `read_sources`)."""
        layers = self.viewer.layers
        return read_sources(layers, layers.selection if self.shell.only_selected() else layers, self.results)

    def refresh(self) -> None:
        """Show what is understood now; called when layers, selection or forms change."""
        sources, reasons = self.sources()
        if "match" in self.shell.panels:
            self.shell.panels["match"].understand(sources)
        if self.shell.current() == "simulate":  # crystals are made with ASE, whose import would hold up the panel
            self.shell.panels["simulate"].understand(asked_material(self.shell, self._session))
        self.tools.refresh()
        self.remarks.refresh(self.viewer.layers)
        errors = asked_errors(self.shell)
        overlap = lie_on_each_other(sources)
        self.shell.spread.setVisible(overlap)
        by_hand = self.shell.panels["simulate"].by_hand() if {"simulate", "adapt"} <= set(self.shell.panels) else ""
        notes = notes_of(sources, reasons, by_hand=by_hand, overlap=overlap)
        problem = problem_of(sources, reasons, self.shell.only_selected())
        self.shell.show_understood(summary(sources) if sources else "", notes, problem, errors)
        self.shell.set_running(self.bridge.is_running())

    def start(self, step: str, **more: Any) -> None:
        """Start a step, or ``run`` for all; what blocks it is a notification.

        Parameters
        ----------
        step
            As for `jobs.job`.
        **more
            Fields of the request that only this job needs.
        """
        blocked = self.shell.blocked(step)
        if blocked or self.bridge.is_running():
            show_error(blocked or "a job is running; stop it first")
            return
        if self.lattice is not None and step != "snap":
            self.lattice.adjust.finish()
        request = replace(self._request(), **more)
        for panel in self.shell.panels.values():
            panel.keep()
        self._step, self._running, self._told_by, self._told = step, request, "", ""
        self._session.match_config = request.configs["match"]
        self.shell.progress.begin("Run all" if step == "run" else step.capitalize())
        Workbench._busy.add(self)
        self.bridge.start(job(step, request))
        self.shell.set_running(True)

    def stop(self) -> None:
        """Ask the running job to stop within one tile or step."""
        self.bridge.stop()
        self.shell.show_stopping()

    def save_csv(self, path: str) -> None:
        """Write the points that are shown, if this panel has Detect (see `PointTools.save`)."""
        if self.tools.points is not None:
            self.tools.points.save(path)

    def load_csv(self, path: str) -> None:
        """Take over the decisions of a CSV that was saved earlier."""
        if self.curation is not None:
            self.curation.load(path, self.sources()[0])

    def event(self, event: QEvent) -> bool:
        """Notice when napari takes the panel out of its dock for good."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._docked:
                self.close_down()
            self._docked = self.parent() is not None
        return super().event(event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop the running job when the panel is closed."""
        self.close_down()
        super().closeEvent(event)

    def close_down(self) -> None:
        """Stop the job and listen to the viewer no longer."""
        self.bridge.stop()
        self.listener.close()
        self.tools.close()
        self.shell.device.cancel()

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.shell = Shell(self.steps, self)
        self.remarks = Remarks(self.shell)
        self.bridge = Bridge(self)
        self.listener = Listener(self.viewer, self.refresh, self)
        self.tools = Tools(self.viewer, self._session, self.shell.panels)
        self.lattice, self.curation, self.statistics = self.tools.lattice, self.tools.curation, self.tools.statistics

    def _connect(self) -> None:
        self.shell.start_requested.connect(self.start)
        self.shell.stop_requested.connect(self.stop)
        self.shell.changed.connect(self.refresh)
        self.shell.spread_requested.connect(self._on_spread)
        self.bridge.progressed.connect(self.shell.progress.add)
        self.bridge.returned.connect(self._on_returned)
        self.bridge.failed.connect(self._on_failed)
        self.bridge.ended.connect(self._on_ended)
        panels = self.shell.panels
        if "match" in panels:
            panels["match"].calibrate_requested.connect(self.calibrate)
            self.lattice.snap_requested.connect(self._on_snap)
        if "simulate" in panels:
            panels["simulate"].save_requested.connect(self._on_save_simulated)
        if "detect" in panels:
            panels["detect"].curation.load_requested.connect(self._on_load)
            panels["detect"].remarked.connect(self._on_remarked)
        if "adapt" in panels and "detect" in panels:
            panels["adapt"].model_saved.connect(panels["detect"].models.refresh)

    def _find_session(self, viewer: Any) -> Session:
        shared = [other._session for other in Workbench._open if other.viewer is viewer]
        return shared[0] if shared else Session(viewer)

    def _request(self) -> Request:
        sources, _ = self.sources()
        configs = asked_configs(self.shell, self._session, sources)
        matches, simulated = self._session.known(configs["match"], sources)
        return Request(
            sources=sources, configs=configs, device=self.shell.device.value(), model=self.shell.model(),
            matches=matches, simulated=simulated, folder=self.shell.folder.value(), load=self.load_workflow,
            decisions=tuple(self.results.curated.decisions()),
            regions={} if self.statistics is None else self.statistics.polygons(sources),
        )  # fmt: skip

    def _on_returned(self, outcome: Outcome) -> None:
        if self._running is not None:
            self._session.remember(self._running, outcome)
        show_outcome(self.results, outcome, self.shell.threshold())
        if self.lattice is not None:
            self.lattice.show_outcome(outcome)
        remarks = {name: panel.show_outcome(outcome) for name, panel in self.shell.panels.items()}
        self.remarks.show(remarks, [source.layer for source in outcome.sources])
        if not self._session.simulated:  # those there were are of other images or of another lattice
            self.remarks.forget("simulate")
        self._told_by = TOLD_BY.get(outcome.step, outcome.step)
        self._told = remarks.get(self._told_by, "")
        if outcome.detections is not None and self.tools.points is not None:
            self.tools.points.show_legend()
        if outcome.step == "run":
            self.shell.open_section("detect")

    def _folder_text(self) -> str:
        folder = self._running.folder if self._running is not None and self._step in ("run", "save") else None
        return "" if folder is None else f"files in {folder}"

    def _on_remarked(self, remark: str) -> None:
        """Keep what was said of the points true as they are filtered and decided on."""
        self.shell.show_remark("detect", remark)
        if self._told_by == "detect":
            self._told = remark
            self.shell.progress.retell(remark)

    def _on_failed(self, sentence: str) -> None:
        self._told = sentence
        show_error(sentence)

    def _on_ended(self, ending: Ending) -> None:
        self.shell.progress.end(ending, self._told, self._folder_text() if self._told_by else "")
        self._running = None
        self.shell.set_running(False)
        Workbench._busy.discard(self)
        self.refresh()

    def _on_spread(self) -> None:
        side_by_side(self.sources()[0], self.results)
        self.viewer.reset_view()
        self.refresh()

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load decisions", "", "Points in nm (*.csv)")
        if path:
            self.load_csv(path)

    def _on_snap(self, index: int, placed: Any) -> None:
        self.start("snap", by_hand=(index, placed))

    def _on_save_simulated(self, folder: Path) -> None:
        self.start("save", simulated=tuple(self._session.simulated), folder=folder)

    def calibrate(self, corrected: list[tuple[Source, float]]) -> None:
        """Write corrected pixel sizes (nm) into the scale of the layers; our results follow."""
        for source, size_nm in corrected:
            set_pixel_size(source.layer, size_nm)
            self.results.follow(source.layer)
        self._session.calibrated(self.sources()[0])
        if corrected:
            show_info(f"Corrected the scale of {len(corrected)} layer{'s' if len(corrected) != 1 else ''}")
