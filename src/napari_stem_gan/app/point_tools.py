"""The threshold, the legend and the CSV of the defect layers: connects the Detect panel with what is shown."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject

from napari_stem_gan.app.csv_file import write_tables
from napari_stem_gan.app.detect_panel import DetectPanel
from napari_stem_gan.app.session import Session
from napari_stem_gan.app.tracks import follow_tracks
from napari_stem_gan.detect.threshold import balanced_threshold, expected_scores, session_probabilities


class PointTools(QObject):
    """Filters the points as the slider moves, keeps the legend true and saves what is shown.

    Parameters
    ----------
    session
        What the panels of the viewer share.
    panel
        The Detect panel.
    """

    def __init__(self, session: Session, panel: DetectPanel) -> None:
        super().__init__(panel)
        self._session, self._panel = session, panel
        self._results = session.results
        self._layers: tuple[int, ...] = ()
        panel.threshold_changed.connect(self.filter)
        panel.balance_requested.connect(self.balance)
        panel.save_requested.connect(self.save)
        self._results.curated.events.edited.connect(self.show_legend)

    def filter(self, threshold: float) -> None:
        """Show the points that are at least this sure."""
        self._show(self._results.filter(threshold))

    def balance(self) -> None:
        """Move the slider to the balanced threshold of the session's candidates."""
        confidence = session_probabilities([self._results.curated.candidates()])
        threshold = balanced_threshold(confidence)
        self._panel.set_balanced(expected_scores(confidence, threshold))
        self.filter(threshold)

    def show_legend(self, event: Any = None) -> None:
        """Count the points that are shown; what was expected of others holds no more."""
        self._panel.set_balanced(None)
        self._show(self._results.defects())

    def save(self, path: str) -> None:
        """Write the points that count, then the rejected ones, and a JSON beside them; a failure is a notification."""
        try:
            count = write_tables(path, self._results, self._session.provenance, self._panel.threshold())
        except (OSError, ValueError) as error:
            show_error(str(error))
            return
        rejected = count - len(self._results.defects())
        more = f", and {rejected} rejected," if rejected else ""
        show_info(f"{count - rejected} point{'s' if count - rejected != 1 else ''}{more} saved to {path}")

    def refresh(self) -> None:
        """Allow saving where there are points, and balancing where there are candidates; count them if a layer went."""
        layers = tuple(id(layer) for _, layer in self._results.of_kind("defects"))
        self._panel.set_ready(bool(layers))
        self._allow_balance()
        if layers != self._layers:
            self._layers = layers
            self._show(self._results.defects())

    def close(self) -> None:
        """Hear nothing any more."""
        self._results.curated.events.edited.disconnect(self.show_legend)

    def _allow_balance(self) -> None:
        self._panel.allow_balance(any(len(one.points) for one, _ in self._results.curated.each()))

    def _show(self, defects: list[str]) -> None:
        self._allow_balance()
        if self._results.of_kind("defects"):
            below = self._results.curated.kept_below()
            self._panel.show_points(defects, follow_tracks(self._results), kept_below=below)
