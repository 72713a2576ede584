"""Score points against a truth: one-to-one (Hungarian) matching inside a radius."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_stem_gan.crystal.defect_names import canonical
from napari_stem_gan.detect.table import PointTable, TableError, is_points_csv, read_csv

RADIUS_NM = 0.095
FAR = 1e6


@dataclass(frozen=True)
class Evaluation:
    """Counts and scores of one comparison; `rms_px` is over matched points."""

    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    rms_px: float | None
    radius_px: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def evaluate_points(
    found_px: NDArray[np.float64], truth_px: NDArray[np.float64], radius_px: float
) -> tuple[int, int, int, list[float]]:
    """Match positions ``(N, 2)`` and ``(M, 2)``; return hits, false points, misses and the hits' distances in px."""
    if not len(found_px) or not len(truth_px):
        return 0, len(found_px), len(truth_px), []
    distance = np.hypot(*(found_px[:, None] - truth_px[None]).transpose(2, 0, 1))
    rows, cols = linear_sum_assignment(np.where(distance <= radius_px, distance, FAR))
    hit = distance[rows, cols] <= radius_px
    hits = int(hit.sum())
    return hits, len(found_px) - hits, len(truth_px) - hits, [float(d) for d in distance[rows, cols][hit]]


def summary(tp: int, fp: int, fn: int, distances: list[float], radius_px: float) -> Evaluation:
    """Scores from counts."""
    rms = float(np.sqrt(np.mean(np.square(distances)))) if distances else None
    return Evaluation(
        tp=tp, fp=fp, fn=fn, precision=tp / max(tp + fp, 1), recall=tp / max(tp + fn, 1),
        f1=2 * tp / max(2 * tp + fp + fn, 1), rms_px=rms, radius_px=radius_px,
    )  # fmt: skip


def evaluate(
    points: PointTable | str | Path,
    truth: str | Path,
    *,
    radius_nm: float = RADIUS_NM,
    pixel_size_nm: float | None = None,
    defect: str | None = None,
) -> Evaluation:
    """Score a table against a truth file.

    Parameters
    ----------
    points
        Our table, or its CSV. Rows of the image named like the truth file are used; all rows if none is
        and the table has one image only or the truth is a table of ours.
    truth
        Our CSV, or one with the columns ``y_px, x_px, kind`` (``V_X`` = one chalcogen missing).
    radius_nm
        Largest distance of a hit; 0.095 nm is half the column distance of WSe₂.
    pixel_size_nm
        Pixel size; None: from the table's nm and px columns.
    defect
        Defect to score, e.g. ``V_Se`` (any spelling of `crystal.defect_names`); None: single anion vacancies where the
        truth has kinds, else all.

    Raises
    ------
    TableError
        If a file is not a table, or no pixel size can be found.
    """
    table = read_csv(points) if isinstance(points, (str, Path)) else points
    truth_px, wanted = read_truth(truth, defect)
    if not radius_nm > 0:
        raise TableError(f"radius must be positive, got {radius_nm} nm; try {RADIUS_NM}")
    nm = pixel_size_nm or _pixel_size(table)
    if nm is None:
        raise TableError("the pixel size must be known to score in nm; give --pixel-size-nm")
    stem = Path(truth).name.removesuffix(".csv").removesuffix(".truth")
    own = np.array([Path(str(name)).stem == stem or str(name) == stem for name in table["image"]], bool)
    pooled = len(set(table["image"])) <= 1 or is_points_csv(truth)
    rows = table if pooled and not own.any() else table.where(own)
    if wanted is not None:
        pairs = zip(rows["defect"], rows["sublattice"], strict=True)
        rows = rows.where(np.array([wanted(str(d), str(s)) for d, s in pairs], bool))
    radius_px = radius_nm / nm
    return summary(*evaluate_points(rows.positions_px, truth_px, radius_px), radius_px)


def read_truth(path: str | Path, defect: str | None = None) -> tuple[NDArray[np.float64], Any]:
    """True positions ``(N, 2)`` and a test ``(defect, sublattice) -> bool`` for the rows to score."""
    path = Path(path)
    if not path.is_file():
        raise TableError(f"truth must be a CSV file, got '{path}', which does not exist; check the path")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        names = rows[0].keys() if rows else ()
        if rows and "kind" in names:
            rows = [r for r in rows if canonical(r["kind"]) == "V_X"]
            check = _is(defect) if defect else _is_single_vacancy
        else:
            rows = [r for r in rows if defect is None or canonical(r["defect"]) == canonical(defect)]
            check = _is(defect) if defect else None
        positions = np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows]).reshape(-1, 2)
    except (KeyError, ValueError, TypeError, UnicodeDecodeError):
        raise TableError(f"'{path.name}' must have the columns y_px, x_px and kind or defect; check the file") from None
    return positions, check


def _is(defect: str) -> Any:
    return lambda name, sublattice: canonical(name) == canonical(defect)


def _is_single_vacancy(name: str, sublattice: str) -> bool:
    return name == f"V_{sublattice}" and sublattice in ("S", "Se", "Te", "C", "O")


def _pixel_size(table: PointTable) -> float | None:
    if not len(table):
        return None
    far = table["y_px"] + table["x_px"] > 1
    ratio = (table["y_nm"] + table["x_nm"])[far] / (table["y_px"] + table["x_px"])[far]
    value = float(np.median(ratio)) if len(ratio) else float("nan")
    return value if np.isfinite(value) and value > 0 else None
