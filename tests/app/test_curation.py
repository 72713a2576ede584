"""The user's decisions on points: they survive the slider, a new search, saving and loading, and can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.app.curation import ACCEPTED, ADDED, CANDIDATE, REJECTED
from napari_stem_gan.detect.table import read_csv

from .conftest import TRUE_PX


@pytest.fixture
def found(bench, finish):
    """A workbench after Detect."""
    workbench = bench()
    finish(workbench, "detect")
    return workbench


def points_of(workbench):
    ((_, layer),) = workbench.results.of_kind("defects")
    return layer


def decisions(workbench):
    (candidates,) = [one.points for one, _ in workbench.results.curated.each()]
    return [str(one) for one in candidates.columns["decision"]]


def test_an_accepted_point_stays_whatever_the_threshold(found):
    layer = points_of(found)

    found.results.curated.decide(layer, [1], ACCEPTED)
    found.results.filter(0.9)

    assert list(layer.features["defect"]) == ["V_Se", "V_2Se"]
    assert decisions(found) == ["", ACCEPTED, ""]
    assert layer.face_color[1, 3] > 0.3
    assert layer.face_color[0, 3] == 0


def test_a_rejected_point_never_counts_and_can_be_looked_at(found):
    layer = points_of(found)

    found.results.curated.decide(layer, [0], REJECTED)

    assert found.results.filter(0.1) == ["V_2Se", "V_W"]
    found.results.curated.show_rejected(True)
    assert list(layer.features["decision"]) == ["", "", REJECTED]
    assert str(layer.symbol[2]) == "x"
    assert found.results.defects() == ["V_2Se", "V_W"]


def test_napari_s_own_delete_rejects_and_its_own_move_accepts(found):
    layer = points_of(found)
    layer.selected_data = {0}
    layer.remove_selected()

    layer.data = layer.data + 1.0

    assert decisions(found) == [REJECTED, ACCEPTED, ""]


def test_a_drawn_point_is_added(found):
    layer = points_of(found)

    layer.add([5.0, 60.0])

    assert decisions(found)[-1] == ADDED
    assert layer.features[CANDIDATE].iloc[-1] == 3
    assert found.results.defects() == ["V_Se", "V_2Se", "V_2Se"]


def test_a_point_drawn_on_a_candidate_below_the_threshold_accepts_it(found):
    layer = points_of(found)

    layer.add(TRUE_PX[2] + 0.5)

    assert decisions(found) == ["", "", ACCEPTED]
    found.results.filter(0.5)
    np.testing.assert_allclose(layer.data[2], TRUE_PX[2])
    assert layer.features["defect"].iloc[2] == "V_W"


def test_undo_takes_back_one_step_after_the_other(found):
    layer = points_of(found)
    curated = found.results.curated
    curated.decide(layer, [0], ACCEPTED)
    layer.add([5.0, 60.0])
    layer.selected_data = {1}
    layer.remove_selected()

    states = []
    while curated.undo():
        states.append(decisions(found))

    assert states == [[ACCEPTED, "", "", ADDED], [ACCEPTED, "", ""], ["", "", ""]]
    np.testing.assert_allclose(layer.data, TRUE_PX[:2])
    assert not curated.can_undo()


def test_decisions_survive_a_new_search_on_the_same_image(found, finish):
    layer = points_of(found)
    found.results.curated.decide(layer, [1], ACCEPTED)
    layer.add([5.0, 60.0])
    layer.selected_data = {0}
    layer.remove_selected()

    finish(found, "detect")
    found.results.filter(0.9)

    assert decisions(found) == [REJECTED, ACCEPTED, "", ADDED]
    assert {tuple(row) for row in layer.data} == {(40.25, 71.5), (5.0, 60.0)}


def test_decisions_do_not_survive_another_image(found, finish, image_layer):
    found.results.curated.decide(points_of(found), [0], REJECTED)
    image_layer.data = np.random.default_rng(5).random((64, 96), dtype=np.float32)

    finish(found, "detect")

    assert decisions(found) == ["", "", ""]


def test_decisions_are_saved_and_can_be_taken_back_into_another_session(found, finish, bench, tmp_path, image_layer):
    layer = points_of(found)
    found.results.curated.decide(layer, [0], REJECTED)
    layer.add([5.0, 60.0])
    path = str(tmp_path / "points.csv")
    found.save_csv(path)

    table = read_csv(path)
    assert list(table["decision"]) == ["", ADDED, REJECTED]  # rejected points come last
    assert np.isfinite(table["y_nm"]).all()

    found.viewer.layers.remove(layer)
    finish(found, "detect")
    assert decisions(found) == ["", "", ""]
    found.load_csv(path)
    assert decisions(found) == [REJECTED, "", "", ADDED]


def test_statistics_see_only_what_counts(found):
    found.results.curated.decide(points_of(found), [0], REJECTED)

    (table,) = found.results.tables()

    assert list(table["defect"]) == ["V_2Se"]
    assert len(found.results.tables(rejected=True)[0]["defect"]) == 2


@pytest.mark.parametrize("step", ["adapt", "run"])
def test_adapt_is_given_the_decisions(found, fake, finish, step):
    found.results.curated.decide(points_of(found), [0], REJECTED)
    found.results.curated.decide(points_of(found), [0], ACCEPTED)

    finish(found, step)

    table = fake.seen["decisions"]
    assert list(table["decision"]) == [REJECTED, ACCEPTED]
    np.testing.assert_allclose(table.positions_px, TRUE_PX[:2])


def test_without_decisions_adapt_is_given_none(found, fake, finish):
    finish(found, "adapt")

    assert fake.seen["decisions"] is None
