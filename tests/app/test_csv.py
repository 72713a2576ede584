"""Our CSV: saved from the panel or by napari, dropped back, exactly on the image; foreign files are refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Layer, Points

from napari_stem_gan.app import csv_file
from napari_stem_gan.app.readers import get_table_reader
from napari_stem_gan.app.writers import write_points
from napari_stem_gan.detect.table import COLUMNS, read_csv

from .conftest import TRUE_PX


def dropped(path):
    return [Layer.create(*layer) for layer in get_table_reader(str(path))(str(path))]


@pytest.fixture
def saved(bench, finish, tmp_path):
    workbench = bench()
    finish(workbench, "detect")
    workbench.save_csv(str(tmp_path / "points.csv"))
    return tmp_path / "points.csv"


def test_the_csv_is_in_nm_and_px(saved, image_layer):
    table = read_csv(saved)

    assert saved.read_text().split("\n")[0].split(",")[: len(COLUMNS)] == list(COLUMNS)
    assert set(table["image"]) == {image_layer.name}
    np.testing.assert_allclose(table["y_px"], TRUE_PX[:2, 0])
    np.testing.assert_allclose(table["x_nm"], TRUE_PX[:2, 1] * 0.02)


def test_the_json_beside_it_tells_where_it_came_from(saved, image_layer):
    record = json.loads(saved.with_suffix(".json").read_text())

    assert record["threshold"] == 0.5  # the slider's, at the time of saving
    assert len(record["images"][0]["sha256"]) == 64
    assert record["layers"][image_layer.name]["translate"] == [3.0, -7.5]


def test_dropped_back_it_lands_exactly_on_the_image(saved, image_layer, monkeypatch):
    monkeypatch.setattr(csv_file, "current_viewer", lambda: None)  # another session: the JSON has to do

    (points,) = dropped(saved)

    np.testing.assert_allclose(points.data_to_world(points.data[1]), image_layer.data_to_world(TRUE_PX[1]), atol=1e-4)
    assert list(points.features["defect"]) == ["V_Se", "V_2Se"]
    assert points.units == image_layer.units


def test_it_lands_on_the_open_image_even_after_calibration(saved, image_layer, monkeypatch):
    image_layer.scale = (0.03, 0.03)
    monkeypatch.setattr(csv_file, "current_viewer", lambda: SimpleNamespace(layers=[image_layer]))

    (points,) = dropped(saved)

    np.testing.assert_allclose(points.data_to_world(points.data[1]), image_layer.data_to_world(TRUE_PX[1]), atol=1e-4)


def test_without_its_json_the_scale_comes_from_the_columns(saved, monkeypatch):
    monkeypatch.setattr(csv_file, "current_viewer", lambda: None)
    saved.with_suffix(".json").unlink()

    (points,) = dropped(saved)

    np.testing.assert_allclose(points.scale, 0.02, rtol=1e-4)


def test_without_a_scale_nm_come_from_the_match(bench, finish, tmp_path):
    from napari.layers import Image

    workbench = bench(Image(np.random.default_rng(0).random((64, 96), dtype=np.float32), name="bare"))
    finish(workbench, "detect")

    workbench.save_csv(str(tmp_path / "bare.csv"))

    np.testing.assert_allclose(read_csv(tmp_path / "bare.csv")["y_nm"], TRUE_PX[:2, 0] * 0.021, rtol=1e-4)


def test_foreign_csvs_are_not_claimed(tmp_path):
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("index,axis-0,axis-1\n0,1,2\n")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(256)))

    for path in (foreign, binary, tmp_path / "missing.csv", tmp_path):
        assert get_table_reader(str(path)) is None


def test_several_images_come_back_as_several_layers(tmp_path):
    first = Points([[1.0, 2.0]], name="a", scale=(0.02, 0.02), units=("nm", "nm"))
    second = Points([[2, 3.0, 4.0]], name="b", scale=(1, 0.03, 0.03), units=("pixel", "nm", "nm"))

    write_points(str(tmp_path / "both.csv"), [layer.as_layer_data_tuple() for layer in (first, second)])

    one, two = dropped(tmp_path / "both.csv")
    np.testing.assert_allclose(one.data, first.data)
    np.testing.assert_allclose(two.data, second.data)
    np.testing.assert_allclose(two.scale, second.scale)


def test_plain_points_of_others_can_be_saved_too(tmp_path):
    points = Points([[10.0, 20.0]], name="mine")

    write_points(str(tmp_path / "mine.csv"), [points.as_layer_data_tuple()])

    table = read_csv(tmp_path / "mine.csv")
    assert np.isnan(table["y_nm"]).all()  # no pixel size, so no nm
    np.testing.assert_allclose(table["y_px"], 10.0)


def test_a_folder_that_is_missing_is_told(bench, finish, tmp_path):
    from napari.utils.notifications import notification_manager

    workbench = bench()
    finish(workbench, "detect")

    workbench.save_csv(str(tmp_path / "nowhere" / "points.csv"))

    assert "nowhere" in notification_manager.records[-1].message
