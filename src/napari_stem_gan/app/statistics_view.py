"""The Statistics fold of Detect: what to count by, the numbers, the plots, and Save."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_stem_gan.app.form import ConfigForm
from napari_stem_gan.app.scroll import scroll_to
from napari_stem_gan.detect.statistics_config import StatisticsConfig

GRID = "a grid of regions"
HEADS = ("", "n", "expected", "per nm²", "interval", "% of sites")
STALE = "<i>Points or threshold changed since; press Count.</i>"


class StatisticsView(QWidget):
    """Form of `StatisticsConfig` with Count and Save.

    `count_requested` asks for new numbers, `save_requested` carries the folder for their files.
    """

    count_requested = Signal()
    save_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots: Any = None
        self._build()
        self._connect()

    def value(self) -> StatisticsConfig:
        """The config; raises ValueError with a sentence if a field is wrong."""
        return self.form.value()

    def error(self) -> str:
        """What is wrong with a field, or an empty string."""
        return self.form.error()

    def set_value(self, config: StatisticsConfig) -> None:
        """Show a config."""
        self.form.set_value(config)

    def regions(self) -> str:
        """Name of the Shapes layer to count by, or an empty string for the grid."""
        return "" if self.by.currentIndex() == 0 else self.by.currentText()

    def set_regions(self, names: Sequence[str]) -> None:
        """Offer Shapes layers beside the grid."""
        if [self.by.itemText(k) for k in range(1, self.by.count())] == list(names):
            return
        keep = self.by.currentText()
        self.by.blockSignals(True)
        self.by.clear()
        self.by.addItems([GRID, *names])
        self.by.setCurrentIndex(max(0, self.by.findText(keep)))
        self.by.blockSignals(False)

    def set_state(self, *, ready: bool, running: bool) -> None:
        """Allow Count where there are points, and Save where there are numbers."""
        self.count.setEnabled(ready and not running)
        self.count.setText("Counting …" if running else "Count")
        self.save.setEnabled(self._plots is not None and not running)

    def show_progress(self, message: str, fraction: float) -> None:
        """Say what is being counted."""
        self.remark.setText(f"{message}, {100 * fraction:.0f} %")

    def show_remark(self, found: Any, *, stale: bool) -> None:
        """Say what pairs and regions tell, or that the numbers are of other points."""
        self.remark.setText(STALE if stale else verdicts(found))

    def show_statistics(self, found: Any) -> None:
        """Show numbers and plots of a `detect.session_statistics.Statistics`."""
        from napari_stem_gan.app.statistics_plots import StatisticsPlots

        if self._plots is None:
            self._plots = StatisticsPlots()
            self._rows.addWidget(self._plots)
        self.numbers.setText(density_table(found))
        self.numbers.show()
        self.show_remark(found, stale=False)
        self._plots.show_statistics(found)

    def bring_into_view(self) -> None:
        """Scroll until the numbers are seen."""
        if self.numbers.isVisible():
            scroll_to(self.numbers)

    @property
    def plots(self) -> Any:
        """The plots, once there are any."""
        return self._plots

    def _build(self) -> None:
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self.by = QComboBox()
        self.by.addItem(GRID)
        self.by.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.by.setMinimumContentsLength(8)
        self.by.setToolTip("Regions to count in: equal parts of each image, or what you drew in a Shapes layer")
        self.form = ConfigForm(StatisticsConfig(), basic=("regions",), hidden=("seed",))
        line = QFormLayout()
        line.addRow("Regions from", self.by)
        self.numbers, self.remark = QLabel(), QLabel()
        self.count, self.save = QPushButton("Count"), QPushButton("Save…")
        self.numbers.setToolTip(
            "Number above the threshold; sum of all confidences; density with its exact Poisson interval; "
            "share of the sublattice's sites"
        )
        self.count.setToolTip("Densities with exact intervals, pair correlation and map of the points that count now")
        self.save.setToolTip("Write CSV, PNG and all numbers into a folder")
        buttons = QHBoxLayout()
        buttons.addWidget(self.count)
        buttons.addWidget(self.save)
        for label in (self.numbers, self.remark):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.numbers.hide()
        self.numbers.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # never widens the panel
        self._rows.addLayout(line)
        self._rows.addWidget(self.form)
        self._rows.addLayout(buttons)
        self._rows.addWidget(self.numbers)
        self._rows.addWidget(self.remark)
        self.set_state(ready=False, running=False)

    def _connect(self) -> None:
        self.count.clicked.connect(self.count_requested)
        self.save.clicked.connect(self._on_save)

    def _on_save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for tables and plots")
        if folder:
            self.save_requested.emit(folder)


def density_table(found: Any) -> str:
    """Densities of the whole crystal as rich text, one row for each kind."""
    rows = ["".join(f"<th align='left'><small>{head}</small></th>" for head in HEADS)]
    for d in found.summary:
        share = f"{d.percent_of_sites:.2g}" if d.sites > 0 else ""
        cells = (
            escape(d.defect), f"{d.count:g}", f"{d.expected_count:.1f}", f"{d.per_nm2:.2g}",
            f"{d.low_per_nm2:.2g}–{d.high_per_nm2:.2g}", share,
        )  # fmt: skip
        rows.append("".join(f"<td><small>{cell}</small></td>" for cell in cells))
    area = f"{found.summary[0].area_nm2:.0f} nm² of crystal, {found.config.level_percent:g} % intervals"
    return f"<table cellspacing='3'>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>{area}"


def verdicts(found: Any) -> str:
    """What pairs and regions say, in words."""
    lines = [f"{escape(p.defect)}: {p.verdict} (p = {p.p_value:.2g})" for p in found.pairs]
    even = found.homogeneity.get(found.summary[-1].defect)
    if even is not None and even == even:  # NaN: fewer than two regions or points
        lines.append(f"regions differ as {'by chance' if even > 1 - found.config.level else 'hardly by chance'} "
                     f"(p = {even:.2g})")  # fmt: skip
    return "<br>".join(lines)
