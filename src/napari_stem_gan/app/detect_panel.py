"""Detect: points, threshold slider, legend, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QWidget,
)

from napari_stem_gan.app.curation_row import CurationRow
from napari_stem_gan.app.fold import Fold
from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.model_box import ModelBox
from napari_stem_gan.app.panel import WARNING_SIGN, StepPanel
from napari_stem_gan.app.statistics_view import StatisticsView
from napari_stem_gan.app.symbols import legend
from napari_stem_gan.detect.config import BALANCED, DetectConfig
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.threshold import ExpectedScores

SLIDER_STEPS = 1000
CANDIDATE_FLOOR = 0.05  # the finder keeps all candidates above, so that the slider needs no new inference
REVIEW = "Review points"
BALANCE = (
    "Sets the threshold at which wrong and missed points are expected to balance best (highest F1) by the confidences "
    "of all candidates: near 0.5 on clear images, lower on faint ones"
)
MEASURED = "Measured on vacancies planted into these images, and on them without their defects"
BY_CONFIDENCE = "By the confidences of all candidates, of every kind of defect"


class DetectPanel(StepPanel):
    """Form of `DetectConfig` with a slider for the threshold.

    `threshold_changed` carries the new threshold, `save_requested` the path of a CSV; `balance_requested` asks for
    the balanced threshold, and `remarked` says how many points count whenever that may have changed.
    """

    step = "detect"
    sentence = "Marks every vacancy and substitution on the images. The slider filters what was found, at once."
    basic = ()
    hidden = ("threshold",)
    threshold_changed = Signal(float)
    save_requested = Signal(str)
    balance_requested = Signal()
    remarked = Signal(str)

    @classmethod
    def default(cls) -> DetectConfig:
        """The config that Defaults puts back."""
        return DetectConfig()

    def __init__(self, parent: QWidget | None = None) -> None:
        self._answer: KnownAnswer | None = None
        self._balanced: ExpectedScores | None = None
        self._alone: list[str] = []
        self._unmatched = ""
        self._threshold = DetectConfig().threshold
        self._linked_at = self._threshold
        super().__init__(parent)

    def value(self) -> DetectConfig:
        """The config with the slider's threshold."""
        return replace(self.form.value(), threshold=self._threshold)

    def set_value(self, config: DetectConfig) -> None:
        """Show a config; its threshold goes to the slider, which a word leaves where it is."""
        super().set_value(config)
        if config.threshold != BALANCED:
            self.set_threshold(config.threshold)

    def threshold(self) -> float:
        """Lowest confidence shown."""
        return self._threshold

    def set_threshold(self, threshold: float) -> None:
        """Move the slider."""
        self.slider.blockSignals(True)
        self.slider.setValue(round(threshold * SLIDER_STEPS))
        self.slider.blockSignals(False)
        self._threshold = threshold
        self._show_threshold()

    def set_balanced(self, scores: ExpectedScores | None) -> None:
        """Move the slider to a balanced threshold; what to expect there is said until it moves on, None: no more."""
        self._balanced = scores
        self.set_threshold(self._threshold if scores is None else scores.threshold)

    def model(self) -> Any:
        """What to detect with: the session's model, a name or a path, or None for the shipped finder."""
        return self.models.value()

    def show_outcome(self, outcome: Outcome) -> str:
        """Offer the session's model; how many points there are is said where they are shown."""
        if outcome.model is not None:
            self.models.set_session_model(outcome.model)
        if outcome.detections is not None:
            self._answer, self._linked_at = outcome.known_answer, self._threshold
            self._alone, self._unmatched = network_alone(outcome), unmatched_text(outcome.matches or [])
            self._show_threshold()
        return ""

    def reset(self) -> None:
        """Back to the defaults; the points follow the slider."""
        super().reset()
        self.threshold_changed.emit(self._threshold)

    def show_points(self, defects: Sequence[str], tracks: str = "", *, kept_below: int = 0) -> None:
        """Show the legend with counts, and for a stack what happened over its frames.

        Parameters
        ----------
        defects
            Name of each point that counts.
        tracks
            What happened to them over the frames of a stack.
        kept_below
            How many of them are below the threshold, but were accepted.
        """
        count = count_text(len(defects), kept_below, self._threshold)
        self.remarked.emit(f"{WARNING_SIGN} {count}, {self._unmatched}" if self._unmatched else count)
        moved = f", linked at {self._linked_at:.2f}; Start links anew" if self._linked_at != self._threshold else ""
        lines = [legend(defects) if defects else "No point above the threshold.", tracks and tracks + moved]
        lines += [f"{WARNING_SIGN} {escape(sentence)}." for sentence in self._alone]
        self.save.setEnabled(True)
        self.show_result("<br>".join(line for line in lines if line))

    def set_ready(self, ready: bool) -> None:
        """Say whether there are points to save and to tell of."""
        self.save.setEnabled(ready)
        if not ready:
            self._answer = self._balanced = None
            self._show_threshold()
            self.show_result("")
            self.remarked.emit("")

    def allow_balance(self, allowed: bool) -> None:
        """Say whether there are candidates to balance the threshold on."""
        self.balance.setEnabled(allowed)

    def _build(self) -> None:
        super()._build()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(CANDIDATE_FLOOR * SLIDER_STEPS), SLIDER_STEPS)
        self.slider.setToolTip("Only points at least this confident are shown and saved; moving it needs no new search")
        self.number = QLabel()
        self.balance = QPushButton("Balance")
        self.balance.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.balance.setToolTip(BALANCE)
        self.balance.setEnabled(False)
        line = QHBoxLayout()
        line.addWidget(self.slider)
        line.addWidget(self.number)
        line.addWidget(self.balance)
        self.models = ModelBox()
        rows = QFormLayout()
        self.expected = QLabel()
        self.expected.setWordWrap(True)
        self.expected.hide()
        rows.addRow("Threshold", line)
        rows.addRow(self.expected)
        rows.addRow("Model", self.models)
        self.rows.insertLayout(1, rows)
        self.curation = CurationRow()
        self.review = Fold(REVIEW)
        self.review.set_content(self.curation)
        self.rows.insertWidget(self.rows.count() - 1, self.review)
        self.statistics = StatisticsView()
        self.counting = Fold("Statistics")
        self.counting.set_content(self.statistics)
        self.rows.insertWidget(self.rows.count() - 1, self.counting)
        self.save = self.add_button("Save CSV…", "Save the points that are shown, in nm and pixels")
        self.save.setEnabled(False)

    def _connect(self) -> None:
        super()._connect()
        self.slider.valueChanged.connect(self._on_slider)
        self.balance.clicked.connect(self.balance_requested)
        self.save.clicked.connect(self._on_save)
        self.statistics.form.changed.connect(self.changed)
        self.curation.counted.connect(self._on_counted)

    def _on_counted(self, text: str) -> None:
        self.review.set_title(f"{REVIEW}  {text.partition(' · ')[0]}".strip())

    def _on_slider(self, place: int) -> None:
        self._threshold = place / SLIDER_STEPS
        self._show_threshold()
        self.threshold_changed.emit(self._threshold)

    def _show_threshold(self) -> None:
        self.number.setText(f"{self._threshold:.2f}")
        text, tip = self._expectation()
        self.expected.setText(text)
        self.expected.setToolTip(tip)
        self.expected.setVisible(bool(text))

    def _expectation(self) -> tuple[str, str]:
        """What to expect at this threshold, as measured if it was, and how that is known."""
        if self._answer is not None:
            return self._answer.sentence(self._threshold), MEASURED
        if self._balanced is not None and self._balanced.threshold == self._threshold:
            return self._balanced.sentence, BY_CONFIDENCE
        return "", ""

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save points", "points.csv", "Points in nm (*.csv)")
        if path:
            self.save_requested.emit(path if path.lower().endswith(".csv") else f"{path}.csv")


def network_alone(outcome: Outcome) -> list[str]:
    """The workflow's sentences on images where the network worked alone, without a lattice."""
    from napari_stem_gan.workflow import without_lattice

    pairs = outcome.per_source(outcome.matches or [])
    every = [(source.name, match) for source, matches in pairs for match in matches]
    return without_lattice([name for name, _ in every], [match for _, match in every])


def unmatched_text(matches: Sequence[Any]) -> str:
    """E.g. ``1 of 3 without a lattice``, or an empty string."""
    lost = sum(not match.accepted for match in matches)
    return f"{lost} of {len(matches)} without a lattice" if lost else ""


def count_text(count: int, kept_below: int, threshold: float) -> str:
    """How many points count, e.g. ``85 points above 0.50`` or ``85 points above 0.50, 2 accepted below``."""
    above = count - kept_below
    more = f", {kept_below} accepted below" if kept_below else ""
    return f"{above} point{'s' if above != 1 else ''} above {threshold:.2f}{more}"
