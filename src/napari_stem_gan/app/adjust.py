"""Adjust by hand: the mouse moves, turns and stretches the ghost of a lattice; Snap refines it, Escape gives up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Points
from qtpy.QtCore import QObject, Signal

from napari_stem_gan.app.ghost import Ghost
from napari_stem_gan.app.layers import Source
from napari_stem_gan.app.placement import Placement, drag_of, nominal_placement
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.image import A_PER_NM

LEFT = 1


class Adjust(QObject):
    """The mode in which dragging moves the ghost; at most one lattice at a time.

    Signals
    -------
    changed
        Whether the mode is on now.

    Parameters
    ----------
    viewer
        napari viewer; only its selection and its layers' public mouse callbacks are used.
    ghost
        Draws the lattice.
    parent
        Qt parent.
    """

    changed = Signal(bool)

    def __init__(self, viewer: Any, ghost: Ghost, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._ghost = ghost
        self._layer: Points | None = None
        self._selection: list[Any] = []
        self.source: Source | None = None
        self.frame = 0
        self.placement: Placement | None = None
        self._match: Any = None

    def is_on(self) -> bool:
        """Whether a lattice is being adjusted."""
        return self._layer is not None

    def begin(self, source: Source, frame: int, match: Any) -> None:
        """Start with the lattice of a match, or with the nominal one where nothing was accepted.

        Parameters
        ----------
        source
            The image or stack.
        frame
            Index of the image in the stack.
        match
            What Match found on it; refused ones name the material and the pixel size.
        """
        self.finish()
        self.source, self.frame, self._match = source, frame, match
        self.placement = start_placement(match, source)
        self._layer = self._ghost.draw_placement(source, frame, self._material(), self.placement)
        self._layer.visible = True
        self._selection = [one for one in self._viewer.layers.selection if one is not self._layer]
        self._viewer.layers.selection.active = self._layer  # its mouse callbacks are the ones that are called
        self._layer.mouse_pan = False
        self._layer.mouse_drag_callbacks.append(self._on_drag)
        self._layer.bind_key("Escape", self._on_escape, overwrite=True)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self.changed.emit(True)

    def start(self) -> Any:
        """The lattice as it lies now, in the form of a match, for `workflow.snap_image`."""
        lies = self.placement.centred(self.source.shape)
        return replace(self._match, lattice_vectors_px=lies.vectors_px, origin_px=lies.origin_px, warp=None)

    def finish(self) -> None:
        """Leave the mode: the mouse, the key and the selection are the viewer's again."""
        if self._layer is None:
            return
        layer, self._layer = self._layer, None
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        layer.mouse_drag_callbacks.remove(self._on_drag)
        layer.bind_key("Escape", None)
        layer.mouse_pan = True
        if layer in self._viewer.layers.selection:
            self._viewer.layers.selection = {one for one in self._selection if one in self._viewer.layers}
        self.changed.emit(False)

    def _material(self) -> Material:
        return get_material(self._match.material)

    def _on_escape(self, _: Any) -> None:
        self.finish()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer or event.value is self.source.layer:
            self.finish()

    def _on_drag(self, _: Any, event: Any) -> Iterator[None]:
        """napari's drag callback: one part before the first yield, one per move, one after the release."""
        if event.button != LEFT:
            return
        source, begun, kind = self.source, self.placement, drag_of(event.modifiers)
        press, about = self._pixel(event), np.array(source.shape) / 2
        self._ghost.hold(source, self.frame, self._material(), begun, press)
        event.handled = True
        yield
        while event.type == "mouse_move" and self.is_on():
            self.placement = begun.dragged(kind, press, self._pixel(event), about)
            self._ghost.move(source, self.frame, self.placement)
            event.handled = True
            yield
        if self.is_on():
            self._ghost.draw_placement(source, self.frame, self._material(), self.placement)

    def _pixel(self, event: Any) -> Any:
        return np.asarray(self.source.layer.world_to_data(event.position)[-2:], dtype=float)


def start_placement(match: Any, source: Source) -> Placement:
    """Where the ghost begins: the match's lattice, or the material's nominal one in the middle of the image."""
    if match.accepted:
        vectors, origin = (np.asarray(one, dtype=float) for one in (match.lattice_vectors_px, match.origin_px))
        return Placement(vectors, origin).centred(source.shape)
    size_nm = source.pixel_size_nm
    size = match.nominal_pixel_size_A or (None if size_nm is None else size_nm * A_PER_NM)
    return nominal_placement(get_material(match.material), size, source.shape)
