"""Result layers: added once on their source, filled again at every run; layers of others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points

from napari_stem_gan.app import points
from napari_stem_gan.app.curated import CuratedLayers
from napari_stem_gan.app.curation import CANDIDATE, Columns
from napari_stem_gan.app.layers import Source, geometry

MARK = "napari-stem-gan"
INVENTED, ERASED = "invented", "erased"
BELOW_POINTS = ("restored", "probability")  # pictures of the source that its points belong on


@dataclass
class ResultLayers:
    """The layers that one viewer has from us.

    Parameters
    ----------
    viewer
        napari viewer; only its public layer list is used.
    """

    viewer: Any
    _layers: dict[tuple[int, str], tuple[Layer, Layer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.curated = CuratedLayers(self)

    def is_ours(self, layer: Layer) -> bool:
        """Whether `layer` is one of our results."""
        return any(layer is mine for _, mine in self._layers.values())

    def find(self, source: Layer, kind: str) -> Layer | None:
        """Our layer of a kind on a source, if it is still in the viewer."""
        _, layer = self._layers.get((id(source), kind), (None, None))
        return layer if layer is not None and layer in self.viewer.layers else None

    def of_kind(self, kind: str) -> list[tuple[Layer, Layer]]:
        """Pairs (source, our layer) of a kind that are still in the viewer."""
        pairs = [pair for (_, name), pair in self._layers.items() if name == kind]
        return [(source, layer) for source, layer in pairs if layer in self.viewer.layers]

    def of_source(self, source: Layer) -> list[Layer]:
        """All our layers on a source that are still in the viewer."""
        mine = [layer for layer_source, layer in self._layers.values() if layer_source is source]
        return [layer for layer in mine if layer in self.viewer.layers]

    def show_image(self, source: Layer, kind: str, data: Any, **display: Any) -> Image:
        """Show an image result, shape ``(Y, X)`` or ``(N, Y, X)``, on its source.

        Parameters
        ----------
        source
            The layer whose scale, translate, units and axis labels are carried over.
        kind
            Name of the result, e.g. ``restored``; one layer per source and kind.
        data
            The pixels.
        **display
            Options of `viewer.add_image` for the first time.

        Returns
        -------
        Image
            The layer.
        """
        layer = self.find(source, kind)
        if layer is not None and layer.ndim == data.ndim:
            layer.data = data
            layer.reset_contrast_limits()
            place(layer, geometry(source, data.ndim))
            return layer
        return self.add(source, kind, Image(data, name=_name(source, kind), **geometry(source, data.ndim), **display))

    def show_truth(
        self, source: Layer, data: Any, defects: Sequence[str], sublattices: Sequence[str], size: float
    ) -> Points:
        """Show true points ``(N, 3)`` of simulated images as (image, y, x)."""
        features = {
            "defect": np.asarray(defects, dtype=object),
            "sublattice": np.asarray(sublattices, dtype=object),
            "confidence": np.ones(len(data)),
            CANDIDATE: np.arange(len(data)),
        }
        return self.show_points(
            source, "simulated truth", np.asarray(data, dtype=float).reshape(len(data), 3), features, size
        )

    def show_candidates(self, source: Source, columns: Columns, threshold: float, size: float) -> Points:
        """Show the candidates of one source that are above the threshold, with what the user decided before."""
        return self.curated.show(source, columns, threshold, size)

    def show_changes(self, source: Source, invented: Any, erased: Any, size: float) -> Points | None:
        """Mark columns that restoration invented (+) or erased (×); None where there are none."""
        data = np.concatenate([invented, erased])
        layer = self.find(source.layer, "changed columns")
        if not len(data) and layer is None:
            return None
        names = np.array([INVENTED] * len(invented) + [ERASED] * len(erased), dtype=object)
        features = {"defect": names, "sublattice": np.full(len(data), "", object), "confidence": np.ones(len(data))}
        layer = self.show_points(source.layer, "changed columns", data, features, size)
        if len(data):
            layer.symbol = ["cross" if name == INVENTED else "x" for name in names]
        return layer

    def filter(self, threshold: float) -> list[str]:
        """Show the candidates above a threshold, without any new inference; names of the defects that count then."""
        return self.curated.filter(threshold)

    def defects(self) -> list[str]:
        """Names of all defects that count now, rejected ones not among them."""
        return self.curated.defects()

    def tables(self, *, rejected: bool = False) -> list[Columns]:
        """Columns of our table for each source with defects: what counts now; rejected points last, if asked for."""
        return self.curated.tables(rejected=rejected)

    def follow(self, source: Layer) -> None:
        """Put our layers of a source where it lies now, after its scale was corrected."""
        for layer in self.of_source(source):
            place(layer, geometry(source, layer.ndim))

    def show_points(self, source: Layer, kind: str, data: Any, features: dict[str, Any], size: float) -> Points:
        """Fill our points layer of a kind on a source, which is made if it is not there."""
        layer = self.find(source, kind)
        if layer is None or layer.ndim != data.shape[1]:
            kwargs = points.points_kwargs(source, data.shape[1], size)
            layer = Points(np.zeros((0, data.shape[1])), name=_name(source, kind), **kwargs)
            self.add(source, kind, layer)
        points.fill(layer, data, features)
        layer.size = size
        layer.current_size = size
        place(layer, geometry(source, data.shape[1]))
        return layer

    def add(self, source: Layer, kind: str, layer: Layer) -> Layer:
        """Put a new layer of ours on its source, and keep the user's selection."""
        selected = set(self.viewer.layers.selection)
        layer.metadata[MARK] = kind
        self._layers[id(source), kind] = (source, layer)
        self.viewer.add_layer(layer)
        if kind in BELOW_POINTS:
            self._put_below_points(source, layer)
        self.viewer.layers.selection = {one for one in selected if one in self.viewer.layers}
        return layer

    def raise_to_top(self, layer: Layer) -> None:
        """Put a layer of ours above all others."""
        layers = self.viewer.layers
        layers.move(layers.index(layer), len(layers))

    def _put_below_points(self, source: Layer, layer: Layer) -> None:
        """Move a new picture below our points on its source, which it would hide."""
        layers = self.viewer.layers
        above = [layers.index(one) for one in self.of_source(source) if isinstance(one, Points)]
        if above:
            layers.move(layers.index(layer), min(above))


def place(layer: Layer, where: dict[str, Any]) -> None:
    """Set scale, translate, units and axis labels of a layer where they differ; each costs a redraw."""
    for name, value in where.items():
        if not _same(getattr(layer, name), value):
            setattr(layer, name, value)


def _same(one: Any, other: Any) -> bool:
    one, other = (getattr(value, "affine_matrix", value) for value in (one, other))
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else tuple(one) == tuple(other)


def _name(source: Layer, kind: str) -> str:
    return f"{source.name} {kind}"
