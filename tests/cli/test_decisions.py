"""A table with the user's decisions on the command line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_stem_gan.cli import commands, main
from napari_stem_gan.detect.table import ACCEPTED, PointTable


@pytest.fixture
def adapted(monkeypatch):
    """What `workflow.adapt` was given."""
    seen = {}

    def adapt(images, matches, config, *, decisions=None, **_):
        seen["decisions"] = decisions
        yield from ()
        return SimpleNamespace(save=lambda path: SimpleNamespace(path=path), report=seen.get("report", {}))

    monkeypatch.setattr(commands, "matched", lambda *_: ([SimpleNamespace(name="a", frame=0, shape=(64, 64))], []))
    monkeypatch.setattr(commands.workflow, "adapt", adapt)
    return seen


def test_adapt_learns_from_a_table_with_decisions(adapted, tmp_path):
    table = PointTable.build(
        image="a", frame=0, positions_px=np.array([[1.0, 2.0]]), pixel_size_nm=0.02, defects=["V_Se"],
        sublattices=["Se"], confidence=np.array([0.4]),
    )  # fmt: skip
    PointTable({**table.columns, "decision": np.array([ACCEPTED])}).to_csv(tmp_path / "points.csv")

    code = main(
        ["adapt", "a.tif", "--decisions", str(tmp_path / "points.csv"), "--out", str(tmp_path / "m.safetensors")]
    )

    assert code == 0
    assert list(adapted["decisions"]["decision"]) == [ACCEPTED]


def test_decisions_outside_their_image_are_left_out_and_counted(adapted, tmp_path, capsys):
    head = "image,frame,y_px,x_px,y_nm,x_nm,defect,sublattice,confidence,decision"
    rows = [f"a,0,{y},63.4,,,V_Se,Se,0.9,{said}" for y, said in ((5, "rejected"), (64, "accepted"), (70, ""))]
    (tmp_path / "p.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")

    code = main(["adapt", "a.tif", "--decisions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "m.safetensors")])

    assert (code, list(adapted["decisions"]["decision"])) == (0, ["rejected"])
    assert "left out, because outside their image: 1 point\n" in capsys.readouterr().out


def test_a_poor_model_is_saved_with_a_warning(adapted, tmp_path, capsys):
    adapted["report"] = {"warning": "F1 0.31 on held-out pairs: do not rely on its points"}

    assert main(["adapt", "a.tif", "--out", str(tmp_path / "m.safetensors")]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"warning: {adapted['report']['warning']}"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("b,0,1,2,0.1,0.1,V_Se,Se,0.9,accepted", "got points on 'b'"),
        ("a,0,1,2,0.1,0.1,V_Se,Se,0.9,", "got none; review"),
        ("", "got none; review"),
        ("a,0,1,64,0.1,0.1,V_Se,Se,0.9,accepted", "got 1 outside their image"),
        ("a,1,1,2,0.1,0.1,V_Se,Se,0.9,accepted", "got 1 outside their image"),
        ("a,0,,,,,V_Se,Se,0.9,accepted", "must give y_px and x_px of every point, got none in row 2"),
    ],
)
def test_a_table_that_teaches_nothing_is_refused(adapted, tmp_path, capsys, rows, told):
    head = "image,frame,y_px,x_px,y_nm,x_nm,defect,sublattice,confidence,decision"
    (tmp_path / "p.csv").write_text(f"{head}\n{rows}\n" if rows else f"{head}\n", encoding="utf-8")

    code = main(["adapt", "a.tif", "--decisions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "m.safetensors")])

    assert (code, adapted) == (1, {})
    assert told in capsys.readouterr().err


def test_a_table_that_is_missing_ends_in_one_sentence(adapted, tmp_path, capsys):
    code = main(
        ["adapt", "a.tif", "--decisions", str(tmp_path / "no.csv"), "--out", str(tmp_path / "m.safetensors")]
    )

    assert code != 0
    assert "no.csv" in capsys.readouterr().err
