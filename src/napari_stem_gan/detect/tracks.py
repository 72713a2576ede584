"""Points of a stack linked over its frames: which defects stay, appear, go, move or change.

In the pixels of one frame (see `registration`) a defect on a site lies at the same place in all frames, so linking is a
matter of distance; no motion model is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.registration import Placing, register
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import STEMImage

CREATED, FILLED, MOVED, CHANGED = "created", "filled", "moved", "changed"
SAME_PLACE = 0.45  # of the distance of nearest columns
REACH = 1.15  # of the lattice constant: a hop to the next site of the sublattice
RIM = 2.0  # of the largest distance of one place: nearer to the edge than this, a defect may be there unseen
LONGEST = f"<U{len('+'.join((CREATED, MOVED, CHANGED, FILLED)))}"
FAR = 1e9


@dataclass
class _Track:
    """One defect: its rows (frame, row), where it was last and what it was."""

    number: int
    place: NDArray[np.float64]
    defect: str
    rows: list[tuple[int, int]] = field(default_factory=list)
    events: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    weak: tuple[int, int] | None = None  # a row below the threshold, in the frame after the last

    def add(self, row: tuple[int, int], place: NDArray[np.float64], defect: str, event: str) -> None:
        if self.weak is not None and self.weak[0] < row[0]:
            self.rows.append(self.weak)
        self.weak = None
        self.rows.append(row)
        self.place = place
        events = [event] if event else []
        if self.defect != defect:
            events.append(CHANGED)
            self.defect = defect
        if events:
            self.events.setdefault(row, []).extend(events)


def link(
    tables: Sequence[PointTable], placings: Sequence[Placing], *, threshold: float, same_px: float, reach_px: float,
    shape: tuple[int, int],
) -> list[PointTable]:
    """Add the columns ``track_id`` and ``event`` to the tables of the frames of one stack.

    Parameters
    ----------
    tables
        All candidates of each frame.
    placings
        Where each frame lies.
    threshold
        Points at least this sure begin and continue a track. In one frame a track may be less sure: the candidate
        there, if there is one, then bridges the gap; if there is none, the defect was gone.
    same_px
        Largest distance of one and the same place in two frames.
    reach_px
        Largest distance of a move, to a place where the frame before had no such defect.
    shape
        Height and width of the frames.

    Returns
    -------
    list of PointTable
        With ``track_id``, a number that is the same in all frames (NaN: no track), and ``event``: ``created`` (first
        seen here, though the place was in view before), ``filled`` (last seen here, though the place is in view
        after), ``moved`` (came here from elsewhere), ``changed`` (another defect than before), several joined by a
        plus sign, or an empty text.
    """  # fmt: skip
    linker = _Linker(tables, placings, threshold, same_px, reach_px)
    for frame in range(len(tables)):
        linker.step(frame)
    _ends(linker.tracks, placings, shape, RIM * same_px)
    linked = [_unlinked(table) for table in tables]
    for track in linker.tracks:
        for frame, row in track.rows:
            linked[frame]["track_id"][row] = track.number
            linked[frame]["event"][row] = "+".join(track.events.get((frame, row), []))
    return linked


def _unlinked(table: PointTable) -> PointTable:
    """The table with empty columns of tracks."""
    blank = {"track_id": np.full(len(table), np.nan), "event": np.full(len(table), "", dtype=LONGEST)}
    return PointTable({**table.columns, **blank})


class _Linker:
    """Goes through the frames and keeps the tracks."""

    def __init__(
        self, tables: Sequence[PointTable], placings: Sequence[Placing], threshold: float, same_px: float,
        reach_px: float,
    ) -> None:  # fmt: skip
        self.tables, self.threshold = tables, threshold
        self.same_px, self.reach_px = same_px, reach_px
        self.places = [p.to_reference(t.positions_px) for p, t in zip(placings, tables, strict=True)]
        self.tracks: list[_Track] = []

    def step(self, frame: int) -> None:
        """Continue, move, suspend and begin tracks."""
        sure = np.flatnonzero(self.tables[frame]["confidence"] >= self.threshold)
        waiting = [t for t in self.tracks if t.weak is not None]
        seen = [t for t in self.tracks if t.rows[-1][0] == frame - 1]
        left = self._continue([*seen, *waiting], frame, sure, self.same_px, "")
        lost = [t for t in seen if t.rows[-1][0] < frame]
        for track in waiting:
            track.weak = None  # two frames without it: it ended
        weak = np.flatnonzero(self.tables[frame]["confidence"] < self.threshold)
        for track, row in self._pairs(lost, frame, weak, self.same_px):
            track.weak = (frame, int(row))
        left = self._continue([t for t in lost if t.weak is None], frame, left, self.reach_px, MOVED)
        for row in left:
            name = str(self.tables[frame]["defect"][row])
            track = _Track(len(self.tracks), self.places[frame][row], name)
            track.add((frame, int(row)), self.places[frame][row], name, "")
            self.tracks.append(track)

    def _continue(
        self, tracks: list[_Track], frame: int, rows: NDArray[np.intp], reach_px: float, event: str
    ) -> NDArray[np.intp]:
        """Give rows to tracks; return the rows that are left."""
        pairs = self._pairs(tracks, frame, rows, reach_px, same_defect=event == MOVED)
        for track, row in pairs:
            name = str(self.tables[frame]["defect"][row])
            track.add((frame, int(row)), self.places[frame][row], name, event)
        return np.setdiff1d(rows, [row for _, row in pairs])

    def _pairs(
        self, tracks: list[_Track], frame: int, rows: NDArray[np.intp], reach_px: float, *, same_defect: bool = False
    ) -> list[tuple[_Track, int]]:
        """One-to-one pairs of tracks and rows within reach, nearest first."""
        if not tracks or not len(rows):
            return []
        distance = cdist(np.array([t.place for t in tracks]), self.places[frame][rows])
        if same_defect:
            names = self.tables[frame]["defect"][rows]
            distance = np.where(np.array([t.defect for t in tracks])[:, None] == names[None], distance, FAR)
        one, two = linear_sum_assignment(np.where(distance <= reach_px, distance, FAR))
        return [(tracks[i], int(rows[j])) for i, j in zip(one, two, strict=True) if distance[i, j] <= reach_px]


def _ends(tracks: Sequence[_Track], placings: Sequence[Placing], shape: tuple[int, int], rim_px: float) -> None:
    """Say where tracks begin and end although their place was in view."""

    def in_view(track: _Track, placing: Placing) -> bool:
        place = placing.from_reference(track.place[None])[0]
        return bool((place >= rim_px).all() and (place <= np.array(shape) - 1 - rim_px).all())

    for track in tracks:
        first, last = track.rows[0], track.rows[-1]
        if first[0] > 0 and in_view(track, placings[first[0] - 1]):
            track.events.setdefault(first, []).insert(0, CREATED)
        if last[0] < len(placings) - 1 and in_view(track, placings[last[0] + 1]):
            track.events.setdefault(last, []).append(FILLED)


def track_stacks(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    tables: Sequence[PointTable],
    *,
    threshold: float,
) -> list[PointTable]:
    """Link the points of every stack among the images; tables of single images are returned as they are.

    Parameters
    ----------
    images
        Frames of one stack have one name and different ``frame``.
    matches, tables
        Lattice and points of each image.
    threshold
        See `link`.
    """
    linked = list(tables)
    for name in dict.fromkeys(image.name for image in images):
        own = sorted((i for i, image in enumerate(images) if image.name == name), key=lambda i: images[i].frame)
        if len({images[i].frame for i in own}) < 2 or len({images[i].shape for i in own}) > 1:
            continue
        for index in own:
            linked[index] = _unlinked(tables[index])
        own = [i for i in own if matches[i].accepted or len(tables[i])]  # the others could not be searched
        if not own:
            continue
        frames, lattices = [images[i] for i in own], [matches[i] for i in own]
        near, reach = _distances_px(frames, lattices)
        some = link(
            [tables[i] for i in own], register(frames, lattices), threshold=threshold, same_px=SAME_PLACE * near,
            reach_px=REACH * reach, shape=frames[0].shape,
        )  # fmt: skip
        for index, table in zip(own, some, strict=True):
            linked[index] = table
    return linked


def _distances_px(images: Sequence[STEMImage], matches: Sequence[LatticeMatch]) -> tuple[float, float]:
    """Distance of nearest columns and lattice constant, in pixels."""
    best = next((m for m in matches if m.accepted), matches[0])
    material = get_material(best.material)
    size = best.pixel_size_A or images[0].pixel_size_A or 0.2
    return material.neighbour_distance_A / size, material.constant_A / size
