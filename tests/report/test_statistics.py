"""The files of the statistics: tables that can be read again, plots, and a part of the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_stem_gan.detect.area import CrystalArea, grid_regions
from napari_stem_gan.detect.session_statistics import Statistics, session_statistics
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.report.charts import Axes, mapped, ticks
from napari_stem_gan.report.statistics import statistics_text, write_statistics_files

SIDE, SIZE_NM = 100, 0.1


def area(image: str) -> CrystalArea:
    return CrystalArea(image, 0, (SIDE, SIDE), SIZE_NM, np.ones((SIDE, SIDE), bool), np.zeros((0, 2)), np.zeros(0, str))


def table(image: str, count: int) -> PointTable:
    positions = np.random.default_rng(0).uniform(0, SIDE - 1, (count, 2))
    return PointTable.build(
        image=image, frame=0, positions_px=positions, pixel_size_nm=SIZE_NM, defects=["V_Se"] * count,
        sublattices=["Se"] * count, confidence=np.full(count, 0.9),
    )  # fmt: skip


def statistics(*counts: int) -> Statistics:
    areas = [area(f"day {k}") for k in range(len(counts))]
    points = PointTable.concat(table(a.image, n) for a, n in zip(areas, counts, strict=True))
    config = StatisticsConfig(simulations=19, regions=2)
    regions = [grid_regions(a, 2) for a in areas]
    *_, found = session_statistics(areas, points, config, threshold=0.5, regions=regions)
    return found


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_plots_and_numbers_are_written(tmp_path: Path) -> None:
    paths = write_statistics_files(statistics(30, 10), tmp_path)
    assert sorted(p.name for p in paths) == [
        "density.csv", "density.png", "density_map_01.png", "density_map_02.png", "pair_correlation.csv",
        "pair_correlation.png", "statistics.json",
    ]  # fmt: skip
    assert set(paths) == set(tmp_path.iterdir())


def test_the_density_table_has_every_area_and_kind(tmp_path: Path) -> None:
    write_statistics_files(statistics(30, 10), tmp_path)
    rows = read(tmp_path / "density.csv")
    assert len(rows) == 2 * (1 + 2 * (1 + 4))  # two kinds: both images, and each one whole and in four regions
    first = rows[0]
    assert (first["image"], first["defect"], first["count"]) == ("all images", "V_Se", "40")
    assert float(first["per_nm2"]) == pytest.approx(40 / 200)
    assert float(first["expected_count"]) == pytest.approx(36.0)
    assert first["sites"] == ""


def test_the_pairs_of_the_table_are_those_of_the_points(tmp_path: Path) -> None:
    found = statistics(30)
    write_statistics_files(found, tmp_path)
    pairs = sum(float(row["pairs"]) for row in read(tmp_path / "pair_correlation.csv"))
    positions = table("", 30).positions_px * SIZE_NM
    distance = np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))
    assert pairs == ((distance <= 2.5).sum() - 30) / 2  # up to a quarter of the image


def test_numbers_that_are_not_known_are_null_in_the_json(tmp_path: Path) -> None:
    write_statistics_files(statistics(30), tmp_path)
    told = json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8"))
    assert told["densities"][0]["percent_of_sites"] is None
    assert told["config"]["simulations"] == 19


def test_without_points_there_is_an_upper_limit_and_no_pair_plot(tmp_path: Path) -> None:
    found = statistics(0)
    names = {p.name for p in write_statistics_files(found, tmp_path)}
    assert "pair_correlation.png" not in names
    text = "\n".join(statistics_text(found, []))
    assert "| day 0 | all defects | 0 | 0.0 ± 0.0 | 0.0000 | 0.0000 to 0.0369 |" in text


def test_the_report_shows_the_plots(tmp_path: Path) -> None:
    found = statistics(30)
    text = "\n".join(statistics_text(found, write_statistics_files(found, tmp_path)))
    assert "![density](density.png)" in text
    assert "density.csv" not in text


def test_every_picture_can_be_opened(tmp_path: Path) -> None:
    for path in write_statistics_files(statistics(30, 3), tmp_path):
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 300


def test_a_value_is_drawn_at_its_place() -> None:
    axes = Axes((300, 200), (0.0, 10.0), (0.0, 4.0))
    empty = np.asarray(axes.finished(), int)
    axes.points(np.array([5.0]), np.array([2.0]), "#ff0000")
    rows, cols = np.nonzero(np.abs(np.asarray(axes.finished(), int) - empty).sum(2) > 30)
    left, top = axes.place(5.0, 2.0)
    assert (cols.mean() + 0.5, rows.mean() + 0.5) == (pytest.approx(left / 2, abs=1), pytest.approx(top / 2, abs=1))


@pytest.mark.parametrize(
    ("ends", "expected"), [((0.0, 1.0), [0, 0.2, 0.4, 0.6, 0.8, 1]), ((20.0, 0.0), [0, 5, 10, 15, 20])]
)
def test_ticks_are_round(ends: tuple[float, float], expected: list[float]) -> None:
    assert ticks(*ends) == expected


def test_colours_grow_from_dark_to_bright_and_nothing_is_paper() -> None:
    colours = mapped(np.array([[0.0, 1.0, 2.0, np.nan]]), 2.0).astype(int).sum(2)[0]
    assert colours[0] < colours[1] < colours[2] < colours[3] == 3 * 255
