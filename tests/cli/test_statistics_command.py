"""The statistics command on a crystal with known vacancies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_stem_gan import workflow
from napari_stem_gan.cli import main
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.threshold import balanced_threshold
from napari_stem_gan.io import write_image


@pytest.fixture
def session(draw_crystal, tmp_path: Path) -> tuple[Path, Path]:
    """An image of 5 nm × 5 nm, and the table of its true defects."""
    drawn = draw_crystal(shape=(256, 256), single_vacancy=0.08, dose_e_per_A2=1e5)
    drawn = replace(drawn, image=replace(drawn.image, name="day"))
    write_image(tmp_path / "day.tif", drawn.image)
    return tmp_path / "day.tif", workflow.truth_table(drawn).to_csv(tmp_path / "points.csv")


def run(*words: object) -> int:
    return main([*map(str, words), "--material", "WSe2", "--simulations", "19", "--json"])


def test_densities_pairs_and_maps_are_written(session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, table = session
    assert run("statistics", image, "--table", table, "--out", tmp_path / "out") == 0
    told = json.loads(capsys.readouterr().out)
    whole = next(d for d in told["densities"] if d["defect"] == "V_Se" and d["region"] == "whole crystal")
    count = len(table.read_text(encoding="utf-8").splitlines()) - 1
    assert whole["count"] == pytest.approx(count, abs=2)  # some on the very rim
    assert whole["area_nm2"] == pytest.approx(26.2, rel=0.05)
    assert whole["percent_of_sites"] == pytest.approx(8, abs=3)
    assert {Path(f).name for f in told["files"]} == {p.name for p in (tmp_path / "out").iterdir()}


def test_points_outside_the_image_are_left_out_and_counted(session, tmp_path: Path, capsys) -> None:
    image, table = session
    with table.open("a", encoding="utf-8") as file:
        file.writelines(f"day,{frame},{y},{x},1,1,V_Se,Se,1\n" for frame, y, x in ((0, -1, 9), (0, 9, 256), (1, 9, 9)))
    assert run("statistics", image, "--table", table, "--out", tmp_path / "out") == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 3


def test_a_threshold_that_is_no_probability_is_refused(session, tmp_path: Path, capsys) -> None:
    image, table = session
    assert run("statistics", image, "--table", table, "--threshold", "nan", "--out", tmp_path / "out") == 1
    assert "threshold must lie between 0 and 1, got nan" in capsys.readouterr().err


def test_a_balanced_threshold_is_that_of_the_table(session, tmp_path: Path, capsys) -> None:
    image, table = session
    points = workflow.read_points(table)
    confidence = np.resize([0.9, 0.4, 0.06], len(points))
    PointTable({**points.columns, "confidence": confidence}).to_csv(table)
    assert run("statistics", image, "--table", table, "--threshold", "balanced", "--out", tmp_path / "out") == 0
    assert json.loads(capsys.readouterr().out)["threshold"] == balanced_threshold(confidence) == 0.4


def test_a_table_of_other_images_is_refused(session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, table = session
    table.write_text(table.read_text(encoding="utf-8").replace("day,", "night,"), encoding="utf-8")
    assert run("statistics", image, "--table", table, "--out", tmp_path / "out") == 1
    assert "got points on 'night'" in capsys.readouterr().err
