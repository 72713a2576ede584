"""What works on the viewer beside the steps: the lattice by hand, points shown, decided on, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_stem_gan.app.curation_tools import CurationTools
from napari_stem_gan.app.lattice_tools import LatticeTools
from napari_stem_gan.app.panel import StepPanel
from napari_stem_gan.app.point_tools import PointTools
from napari_stem_gan.app.session import Session
from napari_stem_gan.app.statistics_tools import StatisticsTools


class Tools:
    """The tools of the panels that are shown; None where their panel is not.

    Parameters
    ----------
    viewer
        napari viewer.
    session
        What the panels of this viewer share.
    panels
        Panels by the name of their step; Match has the lattice, Detect the points.
    """

    def __init__(self, viewer: Any, session: Session, panels: Mapping[str, StepPanel]) -> None:
        match, detect = panels.get("match"), panels.get("detect")
        self.lattice = None if match is None else LatticeTools(viewer, session, match.lattice)
        self.curation = None if detect is None else CurationTools(viewer, session, detect.curation)
        self.statistics = None if detect is None else StatisticsTools(viewer, session, detect.statistics)
        self.points = None if detect is None else PointTools(session, detect)
        every = (self.lattice, self.curation, self.statistics, self.points)
        self._all = [one for one in every if one is not None]

    def refresh(self) -> None:
        """Show what can be done now."""
        for one in self._all:
            one.refresh()

    def close(self) -> None:
        """Give mouse, keys and windows back."""
        for one in self._all:
            one.close()
