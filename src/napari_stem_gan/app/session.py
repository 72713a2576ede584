"""What the panels of one viewer share, and how a corrected pixel size is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari.layers import Layer

from napari_stem_gan.app.jobs import Outcome, Request
from napari_stem_gan.app.layers import Source
from napari_stem_gan.app.pixel_size import is_length, unit_in_nm
from napari_stem_gan.app.results import ResultLayers

GAP = 0.06  # of an image's width


class Session:
    """Our layers, the last matches and simulations, and what the points were made from.

    Parameters
    ----------
    viewer
        napari viewer.
    """

    def __init__(self, viewer: Any) -> None:
        self.results = ResultLayers(viewer)
        self.match_config: Any = None
        self.provenance: Mapping[str, Any] = {}
        self._matches: tuple[Any, ...] | None = None
        self._simulated: Sequence[Any] | None = None
        self._sources: tuple[Source, ...] = ()
        self._made_of: Any = None

    @property
    def simulated(self) -> Sequence[Any]:
        """The simulated images of the last Simulate."""
        return self._simulated or ()

    def known(self, config: Any, sources: Sequence[Source]) -> tuple[tuple[Any, ...] | None, Sequence[Any] | None]:
        """Matches and simulations that still hold for these layers and this match config, or None."""
        if self._made_of != (config, [source.key() for source in sources]):
            return None, None
        return self._matches, self._simulated

    def matched(self) -> list[tuple[Source, list[Any]]]:
        """The layers that were matched last, each with the matches of its frames."""
        if self._matches is None:
            return []
        return Outcome(step="match", sources=self._sources).per_source(self._matches)

    def remember(self, request: Request, outcome: Outcome) -> None:
        """Keep what later steps can use again."""
        if outcome.matches is not None:
            made_of = (request.configs["match"], [source.key() for source in outcome.sources])
            if made_of != self._made_of or outcome.snapped is not None:
                self._simulated = None
            self._matches, self._sources, self._made_of = tuple(outcome.matches), tuple(outcome.sources), made_of
        if outcome.simulated is not None:
            self._simulated = outcome.simulated
        if outcome.detections is not None:
            self.provenance = outcome.provenance

    def calibrated(self, sources: Sequence[Source]) -> None:
        """Hold on to the matches after the layers got the pixel size that the matches themselves gave.

        Parameters
        ----------
        sources
            The same layers as before, read again.
        """
        before = [source.layer for source in self._sources]
        if self._matches is None or [source.layer for source in sources] != before:
            return
        self._sources = tuple(sources)
        self._made_of = (self._made_of[0], [source.key() for source in sources])


def lie_on_each_other(sources: Sequence[Source]) -> bool:
    """Whether points on one image would be seen on another, because their layers overlap."""
    boxes = [source.layer.extent.world[:, -2:] for source in sources]
    pairs = ((a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    return any(bool((a[0] < b[1]).all() and (b[0] < a[1]).all()) for a, b in pairs)


def side_by_side(sources: Sequence[Source], results: ResultLayers) -> None:
    """Move layers into a row, in the order of the layer list; their results move with them.

    Parameters
    ----------
    sources
        The layers; the first one stays.
    results
        Our layers.
    """
    place: list[float] | None = None
    for source in sources:
        layer = source.layer
        if place is not None:
            layer.translate = (*layer.translate[:-2], *place)
            results.follow(layer)
        width = source.shape[1] * abs(float(layer.scale[-1]))
        place = [float(layer.translate[-2]), float(layer.translate[-1]) + width * (1 + GAP)]


def set_pixel_size(layer: Layer, size_nm: float) -> None:
    """Give a layer a pixel size in nm; it stays where it begins.

    Parameters
    ----------
    layer
        Image ``(Y, X)`` or stack ``(T, Y, X)``.
    size_nm
        Height and width of a pixel.
    """
    lead = layer.ndim - 2
    begins = [
        float(value) * (unit_in_nm(unit) if is_length(unit) else 1.0)
        for value, unit in zip(layer.translate[-2:], layer.units[-2:], strict=True)
    ]
    layer.scale = (*layer.scale[:lead], size_nm, size_nm)
    layer.translate = (*layer.translate[:lead], *begins)
    layer.units = (*layer.units[:lead], "nm", "nm")
