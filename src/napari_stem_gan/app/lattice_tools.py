"""The lattice in the viewer: its ghost, the mode that adjusts it by hand, and its spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_stem_gan.app.adjust import Adjust
from napari_stem_gan.app.ghost import Ghost
from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.lattice_row import LatticeRow
from napari_stem_gan.app.layers import Source
from napari_stem_gan.app.session import Session
from napari_stem_gan.image import A_PER_NM

if TYPE_CHECKING:
    from napari_stem_gan.app.spectrum_view import SpectrumView


class LatticeTools(QObject):
    """Connects the row of the Match panel with the viewer.

    Signals
    -------
    snap_requested
        Index of an image among all frames of the session, and the lattice that was placed on it.

    Parameters
    ----------
    viewer
        napari viewer.
    session
        What the panels of the viewer share.
    row
        The row of the Match panel.
    """

    snap_requested = Signal(int, object)

    def __init__(self, viewer: Any, session: Session, row: LatticeRow) -> None:
        super().__init__(row)
        self._viewer = viewer
        self._session = session
        self._row = row
        self._view: SpectrumView | None = None
        self.ghost = Ghost(session.results)
        self.adjust = Adjust(viewer, self.ghost, self)
        self._connect()

    def refresh(self) -> None:
        """Allow what the session's matches allow; they may come from another panel."""
        self._row.set_ready(bool(self._matched()))

    def show_outcome(self, outcome: Outcome) -> None:
        """Show the lattice after Match or Snap; other steps put it out of the way of their results."""
        if outcome.matches is None:
            return
        if outcome.snapped is not None and not outcome.snapped.accepted:
            show_error(f"Snap: {outcome.snapped.reason}")
            return
        self.adjust.finish()
        self.ghost.take(self._matched())
        self.refresh()
        self._row.set_shown(outcome.step in ("match", "snap"))
        self.ghost.show(self._row.show_lattice.isChecked())
        if self._view is not None and self._view.isVisible():
            self.show_spectrum()

    def chosen(self) -> tuple[Source, int, Any] | None:
        """The image that is meant: source, frame and match of the selected layer, or of the first one."""
        matched = self._matched()
        if not matched:
            return None
        active = self._viewer.layers.selection.active
        meant = [pair for pair in matched if self._belongs(active, pair[0])]
        source, matches = (meant or matched)[0]
        frame = self._frame(source) if source.frames > 1 else 0
        return source, frame, matches[frame]

    def show_spectrum(self) -> None:
        """Open the spectrum of the chosen image, or fill the open window again."""
        from napari_stem_gan.app.spectrum_view import SpectrumView
        from napari_stem_gan.crystal.match import indexed_spots

        chosen = self.chosen()
        if chosen is None:
            return
        source, frame, match = chosen
        image = source.data if len(source.data.shape) == 2 else source.data[frame]
        grains = (match, *match.other_grains) if match.accepted else ()
        size_nm = match.pixel_size_A / A_PER_NM if match.pixel_size_A else None
        self._view = self._view or SpectrumView(self._row)
        self._view.show_image(spectrum_title(source, frame, match), image, [indexed_spots(g) for g in grains], size_nm)
        self._view.show()
        self._view.raise_()

    def close(self) -> None:
        """Give the mouse back to the viewer and close the window."""
        self.adjust.finish()
        if self._view is not None:
            self._view.close()

    def _connect(self) -> None:
        self._row.shown.connect(self.ghost.show)
        self._row.adjust_requested.connect(self._on_adjust)
        self._row.snap_requested.connect(self._on_snap)
        self._row.cancel_requested.connect(self.adjust.finish)
        self._row.spectrum_requested.connect(self.show_spectrum)
        self.adjust.changed.connect(self._on_changed)

    def _on_adjust(self) -> None:
        chosen = self.chosen()
        if chosen is None:
            show_error("run Match first; its lattice, accepted or not, is where adjusting by hand begins")
            return
        self.adjust.begin(*chosen)

    def _on_snap(self) -> None:
        if not self.adjust.is_on():
            return
        before = 0
        for source, matches in self._session.matched():
            if source.layer is self.adjust.source.layer:
                self.snap_requested.emit(before + self.adjust.frame, self.adjust.start())
                return
            before += len(matches)

    def _on_changed(self, on: bool) -> None:
        self._row.set_adjusting(on)
        if on:
            self._row.set_shown(True)
            return
        self.ghost.take(self._matched())  # what was there before, or what Snap made of it
        self.ghost.show(self._row.show_lattice.isChecked())

    def _matched(self) -> list[tuple[Source, list[Any]]]:
        """The matches of the layers that are still in the viewer."""
        return [pair for pair in self._session.matched() if pair[0].layer in self._viewer.layers]

    def _belongs(self, layer: Any, source: Source) -> bool:
        return layer is source.layer or any(layer is mine for mine in self._session.results.of_source(source.layer))

    def _frame(self, source: Source) -> int:
        """The frame of a stack that is shown now."""
        where = float(source.layer.world_to_data(self._viewer.dims.point)[0])
        return min(max(round(where), 0), source.frames - 1)


def spectrum_title(source: Source, frame: int, match: Any) -> str:
    """What the spectrum shows: image, pixel size, material."""
    name = f"{source.name} [{frame}]" if source.frames > 1 else source.name
    size = "pixel size unknown" if not match.pixel_size_A else f"{match.pixel_size_A / A_PER_NM:.5f} nm per pixel"
    if not match.accepted:
        return f"<b>{name}</b>, {size}<br>not matched: {match.reason}"
    return f"<b>{name}</b>, {size}<br>{match.label}, rotated {match.rotation_deg:.1f}°"
