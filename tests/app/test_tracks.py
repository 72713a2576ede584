from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.app.tracks import show_tracks

COLUMNS = {
    "track_id": np.array([1.0, 0.0, np.nan, 0.0]), "frame": np.array([1, 0, 1, 1]),
    "y_px": np.array([5.0, 1.0, 9.0, 2.0]), "x_px": np.array([6.0, 3.0, 9.0, 4.0]),
}  # fmt: skip


@pytest.fixture
def stack():
    """A viewer with a calibrated stack, and our results on it."""
    viewer = ViewerModel()
    layer = Image(
        np.zeros((2, 20, 30)), name="scan", scale=(1, 0.02, 0.02), translate=(0, 3.0, 4.0), units=("pixel", "nm", "nm")
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
