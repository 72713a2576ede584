import numpy as np
import pytest

from napari_stem_gan.io import read_header, read_rows

ROWS = [["y_px", "name", "x_px"], ["10.5", "Gerät 1,5", "2"], ["-0.25", "b", "1.5E+03"]]


def text(delimiter=",", decimal="."):
    lines = [[cell.replace(".", decimal) if i != 1 else cell for i, cell in enumerate(row)] for row in ROWS]
    quoted = [[f'"{cell}"' if delimiter in cell else cell for cell in row] for row in lines]
    return "\r\n".join(delimiter.join(row) for row in quoted) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ","), (",", ",")])
def test_what_spreadsheets_save_is_read(tmp_path, encoding, delimiter, decimal):
    (tmp_path / "a.csv").write_bytes(text(delimiter, decimal).encode(encoding))
    rows = read_rows(tmp_path / "a.csv", text=["name"])
    assert read_header(tmp_path / "a.csv") == rows.names == ("y_px", "name", "x_px")
    assert rows.texts("name") == ["Gerät 1,5", "b"]
    np.testing.assert_array_equal(rows.numbers("y_px"), [10.5, -0.25])
    np.testing.assert_array_equal(rows.numbers("x_px"), [2.0, 1500.0])


def test_empty_rows_columns_and_cells_that_a_spreadsheet_leaves_are_no_fault(tmp_path):
    (tmp_path / "a.csv").write_text("y_px;x_px;note;;\n1;2;;;\n;;;;\n3\n\n", encoding="utf-8")
    rows = read_rows(tmp_path / "a.csv", text=["note"])
    assert rows.names == ("y_px", "x_px", "note")
    assert (rows.lines, rows.texts("note")) == ((2, 4), ["", ""])
    np.testing.assert_array_equal(rows.numbers("x_px"), [2, np.nan])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("y_px\n1\n1O\n", "column 'y_px', got '1O' in row 3"),
        ("y_px\n01.05.2026\n", "got '01.05.2026' in row 2"),
        ('y_px\n"1,024"\n0.5\n', "got '1,024' in row 2"),
        ("y_px,x_px\n1,2\n,3\n", "got nothing in row 3"),
    ],
)
def test_a_cell_without_a_number_is_named(tmp_path, content, told):
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="must hold numbers in column 'y_px'") as error:
        read_rows(tmp_path / "a.csv", text=[]).numbers("y_px", empty=False)
    assert told in str(error.value)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("y_px,x_px\n1,2\n3", encoding="utf-8")
    with pytest.raises(ValueError, match="row 3 is damaged or cut off"):
        read_rows(tmp_path / "a.csv", text=[])
