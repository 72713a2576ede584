"""The word ``balanced`` on the command line, with candidates whose threshold is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_stem_gan import workflow
from napari_stem_gan.cli import main
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.io import write_image

CONFIDENCE = np.array([0.9, 0.4, 0.4, 0.06])


def found(images, matches, config, **more):
    """What a finder would have found on one image."""
    yield workflow.Progress(stage="detect", fraction=1.0, message="")
    table = PointTable.build(
        image=images[0].name, frame=0, positions_px=np.full((4, 2), 9.0), pixel_size_nm=0.02, defects=["V_Se"] * 4,
        sublattices=["Se"] * 4, confidence=CONFIDENCE,
    )  # fmt: skip
    return [SimpleNamespace(points=table)]


@pytest.fixture
def detect(draw_crystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the command on a crystal; returns the path of its table."""
    monkeypatch.setattr(workflow, "detect", found)
    write_image(tmp_path / "day.tif", draw_crystal(shape=(160, 176), dose_e_per_A2=1e5).image)

    def run(*words: str) -> Path:
        table = tmp_path / "points.csv"
        assert main(["detect", str(tmp_path / "day.tif"), "--material", "WSe2", "--out", str(table), *words]) == 0
        return table

    return run


def test_the_line_says_which_threshold_it_was(detect, capsys: pytest.CaptureFixture[str]) -> None:
    table = detect("--threshold", "balanced")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("3 defects on 1 of 1 images")
    assert said[1].startswith("balanced threshold 0.40: expect 57\u00a0% of the points to be right, and 97\u00a0% of")
    assert len(table.read_text().splitlines()) == 1 + 3
    assert json.loads(table.with_suffix(".json").read_text())["threshold"] == 0.4


@pytest.mark.parametrize(("asked", "threshold", "points"), [("balanced", 0.4, 3), ("0.5", 0.5, 1)])
def test_json_holds_the_number(detect, capsys: pytest.CaptureFixture[str], asked, threshold, points) -> None:
    detect("--threshold", asked, "--json")
    result = json.loads(capsys.readouterr().out)
    assert (result["threshold"], result["points"]) == (threshold, points)
