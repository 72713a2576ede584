"""The table of points: columns, CSV in nm and pixels, and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.io import Rows, atomic_write, read_header, read_rows, write_json

COLUMNS = ("image", "frame", "y_px", "x_px", "y_nm", "x_nm", "defect", "sublattice", "confidence")
EXTRA_COLUMNS = (
    "network_score", "intensity_ratio", "z_score", "confidence_spread",
    "position_error_nm", "strain_xx_percent", "strain_yy_percent", "strain_xy_percent", "strain_error_percent",
    "rotation_deg",
)  # fmt: skip
TEXT = ("image", "defect", "sublattice", "decision", "event")
DECIMALS = {"y_px": 4, "x_px": 4, "y_nm": 6, "x_nm": 6, "position_error_nm": 6, "track_id": 0}

UNDECIDED, ACCEPTED, ADDED, REJECTED = "", "accepted", "added", "rejected"  # the column ``decision``: the user's word
KEPT = (ACCEPTED, ADDED)


class TableError(ValueError):
    """A CSV that is not one of our tables; the message says what is wrong."""


@dataclass(frozen=True)
class PointTable:
    """Points of one or several images.

    Parameters
    ----------
    columns
        Column name ↦ values, all of one length; `COLUMNS` first, more may follow. Positions are pixel centres at
        integers (``y_px``) and nm in the layer's frame (``y_nm`` = ``y_px`` × pixel size). ``confidence`` is the
        calibrated probability.
    """

    columns: Mapping[str, NDArray[Any]]

    @classmethod
    def empty(cls) -> PointTable:
        """A table without rows."""
        return cls({name: np.zeros(0, "<U1" if name in TEXT else float) for name in (*COLUMNS, *EXTRA_COLUMNS)})

    @classmethod
    def build(
        cls,
        *,
        image: str,
        frame: int,
        positions_px: NDArray[np.float64],
        pixel_size_nm: float | None,
        defects: Sequence[str],
        sublattices: Sequence[str],
        confidence: NDArray[np.float64],
        extra: Mapping[str, NDArray[Any]] | None = None,
    ) -> PointTable:
        """Make a table of one image from positions ``(N, 2)`` as (y, x) and what is known of each point."""
        positions = np.asarray(positions_px, float).reshape(-1, 2)
        n, nm = len(positions), np.nan if pixel_size_nm is None else pixel_size_nm
        columns: dict[str, NDArray[Any]] = {
            "image": np.full(n, image),
            "frame": np.full(n, frame, dtype=int),
            "y_px": positions[:, 0],
            "x_px": positions[:, 1],
            "y_nm": positions[:, 0] * nm,
            "x_nm": positions[:, 1] * nm,
            "defect": np.array(defects, dtype=str).reshape(n),
            "sublattice": np.array(sublattices, dtype=str).reshape(n),
            "confidence": np.asarray(confidence, float),
        }
        for name in EXTRA_COLUMNS:
            columns[name] = np.asarray((extra or {}).get(name, np.full(n, np.nan)), float)
        return cls(columns)

    def __len__(self) -> int:
        return len(self.columns["y_px"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    @property
    def positions_px(self) -> NDArray[np.float64]:
        """Shape ``(N, 2)`` as (y, x)."""
        return np.stack([self["y_px"], self["x_px"]], 1)

    def where(self, keep: NDArray[np.bool_]) -> PointTable:
        """Rows for which `keep` is true."""
        return PointTable({name: values[keep] for name, values in self.columns.items()})

    def filter(self, threshold: float) -> PointTable:
        """Rows with a confidence of at least `threshold`."""
        return self.where(self["confidence"] >= threshold)

    @staticmethod
    def concat(tables: Iterable[PointTable]) -> PointTable:
        """All rows of several tables, in order."""
        parts = [t for t in tables if len(t)]
        if not parts:
            return PointTable.empty()
        names = list(dict.fromkeys(n for t in parts for n in t.columns))
        return PointTable({n: np.concatenate([t.columns.get(n, _blank(n, len(t))) for t in parts]) for n in names})

    def to_csv(self, path: str | Path, *, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the CSV and, beside it, a JSON of `provenance`; both by a temporary file and a rename.

        Raises
        ------
        OutputError
            If the folder is missing or read-only, or the disk is full.
        """
        path = Path(path)
        text = self._csv_text()
        atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))
        if provenance is not None:
            write_json(path.with_suffix(".json"), dict(provenance))
        return path

    def _csv_text(self) -> str:
        names = [*COLUMNS, *(n for n in self.columns if n not in COLUMNS)]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for row in range(len(self)):
            writer.writerow([_cell(name, self.columns[name][row]) for name in names])
        return out.getvalue()


def is_points_csv(path: str | Path) -> bool:
    """Whether a file begins with our header; False for anything else, never an error."""
    try:
        return read_header(path)[: len(COLUMNS)] == COLUMNS
    except (OSError, csv.Error):
        return False


def read_csv(path: str | Path) -> PointTable:
    """Read a table written by `PointTable.to_csv`, or what a spreadsheet made of it (see `io.csv_rows`).

    Raises
    ------
    TableError
        If the file is missing or is not such a table.
    """
    path = Path(path)
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise TableError(f"table must be a CSV file, got '{path}', which {state}; check the path")
    if not is_points_csv(path):
        raise TableError(f"'{path.name}' must begin with the columns {','.join(COLUMNS)}; it is not one of our tables")
    try:
        rows = read_rows(path, text=TEXT)
        return PointTable({n: _values(rows, n) for n in rows.names if n}) if len(rows) else PointTable.empty()
    except UnicodeDecodeError:
        raise TableError(f"'{path.name}' must be text; save it as CSV UTF-8") from None
    except (ValueError, csv.Error) as error:
        raise TableError(f"'{path.name}' {error}") from None


def _blank(name: str, count: int) -> NDArray[Any]:
    """A column of nothing."""
    return np.full(count, "") if name in TEXT else np.full(count, np.nan)


def _cell(name: str, value: Any) -> str:
    if name in TEXT:
        return str(value)
    if name == "frame":
        return str(int(value))
    number = float(value)
    return "" if np.isnan(number) else f"{number:.{DECIMALS.get(name, 5)}f}"


def _values(rows: Rows, name: str) -> NDArray[Any]:
    if name in TEXT:
        return np.array(rows.texts(name), dtype=str)
    if name != "frame":
        return rows.numbers(name)
    frames = rows.numbers(name, empty=False)
    if not np.equal(frames, np.round(frames)).all():
        raise ValueError("must hold whole numbers in column 'frame'; a row is damaged, mend or delete it")
    return frames.astype(int)
