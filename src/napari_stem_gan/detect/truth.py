"""Files to score: true defects, and points of this program or of others."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.detect.table import REJECTED, TEXT, PointTable, TableError, is_points_csv, read_csv
from napari_stem_gan.io import Rows, read_json, read_rows


@dataclass(frozen=True)
class Truth:
    """True defects of one image, or of the images of a table of ours.

    Parameters
    ----------
    positions_px
        Shape ``(N, 2)`` as (y, x).
    defects
        Kind (``V_X2``) or name (``V_2Se``) of each, as it is written in the file.
    has_kinds
        Whether the file has a column ``kind``.
    images
        Names of the images, without the ending of a file.
    rows
        Image of each defect.
    frames
        Frame of each; None where the file has none.
    """

    positions_px: NDArray[np.float64]
    defects: tuple[str, ...]
    has_kinds: bool
    images: tuple[str, ...]
    rows: NDArray[np.str_]
    frames: NDArray[np.intp] | None = None

    def where(self, keep: NDArray[np.bool_]) -> Truth:
        """The defects for which `keep` is true."""
        defects = tuple(d for d, k in zip(self.defects, keep, strict=True) if k)
        frames = None if self.frames is None else self.frames[keep]
        return Truth(self.positions_px[keep], defects, self.has_kinds, self.images, self.rows[keep], frames)

    def of_image(self, name: str) -> Truth:
        """Those of one image."""
        return self.where(self.rows == name)


def read_truth(path: str | Path) -> Truth:
    """Read true defects: a table of ours, or a CSV with the columns ``y_px, x_px`` and ``kind`` or ``defect``.

    Raises
    ------
    TableError
        If the file is missing or is no such table.
    """
    path = Path(path)
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise TableError(f"truth must be a CSV file, got '{path}', which {state}; check the path")
    if is_points_csv(path):
        return _own(read_csv(path))

    def rows_of(rows: Rows) -> Truth:
        column = "kind" if "kind" in rows.names else "defect"
        stem = path.name.removesuffix(".csv").removesuffix(".truth")
        stems = np.full(len(rows), stem)
        return Truth(_positions(rows), tuple(rows.texts(column)), column == "kind", (stem,), stems)

    return _read(path, rows_of, "y_px, x_px and kind or defect")


def _own(table: PointTable) -> Truth:
    stems = np.array([Path(str(name)).stem for name in table["image"]], dtype=str)
    names = tuple(dict.fromkeys(map(str, stems)))
    defects = tuple(str(d) for d in table["defect"])
    return Truth(table.positions_px, defects, False, names, stems, table["frame"].astype(np.intp))


def read_points(path: str | Path) -> PointTable:
    """Read points to score: a table of ours, or a CSV with the columns ``y_px, x_px`` and perhaps others of ours.

    Points that a user rejected are no points.

    Raises
    ------
    TableError
        If the file is missing or is no such table.
    """
    path = Path(path)
    if not path.is_file() or is_points_csv(path):
        table = read_csv(path)
    else:
        table = _read(path, _foreign, "y_px and x_px")
    return table.where(table["decision"] != REJECTED) if "decision" in table.columns else table


def _foreign(rows: Rows) -> PointTable:
    """Points of another program, or of ours with the columns in another order; what it lacks of ours is unknown."""
    texts = {n: np.array(rows.texts(n), dtype=str) for n in TEXT if n in rows.names}
    empty = [""] * len(rows)
    sure = rows.numbers("confidence") if "confidence" in rows.names else np.full(len(rows), np.nan)
    table = PointTable.build(
        image="", frame=0, positions_px=_positions(rows), pixel_size_nm=None, defects=empty, sublattices=empty,
        confidence=sure,
    )  # fmt: skip
    known: dict[str, NDArray[Any]] = {n: rows.numbers(n) for n in ("y_nm", "x_nm") if n in rows.names}
    return PointTable({**table.columns, **known, **texts})


def image_shapes(path: str | Path) -> Mapping[str, tuple[int, int]]:
    """Heights and widths of the images of a table of ours, from the JSON beside it; empty where there is none."""
    try:
        images = read_json(Path(path).with_suffix(".json"))["images"]
        return {Path(str(i["image"])).stem: (int(i["shape"][0]), int(i["shape"][1])) for i in images}
    except (OSError, ValueError, TypeError, LookupError):  # no JSON, or another program's
        return {}


def images_of(table: PointTable, truths: Sequence[Truth]) -> Iterator[tuple[str, PointTable, Truth]]:
    """Name, points and truth of every image; frames of a stack are images."""
    alone = _one_of_each(table, truths)
    for true in truths:
        for name in true.images or ("",):
            own = _named(table, name)
            if alone and not own.any():
                own = np.ones(len(table), bool)
            yield from _frames(name, table.where(own), true.of_image(name))


def names_warning(table: PointTable, truths: Sequence[Truth], searched: Collection[str] = ()) -> str:
    """One sentence if points and true defects seem to be of different images, else nothing.

    Parameters
    ----------
    table, truths
        What is compared (see `images_of`).
    searched
        Images that are known to have been searched, though nothing may have been found there.
    """
    names = [name for true in truths for name in true.images]
    lost = [name for name in names if name not in searched and not _named(table, name).any()]
    if not lost or not len(table):
        return ""
    there = _quoted(map(str, table["image"]))
    if _one_of_each(table, truths):
        return f"the points are on {there}, the true defects on {_quoted(lost)}; check that this is the same image"
    return (
        f"points are only on {there}, so that the true defects on {_quoted(lost)} count as missed; "
        "name each truth after its image"
    )


def _named(table: PointTable, name: str) -> NDArray[np.bool_]:
    """Rows of an image, with or without the ending of its file, and rows that name none."""
    stems = np.array([Path(str(image)).stem for image in table["image"]], dtype=str)
    return np.asarray((stems == name) | (table["image"] == name) | (table["image"] == ""))


def _one_of_each(table: PointTable, truths: Sequence[Truth]) -> bool:
    """Whether there is one image on both sides, so that they are compared whatever their names."""
    truly = {name for true in truths for name in true.images}
    return len(truths) == 1 and len(truly) <= 1 and len(set(table["image"])) <= 1


def _quoted(names: Iterable[str], most: int = 3) -> str:
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(f"'{name}'" for name in every[:most]) + more


def _frames(name: str, rows: PointTable, true: Truth) -> Iterator[tuple[str, PointTable, Truth]]:
    if true.frames is None:
        yield name, rows, true
        return
    frames = sorted({*map(int, true.frames), *map(int, rows["frame"])})
    for frame in frames:
        label = name if len(frames) == 1 else f"{name} [{frame}]"
        yield label, rows.where(rows["frame"] == frame), true.where(true.frames == frame)


def _read(path: Path, convert: Callable[[Rows], Any], columns: str) -> Any:
    try:
        return convert(read_rows(path, text=(*TEXT, "kind")))
    except (KeyError, UnicodeDecodeError, csv.Error):
        raise TableError(f"'{path.name}' must have the columns {columns}; check the file") from None
    except ValueError as error:
        raise TableError(f"'{path.name}' {error}") from None


def _positions(rows: Rows) -> NDArray[np.float64]:
    return np.stack([rows.numbers(name, empty=False) for name in ("y_px", "x_px")], 1)
