"""Score tables of points against files of true defects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.defect_names import canonical, parse_defect
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.scoring import NOTHING, Comparison, confusion, evaluate_points
from napari_stem_gan.detect.table import PointTable, TableError
from napari_stem_gan.detect.truth import Truth, image_shapes, images_of, names_warning, read_points, read_truth

__all__ = ["RADIUS_NM", "Evaluation", "class_of", "evaluate", "evaluate_points", "summary"]

RADIUS_NM = 0.095
EVERY = "all"
SINGLE_VACANCY = "V_X"


@dataclass(frozen=True)
class Evaluation:
    """Counts and scores of one comparison.

    Parameters
    ----------
    tp, fp, fn, precision, recall, f1
        From one-to-one matching within `radius_px`.
    rms_px
        Root mean square distance of matched points; None without any.
    radius_px
        Largest distance of a hit.
    average_precision, calibration_error
        Of the points in the table: write it at the lowest threshold, 0.05, to score the finder as a whole. None where
        there are no confidences, or nothing to find.
    confusion
        True class ↦ found class ↦ number, all defects, matched whatever their class; ``none`` for misses and false
        points.
    images
        The same for each image where there are several.
    warning
        One sentence if the points seem to be of another image than the true defects, else empty.
    """

    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    rms_px: float | None
    radius_px: float
    average_precision: float | None = None
    calibration_error: float | None = None
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    images: Mapping[str, Evaluation] = field(default_factory=dict)
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    @property
    def text(self) -> str:
        """The scores in one line, those of images before them; who was taken for whom and a warning after them."""
        numbers = {"AP": self.average_precision, "ECE": self.calibration_error, "rms": self.rms_px}
        more = "  ".join(f"{name} {'unknown' if v is None else f'{v:.4f}'}" for name, v in numbers.items())
        line = f"precision {self.precision:.4f}  recall {self.recall:.4f}  F1 {self.f1:.4f}  {more} px"
        lines = [f"{name}: {one.text.splitlines()[0]}" for name, one in self.images.items()]
        confused = (f"  {t} found as " + ", ".join(f"{f} {n}" for f, n in r.items()) for t, r in self.confusion.items())
        warning = [f"warning: {self.warning}"] if self.warning else []
        return "\n".join([*lines, f"all: {line}" if lines else line, *confused, *warning])


def summary(tp: int, fp: int, fn: int, distances: Sequence[float], radius_px: float, **more: Any) -> Evaluation:
    """Scores from counts."""
    rms = float(np.sqrt(np.mean(np.square(distances)))) if len(distances) else None
    return Evaluation(
        tp=tp, fp=fp, fn=fn, precision=tp / max(tp + fp, 1), recall=tp / max(tp + fn, 1),
        f1=2 * tp / max(2 * tp + fp + fn, 1), rms_px=rms, radius_px=radius_px, **more,
    )  # fmt: skip


def evaluate(
    points: PointTable | str | Path,
    truth: str | Path | Sequence[str | Path],
    *,
    radius_nm: float = RADIUS_NM,
    radius_px: float | None = None,
    pixel_size_nm: float | None = None,
    defect: str | None = None,
    kind: str | None = None,
    border_px: float = 0.0,
    size_px: float | None = None,
) -> Evaluation:
    """Score a table against one truth file or several.

    Parameters
    ----------
    points
        Our table, its CSV, or another with the columns ``y_px, x_px`` and perhaps ``image, defect, confidence``. Rows
        of the image named like the truth file are used; all rows if there is one truth and one image. Where names
        differ, the scores stand and ``warning`` says so.
    truth
        Our CSV, or one with the columns ``y_px, x_px, kind`` (``V_X`` = one chalcogen missing).
    radius_nm
        Largest distance of a hit; 0.095 nm is half the column distance of WSe₂.
    radius_px
        The same in pixels; it goes before `radius_nm`.
    pixel_size_nm
        Pixel size; None: from the table's nm and px columns.
    defect
        Points to score, e.g. ``V_Se`` (any spelling of `crystal.defect_names`), a class (``S_M``) or ``all``; None:
        those of `kind`.
    kind
        True defects to score, by class; None: the class of `defect`, else single anion vacancies where the truth has
        kinds and everything where it is a table of ours.
    border_px
        Points and true defects nearer to the image's edges than this do not count; what lies outside never does.
    size_px
        Side of the (square) image; None: from the JSON beside the table.

    Raises
    ------
    TableError
        If a file is not a table, a row has no position, no pixel size can be found, or a border is negative, or asked
        for where the size is not known.
    """
    table, shapes = (points, {}) if isinstance(points, PointTable) else (read_points(points), image_shapes(points))
    files = [truth] if isinstance(truth, (str, Path)) else truth
    truths = [read_truth(t) for t in files]
    _check_places(table.positions_px, "points" if isinstance(points, PointTable) else Path(points).name)
    for true, file in zip(truths, files, strict=True):
        _check_places(true.positions_px, Path(file).name)
    if not border_px >= 0:
        raise TableError(f"border_px must be zero or positive, got {border_px:g}; try 0")
    window = _Window(border_px, size_px, shapes)
    if not truths:
        raise TableError("at least one table of true defects must be given; name it after the table of points")
    if radius_px is not None and not radius_px > 0 or not radius_nm > 0:
        raise TableError(f"radius must be positive, got {radius_px or radius_nm}; try {RADIUS_NM} nm")
    scored: dict[str, tuple[Comparison, float]] = {}
    for name, rows, true in images_of(table, truths):
        radius = radius_px or radius_nm / _known(pixel_size_nm or _pixel_size(rows) or _pixel_size(table))
        rows = rows.where(window.inside(rows.positions_px, name))
        true = true.where(window.inside(true.positions_px, name))
        scored[name] = _compare(rows, true, radius, (defect or "", kind or "")), radius
    return replace(_together(scored, radius_px or 0.0), warning=names_warning(table, truths, shapes))


def _check_places(positions_px: NDArray[np.float64], name: str) -> None:
    lost = int((~np.isfinite(positions_px).all(1)).sum())
    if lost:
        raise TableError(f"'{name}' must have y_px and x_px in each row, got {lost} without; mend or delete them")


def _together(scored: Mapping[str, tuple[Comparison, float]], radius_px: float) -> Evaluation:
    """Scores of all images; `radius_px` where there is none."""
    every = {name: _evaluation(one, radius) for name, (one, radius) in scored.items()}
    if len(every) == 1:
        return next(iter(every.values()))
    radius = float(np.median([radius for _, radius in scored.values()])) if scored else radius_px
    return replace(_evaluation(Comparison.total(one for one, _ in scored.values()), radius), images=every)


def _evaluation(one: Comparison, radius_px: float) -> Evaluation:
    names = [*FINDER_CLASSES, NOTHING]
    used = {n for pair in one.pairs for n in pair}
    order = [n for n in names if n in used] + sorted(used - set(names))
    table = {t: {f: one.pairs[t, f] for f in order if one.pairs[t, f]} for t in order}
    return summary(
        one.hits, one.false, one.missed, one.distances_px, radius_px, average_precision=one.average_precision,
        calibration_error=one.calibration_error, confusion={t: row for t, row in table.items() if row},
    )  # fmt: skip


def _compare(rows: PointTable, true: Truth, radius_px: float, asked: tuple[str, str]) -> Comparison:
    """Compare the defect and kind that are asked for, and confuse all."""
    found = np.array([class_of(str(d)) for d in rows["defect"]], dtype=str)
    truth = np.array([class_of(d) for d in true.defects], dtype=str)
    mine, theirs = _chosen(rows["defect"], found, true, truth, *asked)
    pairs = confusion(rows.positions_px, found, true.positions_px, truth, radius_px)
    chosen = rows.where(mine)
    return Comparison.of(chosen.positions_px, chosen["confidence"], true.positions_px[theirs], radius_px, pairs)


def _chosen(
    names: NDArray[np.str_], found: NDArray[np.str_], true: Truth, truth: NDArray[np.str_], defect: str, kind: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points and which true defects are scored."""
    name = canonical(defect) if defect and defect != EVERY else ""
    wanted = canonical(kind) if kind else class_of(name) if name else SINGLE_VACANCY if true.has_kinds else ""
    by_name = bool(name) and name not in FINDER_CLASSES
    mine = _same(names, name) if by_name else _is_class(found, name or wanted)
    if defect == EVERY or not any(names):
        mine = np.ones(len(names), bool)
    by_name = by_name and not kind and not true.has_kinds
    return mine, _same(true.defects, name) if by_name else _is_class(truth, wanted)


def _same(defects: Iterable[Any], name: str) -> NDArray[np.bool_]:
    return np.array([canonical(str(d)) == name for d in defects], bool)


def _is_class(classes: NDArray[np.str_], wanted: str) -> NDArray[np.bool_]:
    return np.asarray(classes == wanted) if wanted else np.ones(len(classes), bool)


@lru_cache(maxsize=1024)
def class_of(defect: str) -> str:
    """Class of the finder for a defect's name in any spelling; a name that is not understood stays what it is."""
    from napari_stem_gan.detect.labels import kind_of

    name = canonical(defect)
    if name in FINDER_CLASSES:
        return name
    try:
        return kind_of(name, parse_defect(name).site)
    except ValueError:
        return name


@dataclass(frozen=True)
class _Window:
    """The part of the images that counts."""

    border_px: float
    size_px: float | None
    shapes: Mapping[str, tuple[int, int]]

    def inside(self, positions_px: NDArray[np.float64], name: str) -> NDArray[np.bool_]:
        known = (self.size_px, self.size_px) if self.size_px else self.shapes.get(name.partition(" [")[0])
        if known is None and self.border_px > 0:
            raise TableError(f"size_px must be known to leave out a border of {self.border_px:g} px; give --size-px")
        end = np.array(known or (np.inf, np.inf), float) - self.border_px
        return np.asarray(((positions_px >= self.border_px) & (positions_px < end)).all(1))


def _known(pixel_size_nm: float | None) -> float:
    if pixel_size_nm is None:
        raise TableError("the pixel size must be known to score in nm; give --pixel-size-nm or --radius-px")
    return pixel_size_nm


def _pixel_size(table: PointTable) -> float | None:
    if not len(table):
        return None
    far = table["y_px"] + table["x_px"] > 1
    ratio = (table["y_nm"] + table["x_nm"])[far] / (table["y_px"] + table["x_px"])[far]
    value = float(np.median(ratio)) if len(ratio) else float("nan")
    return value if np.isfinite(value) and value > 0 else None
