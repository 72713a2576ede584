"""The defect layers of a viewer under the user's hand: filled from candidates, edited, undone, saved and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer, Points
from napari.utils.events import EmitterGroup, Event

from napari_stem_gan.app import points
from napari_stem_gan.app.curation import CANDIDATE, DECIDED, GONE, PLACE, CandidatePoints, Columns
from napari_stem_gan.app.layers import Source
from napari_stem_gan.detect.table import PointTable

if TYPE_CHECKING:
    from napari_stem_gan.app.results import ResultLayers

KIND = "defects"
EDITS = ("added", "removed", "changed")
REACH_PER_SIZE = 0.5  # of a point's size: what is this near is the same place


@dataclass(frozen=True)
class Curated:
    """The candidates of one source.

    Parameters
    ----------
    source
        The image layer.
    points
        All candidates with the user's decisions.
    pixels
        The array they were found on: decisions hold for no other.
    size_px
        Size of a point, from the lattice.
    """

    source: Layer
    points: CandidatePoints
    pixels: Any
    size_px: float

    @property
    def reach_px(self) -> float:
        """What is this near is the same place."""
        return REACH_PER_SIZE * self.size_px


class CuratedLayers:
    """All defect layers of a viewer; `events.edited` tells that a decision or a point changed.

    Parameters
    ----------
    results
        Our layers in the viewer.
    """

    def __init__(self, results: ResultLayers) -> None:
        self.events = EmitterGroup(source=self, edited=Event)
        self.threshold = 0.5
        self.rejected_shown = False
        self._results = results
        self._of: dict[int, Curated] = {}
        self._changed: list[CandidatePoints] = []  # what undo takes back, last one first
        self._stale: list[CandidatePoints] = []  # edited with napari's tools, and not drawn anew since
        self._filling = False

    def show(self, source: Source, columns: Columns, threshold: float, size: float) -> Points:
        """Show new candidates of a source; decisions on the same image are taken over."""
        new = CandidatePoints(columns, source.layer.ndim, source.name)
        before = self._of.get(id(source.layer))
        if before is not None and before.pixels is source.data and self._results.find(source.layer, KIND) is not None:
            new.take_decisions(before.points.columns, REACH_PER_SIZE * size)
            new.forget_past()
            self._changed = [one for one in self._changed if one is not before.points]
        self.threshold = threshold
        self._of[id(source.layer)] = Curated(source.layer, new, source.data, size)
        return self._fill(self._of[id(source.layer)])

    def each(self) -> Iterator[tuple[Curated, Points]]:
        """Candidates and their layer, for every source whose layer is still in the viewer."""
        for source, layer in self._results.of_kind(KIND):
            yield self._of[id(source)], layer

    def of_layer(self, layer: Layer | None) -> Curated | None:
        """The candidates that a layer shows."""
        return next((one for one, mine in self.each() if mine is layer), None)

    def filter(self, threshold: float) -> list[str]:
        """Show what counts at a threshold; names of the defects."""
        self.threshold = threshold
        for one, layer in list(self.each()):
            self._take_over(one, layer)
            self._fill(one)
        return self.defects()

    def show_rejected(self, shown: bool) -> None:
        """Show or hide rejected points."""
        self.rejected_shown = shown
        self.filter(self.threshold)

    def defects(self) -> list[str]:
        """Names of all defects that count now."""
        every = [(one.points.columns, one.points.rows(self.threshold)) for one, _ in self.each()]
        return [str(name) for columns, rows in every for name in columns["defect"][rows]]

    def kept_below(self) -> int:
        """How many points count only because the user accepted them: they are less sure than the threshold."""
        every = [(one.points.columns, one.points.rows(self.threshold)) for one, _ in self.each()]
        return sum(int((np.asarray(c["confidence"], float)[rows] < self.threshold).sum()) for c, rows in every)

    def decide(self, layer: Points, indices: Sequence[int], decision: str) -> bool:
        """Give points of a layer, by their index in it, a decision; False if that changes nothing."""
        one = self.of_layer(layer)
        ids = np.asarray(layer.features[CANDIDATE], int)[list(indices)] if one is not None else []
        if one is None or not one.points.decide([int(row) for row in ids], decision):
            return False
        self._changed.append(one.points)
        self._fill(one)
        self.events.edited()
        return True

    def undo(self) -> bool:
        """Take the last change in any image back; False if there is none."""
        while self._changed:
            last = self._changed.pop()
            one = next((one for one, _ in self.each() if one.points is last), None)
            if one is not None and last.undo():
                self._fill(one)
                self.events.edited()
                return True
        return False

    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._changed)

    def take_table(self, source: Source, columns: Columns) -> int:
        """Take over the decisions of a table of this source; returns how many there were.

        The rows of a source that was not searched yet become its candidates.
        """
        one = self._of.get(id(source.layer))
        if one is None or self._results.find(source.layer, KIND) is None:
            self.show(source, columns, self.threshold, points.DEFAULT_SIZE_PX)
            self.events.edited()
            return int(np.isin(columns.get("decision", []), DECIDED).sum())
        count = one.points.take_decisions(columns, one.reach_px)
        if count:
            self._changed.append(one.points)
            self._fill(one)
            self.events.edited()
        return count

    def tables(self, *, rejected: bool = False) -> list[Columns]:
        """Columns of our table for each source, as what counts is now; rejected rows last, if asked for."""
        return [self._table(one, one.points.rows(self.threshold, rejected=rejected)) for one, _ in self.each()]

    def decisions(self) -> list[Columns]:
        """Columns of our table for each source: the rows that the user decided on."""
        every = [(one, np.flatnonzero(np.isin(one.points.columns["decision"], DECIDED))) for one, _ in self.each()]
        return [self._table(one, rows) for one, rows in every if len(rows)]

    def candidates(self) -> PointTable:
        """All candidates of all sources under their layers' present names; points drawn and deleted again are gone."""
        parts = []
        for one, _ in self.each():
            columns = {name: np.asarray(values) for name, values in one.points.columns.items()}
            columns["image"] = np.full(len(one.points), str(one.source.name))
            parts.append(PointTable(columns).where(columns["decision"] != GONE))
        return PointTable.concat(parts)

    def settle(self) -> None:
        """Draw layers anew that the user edited with napari's own tools: added points move to their sites."""
        stale, self._stale = self._stale, []
        for one, _ in list(self.each()):
            if any(one.points is other for other in stale):
                self._fill(one)

    def _table(self, one: Curated, rows: Any) -> Columns:
        features = {n: c[rows] for n, c in one.points.columns.items() if n not in PLACE}
        table = points.columns_of(one.points.coordinates(rows), features, one.source)
        return points.with_nm(table, one.points.columns)

    def _fill(self, one: Curated) -> Points:
        """Fill the layer, keeping the same points selected; what napari tells meanwhile is no edit."""
        data, features = one.points.contents(self.threshold, rejected=self.rejected_shown)
        layer = self._results.find(one.source, KIND)
        selected = set() if layer is None else {int(layer.features[CANDIDATE].iloc[i]) for i in layer.selected_data}
        self._filling = True
        try:
            shown = self._results.show_points(one.source, KIND, data, features, one.size_px)
        finally:
            self._filling = False
        if shown is not layer:
            shown.events.data.connect(self._on_data)
        if selected:
            shown.selected_data = {i for i, row in enumerate(features[CANDIDATE]) if int(row) in selected}
        return shown

    def _on_data(self, event: Any) -> None:
        """Take over what the user did with napari's own tools."""
        one = None if self._filling or str(event.action) not in EDITS else self.of_layer(event.source)
        if one is not None:
            self._take_over(one, event.source)

    def _take_over(self, one: Curated, layer: Points) -> None:
        if one.points.take_over(layer, reach_px=one.reach_px):
            self._changed.append(one.points)
            self._stale.append(one.points)
            self.events.edited()
