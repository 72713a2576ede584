"""Hears what changes in the viewer, and calls back once things have settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

LATER_MS = 50


class Listener(QObject):
    """Calls `on_change` a moment after layers, their places, names, data or the selection change.

    Parameters
    ----------
    viewer
        napari viewer.
    on_change
        Takes nothing.
    parent
        Qt parent.
    """

    def __init__(self, viewer: Any, on_change: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._heard: list[tuple[Any, Callable[..., None]]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LATER_MS)
        self._timer.timeout.connect(on_change)
        layers = viewer.layers
        for emitter in (layers.events.inserted, layers.events.removed, layers.selection.events.changed):
            self._hear(emitter, self._later)
        self._hear(layers.events.inserted, self._on_inserted)
        for layer in layers:
            self._watch(layer)

    def close(self) -> None:
        """Hear nothing any more."""
        self._timer.stop()
        for emitter, slot in self._heard:
            emitter.disconnect(slot)
        self._heard.clear()

    def _watch(self, layer: Layer) -> None:
        events = layer.events
        for emitter in (events.scale, events.translate, events.units, events.name, events.data):
            self._hear(emitter, self._later)

    def _hear(self, emitter: Any, slot: Callable[..., None]) -> None:
        emitter.connect(slot)
        self._heard.append((emitter, slot))

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _later(self, event: Any = None) -> None:
        self._timer.start()
