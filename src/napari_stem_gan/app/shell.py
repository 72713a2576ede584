"""How the workbench looks: what was understood on top, sections in a scroll area, Start and Stop at the bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_stem_gan.app.adapt_panel import AdaptPanel
from napari_stem_gan.app.detect_panel import DetectPanel
from napari_stem_gan.app.device import DeviceRow
from napari_stem_gan.app.fold import Fold
from napari_stem_gan.app.folder_row import FolderRow
from napari_stem_gan.app.form import RED
from napari_stem_gan.app.jobs import STEPS
from napari_stem_gan.app.match_panel import MatchPanel
from napari_stem_gan.app.panel import WARNING_SIGN, StepPanel
from napari_stem_gan.app.progress import ProgressPanel
from napari_stem_gan.app.restore_panel import RestorePanel
from napari_stem_gan.app.settings import kept_config
from napari_stem_gan.app.simulate_panel import SimulatePanel

PANELS: dict[str, type[StepPanel]] = {
    "match": MatchPanel,
    "simulate": SimulatePanel,
    "adapt": AdaptPanel,
    "detect": DetectPanel,
    "restore": RestorePanel,
}
ALL_LAYERS, SELECTED = "all image layers", "selected image layers"
NEEDS_LATTICE = ("simulate", "adapt", "detect", "run")
MIN_WIDTH_PX = 360


class Shell(QWidget):
    """The visible part of the workbench; it decides nothing.

    Parameters
    ----------
    steps
        Names of the steps to show.
    parent
        The workbench, which gets the shell as its only child.
    """

    start_requested = Signal(str)
    stop_requested = Signal()
    spread_requested = Signal()
    changed = Signal()

    def __init__(self, steps: tuple[str, ...], parent: QWidget) -> None:
        super().__init__(parent)
        self.panels = {name: PANELS[name]() for name in steps}
        self.sections: dict[str, Fold] = {}
        self._problem = ""
        self._errors: dict[str, str] = {}
        outer = QVBoxLayout(parent)
        outer.setContentsMargins(4, 4, 4, 4)
        outer.addWidget(self)
        self._build(steps)
        self._connect()
        self.open_section(steps[0])

    def only_selected(self) -> bool:
        """Whether the user wants the selected layers only."""
        return self.scope.currentText() == SELECTED

    def current(self) -> str:
        """The step whose section is open."""
        return next((name for name, section in self.sections.items() if section.is_open()), "")

    def configs(self) -> dict[str, Any]:
        """Config of every step and of the statistics; what is not shown, or not right, has its kept settings."""
        configs = {}
        for name in STEPS:
            panel = self.panels.get(name)
            default = PANELS[name].default()
            configs[name] = kept_config(name, default) if panel is None or panel.error() else panel.value()
        if "detect" in self.panels and not self.panels["detect"].statistics.error():
            configs["statistics"] = self.panels["detect"].statistics.value()
        return configs

    def model(self) -> Any:
        """The model that Detect is to use, or None."""
        return self.panels["detect"].model() if "detect" in self.panels else None

    def threshold(self) -> float:
        """Lowest confidence to show."""
        return self.configs()["detect"].threshold

    def blocked(self, step: str) -> str:
        """Why a step cannot start now, or an empty string."""
        needed = list(self._errors) if step == "run" else ["match", step] if step in NEEDS_LATTICE else [step]
        reasons = [self._problem, *(self._errors.get(name, "") for name in needed)]
        return next((reason for reason in reasons if reason), "")

    def show_understood(self, text: str, notes: list[str], problem: str, errors: Mapping[str, str]) -> None:
        """Show what the layers mean, remarks, and what blocks Start."""
        self._problem, self._errors = problem, dict(errors)
        lines = [f"<b>{text}</b>"] if text else []
        lines += [f'<font color="{RED}">{problem}</font>'] if problem else []
        lines += [f"<i>{note}</i>" for note in dict.fromkeys(notes)]
        lines += [f'<font color="{RED}">{name.capitalize()}: {why}</font>' for name, why in errors.items() if why]
        self.understood.setText("<br>".join(lines))

    def show_remarks(self, remarks: Mapping[str, str]) -> None:
        """Show a short result in the headers of the sections; an empty one leaves what is there."""
        for name, remark in remarks.items():
            if remark:
                self.show_remark(name, remark)

    def show_remark(self, name: str, remark: str) -> None:
        """Show a short result in the header of a section, or none any more."""
        if name in self.sections:
            mark = "" if not remark or remark.startswith(WARNING_SIGN) else "✓ "
            self.sections[name].set_title(f"{self.panels[name].title}  {mark}{remark}".rstrip())
            self.sections[name].header.setToolTip(remark)

    def forget(self, name: str) -> None:
        """Take back a short result and what the panel tells at length."""
        self.show_remark(name, "")
        self.panels[name].forget()

    def open_section(self, name: str) -> None:
        """Open a section; the others close."""
        self.sections[name].set_open(True)

    def show_stopping(self) -> None:
        """Say that Stop was heard."""
        self.stop.setEnabled(False)
        self.stop.setText("Stopping …")

    def set_running(self, running: bool) -> None:
        """Enable what can be pressed now."""
        step = self.current()
        self.start.setText(f"Start {self.panels[step].title}" if step else "Start")
        self._allow(self.start, step, running)
        if self.run is not None:
            self._allow(self.run, "run", running)
        if not running or self.stop.text() == "Stop":
            self.stop.setText("Stop")
            self.stop.setEnabled(running)

    def _allow(self, button: QPushButton, step: str, running: bool) -> None:
        reason = "a job is running" if running else self.blocked(step) if step else "open a section first"
        button.setEnabled(not reason)
        button.setToolTip(reason or "Works on the images named above")

    def _build(self, steps: tuple[str, ...]) -> None:
        self.setMinimumWidth(MIN_WIDTH_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._top())
        layout.addWidget(self._sections(steps), 1)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        layout.addWidget(line)
        self.folder = FolderRow()
        self.folder.setVisible(len(steps) > 1)
        layout.addWidget(self.folder)
        self.progress = ProgressPanel()
        layout.addWidget(self.progress)
        layout.addLayout(self._buttons(len(steps) > 1))

    def _top(self) -> QVBoxLayout:
        top = QVBoxLayout()
        self.scope = QComboBox()
        self.scope.addItems([ALL_LAYERS, SELECTED])
        self.scope.setToolTip("Which layers to work on; our own results never count")
        self.understood = QLabel()
        self.understood.setWordWrap(True)
        self.understood.setTextFormat(Qt.TextFormat.RichText)
        self.device = DeviceRow()
        row = QHBoxLayout()
        row.addWidget(QLabel("Work on"))
        row.addWidget(self.scope, 1)
        self.spread = QToolButton()
        self.spread.setText("Side by side")
        self.spread.setToolTip("Move images that lie on top of each other into a row; results move with them")
        row.addWidget(self.spread)
        top.addLayout(row)
        top.addWidget(self.understood)
        top.addWidget(self.device)
        return top

    def _sections(self, steps: tuple[str, ...]) -> QScrollArea:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(2)
        for name in steps:
            section = Fold(self.panels[name].title)
            section.set_content(self.panels[name])
            self.sections[name] = section
            column.addWidget(section)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        return area

    def _buttons(self, with_run: bool) -> QHBoxLayout:
        row = QHBoxLayout()
        self.start = QPushButton("Start")
        self.run = QPushButton("Run all") if with_run else None
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Ends the job within one tile or training step; nothing that was found is lost")
        for button in (self.start, self.run, self.stop):
            if button is not None:
                row.addWidget(button)
        return row

    def _connect(self) -> None:
        self.start.clicked.connect(self._on_start)
        self.stop.clicked.connect(self.stop_requested)
        self.spread.clicked.connect(self.spread_requested)
        if self.run is not None:
            self.run.clicked.connect(self._on_run)
        self.scope.currentTextChanged.connect(self.changed)
        for name, panel in self.panels.items():
            panel.changed.connect(self.changed)
            self.sections[name].toggled.connect(self._on_toggled)

    def _on_start(self) -> None:
        self.start_requested.emit(self.current())

    def _on_run(self) -> None:
        self.start_requested.emit("run")

    def _on_toggled(self, is_open: bool) -> None:
        """Keep one section open at a time, so that Start is never ambiguous."""
        if is_open:
            for section in self.sections.values():
                if section is not self.sender():
                    section.set_open(False)
            if self.current() == "detect":
                self.panels["detect"].models.refresh()
        self.changed.emit()
