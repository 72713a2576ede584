import json

import numpy as np
import pytest

from napari_stem_gan.detect.table import COLUMNS, PointTable, TableError, is_points_csv, read_csv
from napari_stem_gan.io import OutputError

HEADER = "image,frame,y_px,x_px,y_nm,x_nm,defect,sublattice,confidence"


def table(image="day_d, 1", count=3, **changes):
    positions = np.array([[10.0, 20.5], [0.25, 3.0], [99.1234, 7.0]])[:count]
    values = {
        "image": image, "frame": 2, "positions_px": positions, "pixel_size_nm": 0.02,
        "defects": ["V_Se", "V_2Se", "Mo_W"][:count], "sublattices": ["Se", "Se", "W"][:count],
        "confidence": np.array([0.9, 0.5, 0.1])[:count],
    }  # fmt: skip
    return PointTable.build(**{**values, **changes})


def test_the_header_begins_with_exactly_the_columns(tmp_path):
    table().to_csv(tmp_path / "points.csv")
    first = (tmp_path / "points.csv").read_text(encoding="utf-8").splitlines()[0]
    assert ",".join(COLUMNS) == HEADER
    assert first.startswith(HEADER + ",")


def test_nm_are_pixels_times_pixel_size():
    np.testing.assert_allclose(table()["y_nm"], table()["y_px"] * 0.02)
    np.testing.assert_allclose(table()["x_nm"], [0.41, 0.06, 0.14])


def test_the_csv_comes_back_as_it_was(tmp_path):
    before = table()
    after = read_csv(before.to_csv(tmp_path / "points.csv"))
    np.testing.assert_allclose(after.positions_px, before.positions_px, atol=1e-4)
    for name in ("image", "frame", "defect", "sublattice"):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_allclose(after["confidence"], before["confidence"], atol=1e-5)
    np.testing.assert_allclose(after["y_nm"], before["y_nm"], atol=1e-6)
    assert list(after.columns) == list(before.columns)


def test_an_unknown_pixel_size_leaves_the_nm_cells_empty(tmp_path):
    path = table(pixel_size_nm=None).to_csv(tmp_path / "points.csv")
    assert path.read_text(encoding="utf-8").splitlines()[1].split(",")[-9:-7] == ["", ""]
    assert np.isnan(read_csv(path)["y_nm"]).all()


def test_an_empty_table_still_has_its_header_and_comes_back(tmp_path):
    path = PointTable.empty().to_csv(tmp_path / "points.csv")
    assert is_points_csv(path)
    assert len(read_csv(path)) == 0
    assert read_csv(path).positions_px.shape == (0, 2)


def test_the_provenance_is_written_beside_the_csv(tmp_path):
    table().to_csv(tmp_path / "points.csv", provenance={"threshold": 0.5, "size": np.float64(0.02)})
    assert json.loads((tmp_path / "points.json").read_text(encoding="utf-8")) == {"threshold": 0.5, "size": 0.02}


def test_the_filter_keeps_rows_at_and_above_the_threshold():
    assert list(table().filter(0.5)["defect"]) == ["V_Se", "V_2Se"]
    assert len(table().filter(0.95)) == 0


def test_tables_are_joined_in_order_and_missing_columns_become_empty():
    extra = PointTable({**table("b", 1).columns, "note": np.array([1.0])})
    joined = PointTable.concat([table("a", 2), PointTable.empty(), extra])
    assert list(joined["image"]) == ["a", "a", "b"]
    np.testing.assert_array_equal(joined["note"], [np.nan, np.nan, 1.0])
    assert len(PointTable.concat([])) == 0


@pytest.mark.parametrize("text", ["", "y,x\n1,2\n", "\x00\x01"])
def test_a_foreign_file_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "other.csv").write_text(text, encoding="utf-8")
    assert not is_points_csv(tmp_path / "other.csv")
    with pytest.raises(TableError, match=r"other\.csv.*must begin with the columns"):
        read_csv(tmp_path / "other.csv")


def test_a_cut_off_row_is_refused(tmp_path):
    path = table().to_csv(tmp_path / "points.csv")
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("Mo_W") - 8], encoding="utf-8")
    with pytest.raises(TableError, match="damaged or cut off"):
        read_csv(path)


def test_a_missing_file_and_a_missing_folder_are_told_apart(tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(OutputError):
        table().to_csv(tmp_path / "no" / "folder" / "points.csv")


def german(path, encoding="utf-8-sig"):
    """The same table as a German spreadsheet saves it: semicolons, decimal commas and a byte order mark."""
    head, *rows = path.read_text(encoding="utf-8").replace('"day_d, 1"', "day_d_1").splitlines()
    text = "\n".join([head.replace(",", ";"), *(row.replace(",", ";").replace(".", ",") for row in rows)])
    path.write_bytes((text + "\n").encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_a_table_that_a_spreadsheet_saved_comes_back_as_it_was(tmp_path, encoding):
    before = PointTable({**table().columns, "decision": np.array(["accepted", "", "rejected"])})
    path = german(before.to_csv(tmp_path / "points.csv"), encoding)
    after = read_csv(path)
    assert is_points_csv(path)
    assert list(after["image"]) == ["day_d_1"] * 3
    np.testing.assert_array_equal(after["decision"], before["decision"])
    for name in ("y_px", "x_nm", "confidence", "frame"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)


def test_a_number_that_a_spreadsheet_spoilt_is_named(tmp_path):
    path = table().to_csv(tmp_path / "points.csv")
    path.write_text(path.read_text(encoding="utf-8").replace("99.1234", "#NUM!"), encoding="utf-8-sig")
    with pytest.raises(TableError, match=r"points.csv' must hold numbers in column 'y_px', got '#NUM!' in row 4"):
        read_csv(path)


def test_a_frame_that_is_no_whole_number_is_refused(tmp_path):
    path = table().to_csv(tmp_path / "points.csv")
    path.write_text(path.read_text(encoding="utf-8").replace(",2,10.0", ",2.5,10.0"), encoding="utf-8")
    with pytest.raises(TableError, match="whole numbers in column 'frame'"):
        read_csv(path)
