"""The fitted lattice as a ghost over the image: column sites, the unit cell, and other grains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Layer, Points, Vectors
from numpy.typing import NDArray

from napari_stem_gan.app.layers import Source, geometry
from napari_stem_gan.app.placement import Placement
from napari_stem_gan.app.points import awake
from napari_stem_gan.app.results import ResultLayers, place
from napari_stem_gan.app.symbols import GRAIN_LOOK, VERMILION, YELLOW, Look, sublattice_looks
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import Sites

LATTICE, CELL, GRAINS = "lattice", "unit cell", "other grains"
KINDS = (LATTICE, CELL, GRAINS)
MOST_SITES = 60_000  # of all frames of a layer together
MOST_DRAGGED = 1500  # so that a redraw while dragging stays within a few ms
SIZE_PER_NEIGHBOUR = 0.5
CANVAS_SIZE_LIMITS = (3, 40)
BORDER_WIDTH = 0.18
ARROW_WIDTH_PX = 1.5
ARROW_COLOURS = [Look("", "", colour).rgba for colour in (YELLOW, VERMILION)]
OPACITY = 0.9


@dataclass(frozen=True)
class Lattice:
    """Some sites of a lattice on one frame of a layer, and the cell it is made of."""

    frame: int
    sites: Sites
    cell: Placement

    @property
    def neighbour_px(self) -> float:
        """Smallest distance of two columns in pixels."""
        areas = np.linalg.det(self.cell.vectors_px) / np.linalg.det(self.sites.material.cell)
        return float(self.sites.material.neighbour_distance_A * np.sqrt(abs(areas)))

    def fewer(self, most: int, near_px: Any = None) -> Lattice:
        """At most `most` sites, those nearest to a point or, without one, to the middle of them all."""
        positions = self.sites.positions_px
        if len(positions) <= most:
            return self
        middle = positions.mean(axis=0) if near_px is None else np.asarray(near_px)
        nearest = np.argpartition(((positions - middle) ** 2).sum(axis=1), most)[:most]
        return replace(self, sites=self.sites.where(nearest))


class Ghost:
    """The lattice layers of one viewer; made when they are first shown, hidden and shown after that.

    Parameters
    ----------
    results
        Our layers in the viewer.
    """

    def __init__(self, results: ResultLayers) -> None:
        self._results = results
        self._waiting: dict[int, tuple[Source, Sequence[Any]]] = {}
        self._held: NDArray[np.float64] = np.zeros((0, 2))  # fractions of the sites that follow the mouse

    def take(self, pairs: Iterable[tuple[Source, Sequence[Any]]]) -> None:
        """Remember what to draw: a source and the match of each of its frames."""
        self._waiting.update({id(source.layer): (source, matches) for source, matches in pairs})

    def show(self, shown: bool) -> None:
        """Draw what was taken since, and show or hide all lattices."""
        if shown:
            for source, matches in self._waiting.values():
                if source.layer in self._results.viewer.layers:
                    self.draw(source, matches)
            self._waiting.clear()
        for kind in KINDS:
            for _, layer in self._results.of_kind(kind):
                if layer.visible != shown:
                    layer.visible = shown

    def draw(self, source: Source, matches: Sequence[Any]) -> None:
        """Draw the matches of a layer's frames; a frame without an accepted match gets no lattice."""
        most = MOST_SITES // max(1, len(matches))
        found = [grains_of(match, frame, source.shape) for frame, match in enumerate(matches) if match.accepted]
        lattices = [grains[0].fewer(most) for grains in found]
        others = [grain.fewer(most) for grains in found for grain in grains[1:]]
        self._points(source, LATTICE, lattices)
        self._cells(source, lattices)
        if others or self._results.find(source.layer, GRAINS) is not None:
            self._points(source, GRAINS, others, look=GRAIN_LOOK)

    def draw_placement(self, source: Source, frame: int, material: Material, lies: Placement) -> Points:
        """Draw a lattice that was placed by hand on one frame; returns the layer that the mouse moves."""
        lattice = Lattice(frame, lies.sites(material, source.shape), lies.centred(source.shape))
        self._cells(source, [lattice])
        if self._results.find(source.layer, GRAINS) is not None:
            self._points(source, GRAINS, [], look=GRAIN_LOOK)
        return self._points(source, LATTICE, [lattice.fewer(MOST_SITES)])

    def hold(self, source: Source, frame: int, material: Material, lies: Placement, near_px: Any) -> None:
        """Keep the sites nearest to where the mouse was pressed; they follow `move`, the rest waits."""
        lattice = Lattice(frame, lies.sites(material, source.shape), lies).fewer(MOST_DRAGGED, near_px)
        self._held = lies.fractions(lattice.sites.positions_px)
        self._points(source, LATTICE, [lattice])

    def move(self, source: Source, frame: int, lies: Placement) -> None:
        """Put the held sites, and the cell, where the lattice lies now."""
        ndim = source.layer.ndim
        sites, cell = (self._results.find(source.layer, kind) for kind in (LATTICE, CELL))
        if sites is not None:
            put_quietly(sites, _coordinates([(frame, lies.positions(self._held))], ndim))
        if cell is not None:
            put_quietly(cell, arrows([(frame, lies.centred(source.shape))], ndim))

    def _points(self, source: Source, kind: str, lattices: Sequence[Lattice], look: Look | None = None) -> Points:
        ndim = source.layer.ndim
        layer = self._results.find(source.layer, kind)
        if layer is None or layer.ndim != ndim:
            layer = Points(np.zeros((0, ndim)), name=f"{source.name} {kind}", **_points_style(source))
            self._results.add(source.layer, kind, layer)
        with awake(layer):
            fill(layer, lattices, look)
        place(layer, geometry(source.layer, ndim))
        return layer

    def _cells(self, source: Source, lattices: Sequence[Lattice]) -> None:
        """Draw a1 and a2 as two arrows from one cell origin on each frame."""
        ndim = source.layer.ndim
        layer = self._results.find(source.layer, CELL)
        if layer is None or layer.ndim != ndim:
            style = {"vector_style": "arrow", "edge_width": ARROW_WIDTH_PX, "opacity": OPACITY}
            layer = Vectors(ndim=ndim, name=f"{source.name} {CELL}", **style, **geometry(source.layer, ndim))
            self._results.add(source.layer, CELL, layer)
        with awake(layer):
            put(layer, arrows([(one.frame, one.cell) for one in lattices], ndim))
            if lattices:
                layer.edge_color = np.array(ARROW_COLOURS * len(lattices))
        place(layer, geometry(source.layer, ndim))


def grains_of(match: Any, frame: int, shape: tuple[int, int]) -> list[Lattice]:
    """The lattice of an accepted match and those of its other grains, each with the sites that are its own."""
    sites = match.sites(shape)
    owner = np.zeros(len(sites), int)
    for index, other in enumerate(match.other_grains, start=1):
        owner[np.isin(_as_numbers(sites), _as_numbers(other.sites(shape)))] = index
    grains = (match, *match.other_grains)
    return [Lattice(frame, sites.where(owner == i), _cell_of(grain)) for i, grain in enumerate(grains)]


def _as_numbers(sites: Sites) -> NDArray[np.complex128]:
    return sites.positions_px @ np.array([1.0, 1.0j])


def _cell_of(match: Any) -> Placement:
    """The cell at the match's origin, displaced with the sites there."""
    origin = np.asarray(match.origin_px, dtype=float)
    shift = 0.0 if match.warp is None else match.warp.at(origin[None])[0]
    return Placement(np.asarray(match.lattice_vectors_px, dtype=float), origin + shift)


def fill(layer: Points, lattices: Sequence[Lattice], look: Look | None = None) -> None:
    """Replace the sites of a lattice layer: one symbol and colour per sublattice, or one look for all."""
    put(layer, _coordinates([(one.frame, one.sites.positions_px) for one in lattices], layer.ndim))
    names = [_sublattices(one.sites) for one in lattices]
    sublattice = np.concatenate([np.zeros(0, object), *names])
    layer.features = {"sublattice": sublattice}
    if not len(sublattice):
        return
    layer.size = SIZE_PER_NEIGHBOUR * min(one.neighbour_px for one in lattices)
    looks = {n: look or own for one in lattices for n, own in sublattice_looks(one.sites.material).items()}
    kinds, which = np.unique(sublattice.astype(str), return_inverse=True)
    layer.symbol = np.array([looks[kind].symbol for kind in kinds], dtype=object)[which]
    layer.border_color = np.array([looks[kind].rgba for kind in kinds])[which]


def put(layer: Layer, data: NDArray[np.float64]) -> None:
    """Replace a layer's data; new data make a layer editable, but a ghost lets clicks through to the picture."""
    layer.data = data
    layer.editable = False


def put_quietly(layer: Layer, data: NDArray[np.float64]) -> None:
    """Replace as many data as there are and redraw; the viewer's extent, which takes longer, is left for later."""
    with layer.events.blocker_all():
        put(layer, data)
    layer.refresh(extent=False, thumbnail=False, highlight=False)


def arrows(cells: Sequence[tuple[int, Placement]], ndim: int) -> NDArray[np.float64]:
    """Start and direction of a1 and a2 of each cell, shape ``(2 N, 2, ndim)``."""
    data = np.zeros((2 * len(cells), 2, ndim))
    for row, (frame, cell) in enumerate(cells):
        data[2 * row : 2 * row + 2, 0, -2:] = cell.origin_px
        data[2 * row : 2 * row + 2, 1, -2:] = cell.vectors_px
        data[2 * row : 2 * row + 2, 0, :-2] = frame
    return data


def _coordinates(frames: Sequence[tuple[int, Any]], ndim: int) -> NDArray[np.float64]:
    """Positions of each frame as coordinates of the layer, ``(N, 2)`` or ``(N, 3)`` with the frame first."""
    parts = [np.c_[np.full((len(p), ndim - 2), frame, float), p] for frame, p in frames]
    return np.concatenate([np.zeros((0, ndim)), *parts])


def _sublattices(sites: Sites) -> NDArray[Any]:
    return np.array([column.sublattice for column in sites.material.columns], dtype=object)[sites.column]


def _points_style(source: Source) -> dict[str, Any]:
    return geometry(source.layer, source.layer.ndim) | {
        "face_color": "transparent",
        "border_width": BORDER_WIDTH,
        "border_width_is_relative": True,
        "canvas_size_limits": CANVAS_SIZE_LIMITS,
        "opacity": OPACITY,
    }

