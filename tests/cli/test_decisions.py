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
        return SimpleNamespace(save=lambda path: None, report={})

    monkeypatch.setattr(commands, "_matched", lambda *_: ([], []))
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


def test_a_table_that_is_missing_ends_in_one_sentence(adapted, tmp_path, capsys):
    code = main(
        ["adapt", "a.tif", "--decisions", str(tmp_path / "no.csv"), "--out", str(tmp_path / "m.safetensors")]
    )

    assert code != 0
    assert "no.csv" in capsys.readouterr().err
