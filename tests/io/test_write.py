"""Files are written whole or not at all."""

import errno
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import (
    OutputError,
    atomic_write,
    config_to_dict,
    prepare_folder,
    read_images,
    read_json,
    write_image,
    write_json,
)


def test_image_comes_back_with_its_pixel_size(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(37, 61)).astype(np.float32)
    write_image(tmp_path / "a.tif", STEMImage(data=data, pixel_size_A=0.2071))
    (image,) = read_images(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.data, data)
    assert image.pixel_size_A == pytest.approx(0.2071, rel=1e-6)


def test_written_image_is_calibrated_for_imagej(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", STEMImage(data=np.eye(40), pixel_size_A=0.2))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata["unit"] == "nm"
        top, bottom = file.pages[0].tags["XResolution"].value
    assert bottom / top == pytest.approx(0.02)


def test_image_without_pixel_size_comes_back_without(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", STEMImage(data=np.eye(40)))
    assert read_images(tmp_path / "a.tif")[0].pixel_size_A is None


def test_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="disk is full"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_full_disk_reported_by_a_library_is_told_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(temporary: Path) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")

    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(OutputError, match="^the disk is full"):
        atomic_write(tmp_path / "a.pt", fail)


def test_other_errors_of_the_callback_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "a.txt", lambda path: 1 / 0)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_read_only_folder_is_told(tmp_path: Path, code: int) -> None:
    def fail(temporary: Path) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OutputError, match="read-only"):
        atomic_write(tmp_path / "a.txt", fail)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; create it"):
        write_json(tmp_path / "missing" / "a.json", {})


def test_prepare_folder_creates_parents_and_leaves_it_empty(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert not os.listdir(folder)


def test_prepare_folder_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        prepare_folder(tmp_path / "a")
    with pytest.raises(OutputError, match="cannot be created"):
        prepare_folder(tmp_path / "a" / "b")


@dataclass(frozen=True)
class Inner:
    angle_mrad: float = 25.0


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    path: Path = Path("x")
    sizes: tuple[int, ...] = (1, 2)
    nothing: float | None = None


def test_config_becomes_plain_json() -> None:
    plain = config_to_dict(Outer())
    assert plain == {"inner": {"angle_mrad": 25.0}, "path": "x", "sizes": [1, 2], "nothing": None}
    assert json.loads(json.dumps(plain)) == plain


def test_json_takes_numpy_and_writes_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": "Å"})
    assert read_json(tmp_path / "a.json") == {"a": 0.5, "b": [0, 1], "c": None, "d": "Å"}


def test_broken_json_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match="not a JSON file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="cannot be read"):
        read_json(tmp_path / "b.json")
