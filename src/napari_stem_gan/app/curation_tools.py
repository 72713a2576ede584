"""Accept, reject, add and undo on the defect layers: connects the Detect panel's buttons and the layers' keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QTimer

from napari_stem_gan.app.csv_file import points_on
from napari_stem_gan.app.curated import CuratedLayers
from napari_stem_gan.app.curation import ACCEPTED, CANDIDATE, DECIDED, REJECTED
from napari_stem_gan.app.curation_row import CurationRow
from napari_stem_gan.app.evidence_view import EvidenceView, defect_names, site_of
from napari_stem_gan.app.points import set_next
from napari_stem_gan.app.session import Session

SOON_MS = 30
SEEN_PX = 14  # on the screen: at Next, the view is enlarged until a point is at least this wide


class CurationTools(QObject):
    """Connects the buttons of the Detect panel with the defect layers of a viewer.

    Keys work while one of these layers is the active one, on that layer alone: none of them is napari's.

    Parameters
    ----------
    viewer
        napari viewer.
    session
        What the panels of the viewer share.
    row
        Buttons and card of the Detect panel.
    """

    def __init__(self, viewer: Any, session: Session, row: CurationRow) -> None:
        super().__init__(row)
        self._viewer, self._session, self._row = viewer, session, row
        self._heard: list[Points] = []
        self._place = 0  # in the queue of undecided points
        self._evidence = EvidenceView(session, row.card)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self._on_settled)
        self._connect()

    @property
    def curated(self) -> CuratedLayers:
        """The defect layers with their candidates."""
        return self._session.results.curated

    def close(self) -> None:
        """Hear nothing any more; the keys are the layers' own again."""
        self._soon.stop()
        self.curated.events.edited.disconnect(self._on_edited)
        for layer in self._heard:
            layer.selected_data.events.items_changed.disconnect(self._on_selection)
            for key in self._keys():
                layer.bind_key(key, None)
        self._heard.clear()

    def refresh(self) -> None:
        """Listen to layers that are new, and show what is left to do."""
        for one, layer in self.curated.each():
            one.points.snap, one.points.named = partial(self._evidence.snapped, one), self._row.add.isChecked()
            if not any(layer is one for one in self._heard):
                self._heard.append(layer)
                layer.selected_data.events.items_changed.connect(self._on_selection)
            for key, do in self._keys().items():  # each time: another panel that was closed has given them back
                layer.bind_key(key, do, overwrite=True)
        self._soon.start()

    def step(self, by: int) -> None:
        """Go to the next or previous undecided point, the least sure first, image by image."""
        queue = self._queue()
        if not queue:
            show_info("Every point above the threshold is decided on")
            return
        current = self._current()
        if current in queue:
            self._place = queue.index(current) + by
        self._place %= len(queue)
        self._look_at(*queue[self._place])

    def accept(self) -> None:
        """Accept the selected points."""
        self._decide(ACCEPTED)

    def reject(self) -> None:
        """Reject the selected points."""
        self._decide(REJECTED)

    def undo(self) -> None:
        """Take the last change back."""
        self.curated.undo()

    def set_adding(self, on: bool) -> None:
        """Begin or end adding points by clicks on the image."""
        layer = self._layer()
        if layer is None:
            self._row.set_adding(False)
            return
        if on:
            self._viewer.layers.selection.active = layer
            one = self.curated.of_layer(layer)
            self._row.set_defects(defect_names(one.points.columns["defect"], self._evidence.match_of(one.source)))
            self._choose(self._row.defect.currentText())
        for one, _ in self.curated.each():
            one.points.named = on
        layer.mode = "add" if on else "select"
        self._row.set_adding(on)

    def load(self, path: str, sources: Sequence[Any]) -> None:
        """Take over the decisions of a CSV; an image that was not searched yet gets its points.

        What is wrong with the file is a notification.
        """
        try:
            parts, lost = points_on(path, sources)
        except (OSError, ValueError) as error:
            show_error(str(error))
            return
        count = sum(self.curated.take_table(source, columns) for source, columns in parts)
        self.refresh()
        more = f"; left out, because outside their image: {lost}" if lost else ""
        show_info(f"{count} decision{'s' if count != 1 else ''} taken over from {path}{more}")

    def _connect(self) -> None:
        row = self._row
        row.step_requested.connect(self.step)
        row.accept_requested.connect(self.accept)
        row.reject_requested.connect(self.reject)
        row.undo_requested.connect(self.undo)
        row.add_toggled.connect(self.set_adding)
        row.defect_chosen.connect(self._choose)
        row.rejected_toggled.connect(self._on_rejected)
        self.curated.events.edited.connect(self._on_edited)

    def _keys(self) -> dict[str, Any]:
        return {
            "Y": self._on_accept_key, "N": self._on_reject_key, ".": self._on_next_key, ",": self._on_previous_key,
            "Control-Z": self._on_undo_key,
        }  # fmt: skip

    def _queue(self) -> list[tuple[Points, int]]:
        """Layer and row of every undecided point, in the order to look at them."""
        least = self.curated.threshold
        return [(layer, int(row)) for one, layer in self.curated.each() for row in one.points.undecided(least)]

    def _current(self) -> tuple[Points, int] | None:
        """Layer and row of the one point that is selected."""
        layer = self._layer()
        if layer is None or len(layer.selected_data) != 1:
            return None
        return layer, int(layer.features[CANDIDATE].iloc[next(iter(layer.selected_data))])

    def _layer(self) -> Points | None:
        """The defect layer to work on: the active one, else one with selected points, else the first."""
        layers = [layer for _, layer in self.curated.each()]
        active = self._viewer.layers.selection.active
        chosen = [one for one in layers if one is active] + [one for one in layers if one.selected_data]
        return next(iter([*chosen, *layers]), None)

    def _decide(self, decision: str) -> None:
        layer, current, queue = self._layer(), self._current(), self._queue()
        if layer is None or not layer.selected_data:
            return
        reviewing = current in queue
        self._place = queue.index(current) if reviewing else self._place
        if self.curated.decide(layer, sorted(layer.selected_data), decision) and reviewing and len(queue) > 1:
            queue = self._queue()
            self._place = min(self._place, len(queue) - 1)
            self._look_at(*queue[self._place])

    def _look_at(self, layer: Points, row: int) -> None:
        """Select a point and bring it to the middle of the view."""
        index = int(np.flatnonzero(np.asarray(layer.features[CANDIDATE], int) == row)[0])
        for one in [one for _, one in self.curated.each() if one is not layer]:
            one.selected_data = set()
        if self._viewer.layers.selection.active is not layer:
            self._viewer.layers.selection.active = layer
        if str(layer.mode) == "pan_zoom":
            layer.mode = "select"
        world = layer.data_to_world(layer.data[index])
        if len(world) > 2:
            self._viewer.dims.set_point(range(len(world) - 2), world[:-2])
        camera = self._viewer.camera
        camera.center = (*camera.center[:-2], *(float(v) for v in world[-2:]))
        camera.zoom = max(camera.zoom, SEEN_PX / float(layer.size[index] * layer.scale[-1]))
        layer.selected_data = {index}

    def _choose(self, defect: str) -> None:
        layer = self._layer()
        if layer is not None and defect:
            set_next(layer, defect, site_of(defect), layer.features)

    def _on_settled(self) -> None:
        """Show what is selected and what is left; points that were drawn get their look and their site."""
        self.curated.settle()
        layer, current = self._layer(), self._current()
        one = None if current is None else self.curated.of_layer(layer)
        self._evidence.show(one, None if current is None else current[1])
        if one is not None and self._row.isVisible():
            self._row.bring_into_view()
        self._row.set_state(
            self._count_text(), selected=0 if layer is None else len(layer.selected_data),
            undo=self.curated.can_undo(), ready=layer is not None,
        )  # fmt: skip

    def _count_text(self) -> str:
        every = [(one.points, one.points.columns["decision"]) for one, _ in self.curated.each()]
        if not every:
            return ""
        left = len(self._queue())
        counts = {name: sum(int((said == name).sum()) for _, said in every) for name in DECIDED}
        return " · ".join([f"{left} undecided", *(f"{n} {name}" for name, n in counts.items() if n)])

    def _on_edited(self, event: Any = None) -> None:
        self._soon.start()

    def _on_selection(self, *_: Any) -> None:
        self._soon.start()

    def _on_rejected(self, shown: bool) -> None:
        self.curated.show_rejected(shown)

    def _on_accept_key(self, _: Any) -> None:
        self.accept()

    def _on_reject_key(self, _: Any) -> None:
        self.reject()

    def _on_next_key(self, _: Any) -> None:
        self.step(1)

    def _on_previous_key(self, _: Any) -> None:
        self.step(-1)

    def _on_undo_key(self, _: Any) -> None:
        self.undo()
