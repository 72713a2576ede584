"""Rows of a CSV file, as programs write them and as spreadsheets save them.

A spreadsheet may put a byte order mark before the first name, write UTF-16 or the code page of Windows, separate by
semicolons or tabs, take a comma for the decimal sign and leave empty rows behind.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DELIMITERS = ",;\t"
HEADER_BYTES = 8192
EXPONENT = r"(?:[eE][+-]?\d+)?"
COMMA, POINT = (re.compile(rf"[+-]?\d*{sign}\d+{EXPONENT}") for sign in (",", r"\."))


@dataclass(frozen=True)
class Rows:
    """A CSV file, row by row.

    Parameters
    ----------
    names
        Names of the columns.
    cells
        The cells of each row, parallel to `names`.
    lines
        Line of the file that each row ends on; the header is line 1.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.cells)

    def texts(self, name: str) -> list[str]:
        """The cells of a column.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if name not in self.names:
            raise KeyError(name)
        index = self.names.index(name)
        return [row[index] for row in self.cells]

    def numbers(self, name: str, *, empty: bool = True) -> NDArray[np.float64]:
        """The numbers of a column, shape ``(N,)``; NaN where a cell is empty.

        Parameters
        ----------
        name
            The column.
        empty
            Whether cells may be empty.

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If a cell holds no number; the sentence names column and row, but not the file.
        """
        cells = self.texts(name)
        numbers = [_number(cell) if cell.strip() or not empty else float("nan") for cell in cells]
        for cell, number, line in zip(cells, numbers, self.lines, strict=True):
            if number is None:
                got = f"'{cell}'" if cell.strip() else "nothing"
                raise ValueError(
                    f"must hold numbers in column '{name}', got {got} in row {line}; it is damaged, mend or delete it"
                )
        return np.array(numbers, dtype=float)


def read_header(path: str | Path) -> tuple[str, ...]:
    """Names of the columns of a CSV file; of any other file whatever its first line holds.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    with Path(path).open("rb") as handle:
        lines = _decoded(handle.read(HEADER_BYTES), "replace").splitlines() or [""]
    return _names(next(csv.reader(lines[:1], delimiter=_delimiter(lines[0])), []))


def read_rows(path: str | Path, *, text: Collection[str]) -> Rows:
    """Read a CSV file.

    A comma is the decimal sign if numbers are written with it and none with a point. Empty cells at the end of a row
    may be missing, for spreadsheets leave them out; a last row that ends before its line does is cut off.

    Parameters
    ----------
    path
        The file.
    text
        Names of columns that hold no numbers.

    Raises
    ------
    OSError
        If the file cannot be opened.
    UnicodeDecodeError
        If it is no text.
    ValueError
        If the file is cut off.
    """
    content = _decoded(Path(path).read_bytes(), "strict")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=_delimiter(content.partition("\n")[0]))
    names = _names(next(reader, []))
    rows, lines = [], []
    for row in reader:
        if any(cell.strip() for cell in row):
            rows.append(row)
            lines.append(reader.line_num)
    if rows and len(rows[-1]) < len(names) and not content.endswith(("\n", "\r")):
        raise ValueError(f"must have {len(names)} cells in each row; row {lines[-1]} is damaged or cut off")
    filled = [tuple([*row, *[""] * len(names)][: len(names)]) for row in rows]
    numeric = [index for index, name in enumerate(names) if name not in text]
    return Rows(names, _with_points(filled, numeric), tuple(lines))


def _decoded(content: bytes, errors: str) -> str:
    """Text of a file: UTF-16 by its mark, else UTF-8 with or without one, else the code page of Windows."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors)


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks; those of empty columns at the end are none."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _with_points(rows: Sequence[tuple[str, ...]], numeric: Collection[int]) -> tuple[tuple[str, ...], ...]:
    """The same rows with a decimal point where a comma was one; a file with both stays, to be complained about."""
    cells = {row[index] for row in rows for index in numeric}
    if not any(map(COMMA.fullmatch, cells)) or any(map(POINT.fullmatch, cells)):
        return tuple(rows)
    return tuple(tuple(c.replace(",", ".") if i in numeric else c for i, c in enumerate(row)) for row in rows)


def _number(cell: str) -> float | None:
    """The number of a cell; None where there is none."""
    try:
        return float(cell)
    except ValueError:
        return None
