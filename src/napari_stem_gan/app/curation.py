"""All candidates of one image or stack, what the user decided on them, and how to take it back.

Every candidate of the finder stays in the table, whatever the slider shows. The column ``decision`` holds the user's
word: accepted and added points are shown at any threshold, rejected ones at none, undecided ones where they are sure
enough. What napari itself does to the points layer counts too: a deleted point is rejected, a moved one accepted at
its new place, a drawn one added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_stem_gan.detect.table import ACCEPTED, ADDED, KEPT, REJECTED, TEXT, UNDECIDED

Columns = Mapping[str, NDArray[Any]]
Snap = Callable[[NDArray[np.float64], str], NDArray[np.float64]]  # a drawn place and a sublattice to the site meant

CANDIDATE = "candidate"  # feature of the layer: row in the full table; −1 for a point that was just drawn
BY_HAND = -1
PLACE = ("image", "frame", "y_px", "x_px", "y_nm", "x_nm")  # in the layer's data, name and scale; the rest are features
GONE = "gone"  # added and deleted again; never leaves this file
DECIDED = (*KEPT, REJECTED)
MOVED_PX = 1e-3
MOST_UNDONE = 200


class CandidatePoints:
    """All candidates of one source layer with the user's decisions.

    Parameters
    ----------
    columns
        Columns of the full table (see `detect.table.COLUMNS`), each of length N; ``decision`` may be among them.
    ndim
        2 for an image, 3 for a stack.
    image_name
        Name of the source, for points added by hand.
    """

    def __init__(self, columns: Columns, ndim: int, image_name: str) -> None:
        columns = {name: np.asarray(column) for name, column in columns.items()}
        self.columns: Columns = {"decision": np.full(len(columns["y_px"]), UNDECIDED, "<U8"), **columns}
        self.ndim = ndim
        self.image_name = image_name
        self.snap: Snap | None = None
        self.named = False  # whether the user chose the name of what is drawn, so that it holds for a candidate there
        self._past: list[Columns] = []
        self._shown: dict[int, NDArray[np.float64]] = {}  # where the layer shows each row

    def __len__(self) -> int:
        return len(self.columns["y_px"])

    def coordinates(self, rows: Any) -> NDArray[np.float64]:
        """Points of some rows, shape ``(N, 2)`` as (y, x) or ``(N, 3)`` as (frame, y, x), in pixels."""
        names = ("frame", "y_px", "x_px")[-self.ndim :]
        return np.stack([np.asarray(self.columns[name], dtype=float)[rows] for name in names], axis=1)

    def rows(self, threshold: float, *, rejected: bool = False) -> NDArray[np.intp]:
        """Rows that count at a threshold, then, if asked for, the rejected ones."""
        decision = self.columns["decision"]
        sure = np.asarray(self.columns["confidence"], dtype=float) >= threshold
        counted = np.isin(decision, KEPT) | ((decision == UNDECIDED) & sure)
        more = np.flatnonzero(decision == REJECTED) if rejected else np.zeros(0, int)
        return np.concatenate([np.flatnonzero(counted), more])

    def contents(self, threshold: float, *, rejected: bool = False) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Data and features of the points layer at a threshold.

        Parameters
        ----------
        threshold
            Lowest confidence shown of undecided points, 0 to 1.
        rejected
            Whether rejected points are shown too.

        Returns
        -------
        tuple
            Coordinates ``(N, 2)`` or ``(N, 3)`` and one array of length N per feature.
        """
        rows = self.rows(threshold, rejected=rejected)
        data = self.coordinates(rows)
        self._shown = _by_row(rows, data)
        features = {name: column[rows] for name, column in self.columns.items() if name not in PLACE}
        return data, features | {CANDIDATE: rows}

    def decide(self, rows: Sequence[int], decision: str) -> bool:
        """Give some rows a decision; an added point that is rejected goes. False if that changes nothing."""
        old = self.columns["decision"]
        new = old.copy()
        for row in rows:
            added = old[row] in (ADDED, GONE)
            new[row] = {REJECTED: GONE, ACCEPTED: ADDED}.get(decision, decision) if added else decision
        if (new == old).all():
            return False
        self._become({**self.columns, "decision": new})
        return True

    def undecided(self, threshold: float) -> NDArray[np.intp]:
        """Rows above the threshold that nobody has decided on, the least sure first."""
        rows = self.rows(threshold)
        rows = rows[self.columns["decision"][rows] == UNDECIDED]
        return rows[np.argsort(np.asarray(self.columns["confidence"], float)[rows], kind="stable")]

    def take_over(self, layer: Points, *, reach_px: float = 0.0) -> bool:
        """Take over what the user deleted, moved or drew on the layer since it was last filled.

        Parameters
        ----------
        layer
            Our layer of this source; new points get the row that they have from now on as a feature.
        reach_px
            A point drawn this near to a candidate that is not shown accepts that candidate, with all its numbers.

        Returns
        -------
        bool
            Whether anything had changed.
        """
        data = np.asarray(layer.data, dtype=float)
        ids = np.array(layer.features.get(CANDIDATE, []), dtype=int)
        first = {int(row): index for index, row in reversed(list(enumerate(ids))) if row in self._shown}
        drawn = sorted(set(range(len(ids))) - set(first.values()))
        moved = {r: data[i] for r, i in first.items() if np.abs(data[i] - self._shown[r]).max() > MOVED_PX}
        deleted = set(self._shown) - set(first)
        if not (drawn or moved or deleted):
            return False
        self._past.append(self.columns)
        self._delete(deleted)
        self._move(moved)
        if drawn:
            ids[drawn] = [self._draw(data[i], layer.features.iloc[i], reach_px) for i in drawn]
            layer.features = layer.features.assign(**{CANDIDATE: ids})
        self._shown = _by_row(ids, data)
        return True

    def take_decisions(self, earlier: Columns, reach_px: float) -> int:
        """Take over the decisions of another table of the same image; returns how many there were.

        The nearest candidate within reach takes decision, defect, sublattice and, of kept points, the place. Where
        there is none, the row of the other table is taken whole.

        Parameters
        ----------
        earlier
            Columns of a table with decisions, positions in pixels of this image.
        reach_px
            What is this near is the same place.
        """
        decided = np.flatnonzero(np.isin(earlier.get("decision", np.zeros(0, str)), DECIDED))
        if not len(decided):
            return 0
        self._past.append(self.columns)
        places = np.stack([np.asarray(earlier[n], float)[decided] for n in ("frame", "y_px", "x_px")], 1)
        for row, place in zip(decided, places, strict=True):
            here = {name: column[row] for name, column in earlier.items() if name != "image"}
            near = self._nearest(place, reach_px)
            self._append(here) if near is None else self._put(near, _word_of(here))
        return len(decided)

    def undo(self) -> bool:
        """Take the last change back; False if there is none."""
        if not self._past:
            return False
        self.columns = self._past.pop()
        return True

    def forget_past(self) -> None:
        """Make what is here the beginning."""
        self._past.clear()

    def _become(self, columns: Columns) -> None:
        self._past = [*self._past[-MOST_UNDONE:], self.columns]
        self.columns = columns

    def _delete(self, rows: set[int]) -> None:
        for row in rows:
            self._put(row, {"decision": GONE if self.columns["decision"][row] == ADDED else REJECTED})

    def _move(self, places: Mapping[int, NDArray[np.float64]]) -> None:
        for row, place in places.items():
            word = ADDED if self.columns["decision"][row] == ADDED else ACCEPTED
            self._put(row, {**self._at(place), "y_nm": np.nan, "x_nm": np.nan, "decision": word})

    def _draw(self, place: NDArray[np.float64], features: Any, reach_px: float) -> int:
        """Row of a point drawn at a place."""
        names = {name: str(features.get(name, "")) for name in ("defect", "sublattice")}
        near = self._nearest(np.array([self._at(place)[n] for n in ("frame", "y_px", "x_px")]), reach_px)
        if near is not None and near not in self._shown:
            self._put(near, {"decision": ACCEPTED, **(names if self.named else {})})
            return near
        place = place if self.snap is None else self.snap(place, names["sublattice"])
        return self._append({**self._at(place), **names, "confidence": 1.0, "decision": ADDED})

    def _at(self, place: NDArray[np.float64]) -> dict[str, Any]:
        return {"frame": int(round(place[0])) if self.ndim > 2 else 0, "y_px": place[-2], "x_px": place[-1]}

    def _nearest(self, place: NDArray[np.float64], reach_px: float) -> int | None:
        """Row of the nearest point to (frame, y, x) that is not gone, within reach."""
        c = self.columns
        rows = np.flatnonzero((np.asarray(c["frame"]) == place[0]) & (c["decision"] != GONE))
        if not len(rows) or reach_px <= 0:
            return None
        positions = np.stack([np.asarray(c[n], float)[rows] for n in ("y_px", "x_px")], 1)
        distance, index = cKDTree(positions).query(place[1:])
        return int(rows[index]) if distance <= reach_px else None

    def _put(self, row: int, values: Mapping[str, Any]) -> None:
        """Change cells of one row, in new columns."""
        self.columns = {**self.columns, **{n: _with(self.columns[n], row, v) for n, v in values.items()}}

    def _append(self, values: Mapping[str, Any]) -> int:
        """Add a row; numbers that nobody gave are NaN."""
        blank = {n: "" if n in TEXT else 0 if n == "frame" else np.nan for n in self.columns}
        row = {**blank, "image": self.image_name, **{n: v for n, v in values.items() if n in blank}}
        self.columns = {n: np.concatenate([c, _cell(n, row[n])]) for n, c in self.columns.items()}
        return len(self) - 1


def _by_row(rows: NDArray[np.intp], data: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    return {int(row): place.copy() for row, place in zip(rows, data, strict=True)}


def _cell(name: str, value: Any) -> NDArray[Any]:
    return np.array([value]) if name in TEXT or name == "frame" else np.array([value], float)


def _with(column: NDArray[Any], row: int, value: Any) -> NDArray[Any]:
    changed = np.concatenate([column[:row], np.array([value]), column[row + 1 :]])
    return changed if changed.dtype.kind == "U" else changed.astype(np.result_type(column.dtype, changed.dtype))


def _word_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says in the user's name; a kept point also says where, since the user may have moved it."""
    names = ("decision", "defect", "sublattice", *(("y_px", "x_px") if row["decision"] in KEPT else ()))
    return {name: row[name] for name in names}
