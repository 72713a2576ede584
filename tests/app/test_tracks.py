from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_stem_gan.app.curation import REJECTED
from napari_stem_gan.app.layers import read_layer
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.app.tracks import follow_tracks, show_tracks

COLUMNS = {
    "track_id": np.array([1.0, 0.0, np.nan, 0.0]), "frame": np.array([1, 0, 1, 1]),
    "y_px": np.array([5.0, 1.0, 9.0, 2.0]), "x_px": np.array([6.0, 3.0, 9.0, 4.0]),
}  # fmt: skip


@pytest.fixture
def stack():
    """A viewer with a calibrated stack, and our results on it."""
    viewer = ViewerModel()
    layer = Image(
        np.zeros((2, 40, 50)), name="scan", scale=(1, 0.02, 0.02), translate=(0, 3.0, 4.0), units=("pixel", "nm", "nm")
    )
    viewer.add_layer(layer)
    return SimpleNamespace(viewer=viewer, layer=layer, results=ResultLayers(viewer))


def test_tracks_lie_on_their_stack_sorted_and_without_loose_points(stack):
    layer = show_tracks(stack.results, stack.layer, COLUMNS)
    np.testing.assert_array_equal(layer.data, [[0, 0, 1, 3], [0, 1, 2, 4], [1, 1, 5, 6]])
    np.testing.assert_array_equal(layer.scale, stack.layer.scale)
    np.testing.assert_array_equal(layer.translate, stack.layer.translate)
    assert [str(u) for u in layer.units] == [str(u) for u in stack.layer.units]
    assert layer.name == "scan tracks"


def test_a_second_run_fills_the_same_layer(stack):
    first = show_tracks(stack.results, stack.layer, COLUMNS)
    more = {name: np.append(values, values[-1]) for name, values in COLUMNS.items()} | {
        "frame": np.array([1, 0, 1, 1, 0]), "track_id": np.array([1.0, 0.0, np.nan, 0.0, 1.0])
    }  # fmt: skip
    assert show_tracks(stack.results, stack.layer, more) is first
    assert len(first.data) == 4
    assert len(stack.viewer.layers) == 2


def test_without_tracks_nothing_is_shown_and_old_ones_go(stack):
    columns = {name: values for name, values in COLUMNS.items() if name != "track_id"}
    assert show_tracks(stack.results, stack.layer, columns) is None
    show_tracks(stack.results, stack.layer, COLUMNS)
    assert show_tracks(stack.results, stack.layer, {**COLUMNS, "track_id": np.full(4, np.nan)}) is None
    assert list(stack.viewer.layers) == [stack.layer]


@pytest.fixture
def searched(stack):
    """The stack with two tracks: one sure, which is created; one less sure in its second frame."""
    columns = {
        **COLUMNS, "image": np.full(4, "scan"), "y_nm": np.full(4, np.nan), "x_nm": np.full(4, np.nan),
        "defect": np.full(4, "V_Se"), "sublattice": np.full(4, "Se"), "confidence": np.array([0.9, 0.7, 0.2, 0.6]),
        "event": np.array(["created", "", "", ""]),
    }  # fmt: skip
    stack.points = stack.results.show_candidates(read_layer(stack.layer), columns, 0.5, 4.0)
    stack.tracks = show_tracks(stack.results, stack.layer, columns)
    return stack


def shown(searched):
    return searched.tracks.data[:, 0].tolist() if searched.tracks.visible else []


def test_tracks_are_told_in_words(searched):
    assert follow_tracks(searched.results) == "2 tracks over 2 frames: 1 created"


def test_a_track_is_seen_as_long_as_one_of_its_points_counts(searched):
    for threshold, expected in ((0.65, [0, 0, 1]), (0.8, [1]), (0.95, []), (0.5, [0, 0, 1])):
        searched.results.filter(threshold)
        text = follow_tracks(searched.results)
        assert shown(searched) == expected
    assert text == "2 tracks over 2 frames: 1 created"


def test_the_track_of_a_rejected_point_goes_and_undo_brings_it_back(searched):
    searched.results.curated.decide(searched.points, [0], REJECTED)
    assert follow_tracks(searched.results) == "1 track over 2 frames: nothing changed"
    assert shown(searched) == [0, 0]
    searched.results.curated.undo()
    follow_tracks(searched.results)
    assert shown(searched) == [0, 0, 1]


def test_tracks_that_the_user_hid_stay_hidden(searched):
    searched.tracks.visible = False
    for threshold in (0.95, 0.5):
        searched.results.filter(threshold)
        follow_tracks(searched.results)
    assert not searched.tracks.visible


def test_single_images_have_no_tracks_to_tell_of(stack):
    assert follow_tracks(stack.results) == ""
