"""The statistics of points as files: tables, plots, and a part of the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image

from napari_stem_gan.detect.density_map import DensityMap
from napari_stem_gan.detect.pair_correlation import LEAST_POINTS, PairCorrelation
from napari_stem_gan.detect.session_statistics import Statistics
from napari_stem_gan.detect.statistics import ALL_DEFECTS, WHOLE, Density
from napari_stem_gan.io import atomic_write, write_json
from napari_stem_gan.report.charts import Axes, beside

CHART_PX, MAP_SIDE_PX = (560, 380), 520
NARROWEST_PX = 76  # for each name under an axis
MOST_PARTS = 40  # beyond it whole images are drawn, without their regions
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
PER_NM2 = "per square nm"  # Pillow's own font has no raised 2
PAIR_COLUMNS = ("defect", "distance_nm", "g", "low", "high", "pairs", "expected_pairs")
DENSITY_COLUMNS = tuple(f.name for f in fields(Density))


def write_statistics_files(found: Statistics, folder: str | Path) -> list[Path]:
    """Write ``density.csv``, ``pair_correlation.csv``, ``statistics.json`` and the plots into an existing folder.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    paths = [_write_csv(folder / "density.csv", DENSITY_COLUMNS, density_cells(found.densities))]
    paths.append(_write_csv(folder / "pair_correlation.csv", PAIR_COLUMNS, pair_cells(found.pairs)))
    paths.append(folder / "statistics.json")
    write_json(paths[-1], found.to_dict())
    return paths + write_plots(found, folder)


def write_plots(found: Statistics, folder: Path) -> list[Path]:
    """Write ``density.png``, ``pair_correlation.png`` if there is any, and one ``density_map_*.png`` per image."""
    pictures = {"density": draw_densities(found)}
    if found.pairs:
        pictures["pair_correlation"] = beside([draw_pairs(p, found.config.level_percent) for p in found.pairs], 2)
    for index, one in enumerate(found.maps):
        pictures[f"density_map_{index + 1:02d}"] = draw_map(one, found.highest_per_nm2)
    for name, picture in pictures.items():
        atomic_write(folder / f"{name}.png", picture.save)
    return [folder / f"{name}.png" for name in pictures]


def density_cells(rows: Iterable[Density]) -> list[list[str]]:
    """Rows of `DENSITY_COLUMNS`; empty where not known."""
    return [[_cell(getattr(row, name)) for name in DENSITY_COLUMNS] for row in rows]


def pair_cells(pairs: Iterable[PairCorrelation]) -> list[list[str]]:
    """Rows of `PAIR_COLUMNS`."""
    return [
        [p.defect, *(_cell(float(getattr(p, name)[step])) for name in PAIR_COLUMNS[1:])]
        for p in pairs
        for step in range(len(p.g))
    ]


def _cell(value: float | str) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)


def _write_csv(path: Path, header: Sequence[str], rows: list[list[str]]) -> Path:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    atomic_write(path, lambda part: part.write_text(out.getvalue(), encoding="utf-8"))
    return path


def draw_densities(found: Statistics) -> Image.Image:
    """Densities with their intervals: by kind, and all defects by image and region."""
    parts = [d for d in found.densities if d.defect == ALL_DEFECTS and d.image != found.summary[0].image]
    if len(found.maps) < 2:
        parts = [d for d in found.densities if d.defect == ALL_DEFECTS and d.region != WHOLE]
    elif len(parts) > MOST_PARTS:
        parts = [d for d in parts if d.region == WHOLE]
    total = next(d for d in found.summary if d.defect == ALL_DEFECTS)
    title = f"defects, {found.config.level_percent:g} % intervals"
    charts = [_dots(found.summary, [d.defect for d in found.summary], title, total)]
    if parts:
        charts.append(_dots(parts, _part_names(parts), "all defects, by image and region", total))
    height, width = charts[0].height, sum(c.width for c in charts)
    sheet, left = Image.new("RGB", (width, height), "white"), 0
    for chart in charts:
        sheet.paste(chart, (left, 0))
        left += chart.width
    return sheet


def _part_names(parts: Sequence[Density]) -> list[str]:
    """Regions by their names; whole images are numbered in their order."""
    numbers = {key: k + 1 for k, key in enumerate(dict.fromkeys((d.image, d.frame) for d in parts))}
    return [f"#{numbers[d.image, d.frame]}" if d.region == WHOLE else d.region for d in parts]


def _dots(rows: Sequence[Density], names: Sequence[str], title: str, total: Density) -> Image.Image:
    x = np.arange(len(rows), dtype=float)
    low, high, value, expected = (
        np.array([getattr(d, n) for d in rows])
        for n in ("low_per_nm2", "high_per_nm2", "per_nm2", "expected_per_nm2")
    )
    top = 1.08 * max(float(high.max()), float(expected.max()))
    size = max(CHART_PX[0], NARROWEST_PX * len(rows)), CHART_PX[1]
    axes = Axes(size, (-0.6, len(rows) - 0.4), (0.0, top), title, "", PER_NM2, names)
    axes.line(np.array(axes.x), np.full(2, total.per_nm2), GREY, width_px=1)
    axes.error_bars(x, low, high, BLUE)
    axes.points(x, value, BLUE)
    axes.points(x + 0.2, expected, ORANGE, radius_px=3)
    axes.note("blue: counted, orange: sum of confidences")
    return axes.finished()


def draw_pairs(found: PairCorrelation, level_percent: float) -> Image.Image:
    """One pair correlation with its band."""
    top = 1.1 * max(float(np.quantile(found.high, 0.9)), float(found.g.max()), 1.5)
    title = f"{found.defect}: {found.points} points, p = {found.p_value:.3g}"
    reach = float(found.distance_nm[-1] * 1.02)
    axes = Axes(CHART_PX, (0.0, reach), (0.0, top), title, "distance, nm", "pair correlation g(r)")
    axes.band(found.distance_nm, found.low, found.high)
    axes.line(np.array([0.0, reach]), np.ones(2), GREY, width_px=1)
    axes.line(found.distance_nm, found.g, BLUE)
    axes.points(found.distance_nm, found.g, BLUE, radius_px=3)
    axes.note(f"shaded: {level_percent:g} % of random arrangements on {found.places}")
    return axes.finished()


def draw_map(found: DensityMap, highest: float) -> Image.Image:
    """Density of one image; maps of one session share `highest`, the brightest colour."""
    height, width = found.size_nm
    side = MAP_SIDE_PX / max(height, width)
    size = round(width * side) + 88, round(height * side) + 104
    name = f"{found.image} [{found.frame}]" if found.frame else found.image
    axes = Axes(size, (0.0, width), (height, 0.0), f"{found.defect}, {name}"[:60], "nm", "nm")
    axes.note(f"yellow: {highest:.3g} {PER_NM2}, smoothed by {found.smoothing_nm:.2g} nm")
    axes.image(found.per_nm2, highest)
    y, x = found.points_nm.T
    axes.points(x, y, "white", radius_px=1.5)
    return axes.finished()


def statistics_text(found: Statistics, pictures: Sequence[Path]) -> list[str]:
    """Parts of the report: densities, what the pairs say, and the plots.

    Parameters
    ----------
    found
        The statistics.
    pictures
        The plots, linked by file name.
    """
    level = f"{found.config.level_percent:g} %"
    about = (
        f"Counted on the crystal alone, above a confidence of {found.threshold:g}; intervals hold the true density in "
        f"{level} of cases (Poisson, exact; too narrow for defects that cluster). Expected: sum of all candidates' "
        "confidences ± its spread."
    )
    return [
        "## Statistics", about, "\n".join(_density_rows(found)), "\n".join(_pair_rows(found)),
        *(f"![{p.stem}]({p.name})" for p in pictures if p.suffix == ".png"),
    ]  # fmt: skip


def _density_rows(found: Statistics) -> list[str]:
    rows = ["| image | defect | number | expected | per nm² | interval | % of sites | regions differ by chance, p |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for d in (d for d in found.densities if d.region == WHOLE):
        image = f"{d.image} [{d.frame}]" if d.frame else d.image
        expected = f"{d.expected_count:.1f} ± {d.expected_spread:.1f}"
        interval = f"{d.low_per_nm2:.4f} to {d.high_per_nm2:.4f}"
        share = f"{d.percent_of_sites:.3g} ({d.low_percent:.3g} to {d.high_percent:.3g})" if d.sites > 0 else ""
        p = found.homogeneity.get(d.defect, np.nan) if d in found.summary else np.nan
        even = "" if np.isnan(p) else f"{p:.3g}"
        numbers = f"{d.count:g} | {expected} | {d.per_nm2:.4f} | {interval} | {share} | {even}"
        rows.append(f"| {image} | {d.defect} | {numbers} |")
    return rows


def _pair_rows(found: Statistics) -> list[str]:
    if not found.pairs:
        return [f"No kind has {LEAST_POINTS} points, so that pairs are not compared with chance."]
    rows = ["| defect | pairs of | random means | verdict | p |", "|---|---|---|---|---|"]
    return rows + [f"| {p.defect} | {p.points} | {p.places} | {p.verdict} | {p.p_value:.3g} |" for p in found.pairs]
