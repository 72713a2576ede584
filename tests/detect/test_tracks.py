from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.registration import Placing
from napari_stem_gan.detect.table import PointTable, read_csv
from napari_stem_gan.detect.tracks import link, track_stacks
from napari_stem_gan.image import STEMImage

HERE, THERE, HOP = (50.0, 50.0), (20.0, 70.0), (50.0, 66.0)


def frame(number, *points, sure=0.9):
    """Table of one frame from (y, x), (y, x, confidence) or (y, x, confidence, defect)."""
    rows = [(*p, *(sure, "V_Se")[len(p) - 2 :]) for p in points]
    return PointTable.build(
        image="s", frame=number, positions_px=np.array([r[:2] for r in rows], float).reshape(-1, 2),
        pixel_size_nm=0.02, defects=[r[3] for r in rows], sublattices=["Se"] * len(rows),
        confidence=np.array([r[2] for r in rows], float),
    )  # fmt: skip


def linked(*frames, shifts=None, shape=(100, 100)):
    shifts = np.zeros((len(frames), 2)) if shifts is None else np.array(shifts, float)
    placings = [Placing(np.eye(2), s) for s in shifts]
    return link(frames, placings, threshold=0.5, same_px=4.0, reach_px=18.0, shape=shape)


def ids(tables):
    return [t["track_id"].tolist() for t in tables]


def events(tables):
    return [t["event"].tolist() for t in tables]


def test_a_defect_that_stays_has_one_number_and_no_event():
    found = linked(*(frame(i, HERE, THERE) for i in range(3)))
    assert ids(found) == [[0, 1]] * 3
    assert events(found) == [["", ""]] * 3


def test_rows_in_another_order_and_a_drift_change_nothing():
    moved = frame(1, (THERE[0] - 30, THERE[1] - 5), (HERE[0] - 30, HERE[1] - 5))
    found = linked(frame(0, HERE, THERE), PointTable(moved.columns), shifts=[(0, 0), (30, 5)])
    assert ids(found) == [[0, 1], [1, 0]]


def test_created_and_filled_are_told_where_they_happen():
    found = linked(frame(0, HERE), frame(1, HERE, THERE), frame(2, THERE), frame(3, THERE))
    assert ids(found) == [[0], [0, 1], [1], [1]]
    assert events(found) == [[""], ["filled", "created"], [""], [""]]


def test_what_drifts_into_view_was_not_created_and_what_leaves_was_not_filled():
    found = linked(frame(0, (2.0, 50.0)), frame(1, (95.0, 50.0)), shifts=[(0, 0), (20, 0)])
    assert events(found) == [[""], [""]]


def test_one_unsure_frame_is_bridged_by_the_candidate_there():
    found = linked(frame(0, HERE), frame(1, (*HERE, 0.2)), frame(2, HERE))
    assert ids(found) == [[0], [0], [0]]
    assert events(found) == [[""], [""], [""]]


def test_a_frame_without_any_candidate_is_no_gap():
    found = linked(frame(0, HERE), frame(1, THERE), frame(2, HERE))
    assert ids(found) == [[0], [1], [2]]
    assert events(found) == [["filled"], ["created+filled"], ["created"]]


def test_two_unsure_frames_end_a_track():
    found = linked(frame(0, HERE), frame(1, (*HERE, 0.2)), frame(2, (*HERE, 0.2)), frame(3, HERE))
    assert [i[0] for i in ids(found)] == pytest.approx([0, np.nan, np.nan, 1], nan_ok=True)
    assert events(found) == [["filled"], [""], [""], ["created"]]


def test_a_hop_to_the_next_site_is_a_move_of_the_same_defect_only():
    found = linked(frame(0, HERE), frame(1, HOP), frame(2, (*HERE, 0.9, "V_2Se")))
    assert ids(found) == [[0], [0], [1]]
    assert events(found) == [[""], ["moved+filled"], ["created"]]


def test_another_defect_on_the_same_site_is_a_change():
    found = linked(frame(0, HERE), frame(1, (*HERE, 0.9, "V_2Se")))
    assert (ids(found), events(found)) == ([[0], [0]], [[""], ["changed"]])


def test_unsure_points_have_no_track():
    (found,) = linked(frame(0, (*HERE, 0.2)))
    assert np.isnan(found["track_id"]).all()


def test_tracks_survive_the_csv(tmp_path):
    both = PointTable.concat(linked(frame(0, HERE, (*THERE, 0.1)), frame(1, (*HERE, 0.9, "V_2Se"))))
    again = read_csv(both.to_csv(tmp_path / "p.csv"))
    np.testing.assert_array_equal(again["track_id"], both["track_id"])
    assert again["event"].tolist() == ["", "", "changed"]
    assert ",0,changed" in (tmp_path / "p.csv").read_text()


def test_vacancies_of_a_drifting_stack_keep_their_numbers(draw_crystal):
    drawn = draw_crystal(shape=(300, 320), single_vacancy=0.05, dose_e_per_A2=2e5, contamination=0.3)
    images, tables = [], []
    for number, (y, x) in enumerate([(0, 0), (21, 13), (45, 40)]):
        data = drawn.image.data[y : y + 240, x : x + 250]
        images.append(STEMImage(data=data, pixel_size_A=0.2, name="s", frame=number))
        true = drawn.positions_px - (y, x)
        inside = ((true > 2) & (true < (237, 247))).all(1)
        table = frame(number, *map(tuple, true[inside]))
        tables.append(PointTable({**table.columns, "true": np.flatnonzero(inside)}))
    matches = [match(i, MatchConfig(material="WSe2")) for i in images]
    found = PointTable.concat(track_stacks(images, matches, tables, threshold=0.5))
    pairs = {(int(a), int(b)) for a, b in zip(found["track_id"], found["true"], strict=True)}
    assert len(pairs) == len(set(found["track_id"])) == len(set(found["true"]))
    assert set(found["event"]) == {""}


def test_a_frame_that_could_not_be_searched_is_passed_over(draw_crystal):
    image = draw_crystal(single_vacancy=0.05, dose_e_per_A2=1e5).image
    images = [replace(image, name="s", frame=number) for number in range(3)]
    good = match(image, MatchConfig(material="WSe2"))
    matches = [good, replace(good, accepted=False), good]
    found = track_stacks(images, matches, [frame(0, HERE), frame(1), frame(2, HERE)], threshold=0.5)
    assert ids(found) == [[0], [], [0]]
    assert events(found) == [[""], [], [""]]


def test_single_images_are_left_alone(draw_crystal):
    image = draw_crystal(single_vacancy=0.05, dose_e_per_A2=1e5).image
    images = [image, replace(image, name="b")]
    matches = [match(image, MatchConfig(material="WSe2"))] * 2
    tables = [frame(0, HERE), frame(0, HERE)]
    assert track_stacks(images, matches, tables, threshold=0.5) == tables
