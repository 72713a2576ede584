"""One dock widget per step; each is the workbench with a single section and shares its session."""

from __future__ import annotations

from typing import Any

from napari_stem_gan.app.workbench import Workbench


class MatchWidget(Workbench):
    """Match alone."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, ("match",))


class SimulateWidget(Workbench):
    """Simulate alone."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, ("simulate",))


class AdaptWidget(Workbench):
    """Adapt alone."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, ("adapt",))


class DetectWidget(Workbench):
    """Detect alone."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, ("detect",))


class RestoreWidget(Workbench):
    """Restore alone."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, ("restore",))
