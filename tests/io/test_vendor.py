"""Microscope formats through RosettaSciIO and plain HDF5."""

import importlib
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_stem_gan.image import ImageError
from napari_stem_gan.io import read_images


def signal(data: np.ndarray, unit: str, scale: float = 0.02) -> dict:
    names = ["time", "y", "x"][-data.ndim :]
    axes = [
        {"name": name, "size": size, "scale": scale, "offset": 0.0, "units": unit, "navigate": name == "time"}
        | {"index_in_array": i, "_type": "UniformDataAxis"}
        for i, (name, size) in enumerate(zip(names, data.shape, strict=True))
    ]
    known = {"metadata": {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}}, "original_metadata": {}}
    empty: dict = {key: {} for key in ("tmp_parameters", "package_info", "learning_results", "models")}
    return {"data": data, "axes": axes, "attributes": {"_lazy": False}} | known | empty


def write(path: Path, reader: str, data: np.ndarray, unit: str) -> Path:
    importlib.import_module(f"rsciio.{reader}").file_writer(str(path), signal(data, unit))
    return path


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape or (40, 50))


@pytest.mark.parametrize(("name", "reader"), [("a.hspy", "hspy"), ("a.emd", "emd"), ("a.hdf5", "hspy")])
@pytest.mark.parametrize(("unit", "size_nm"), [("nm", 0.02), ("n_m", 0.02), ("Å", 0.002), ("µm", 20.0)])
def test_image_and_pixel_size_come_through(tmp_path: Path, name: str, reader: str, unit: str, size_nm: float) -> None:
    (image,) = read_images(write(tmp_path / name, reader, picture(), unit))
    np.testing.assert_allclose(image.data, picture(), rtol=1e-6)
    assert image.pixel_size_nm == pytest.approx(size_nm)


def test_stack_gives_every_frame(tmp_path: Path) -> None:
    images = read_images(write(tmp_path / "a.hspy", "hspy", picture(3, 40, 50), "nm"))
    assert [image.frame for image in images] == [0, 1, 2]


def test_diffraction_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="diffraction"):
        read_images(write(tmp_path / "a.hspy", "hspy", picture(), "1/nm"))


def test_largest_image_of_plain_hdf5_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points"] = np.zeros((141, 2))
        file["preview"] = picture(10, 12)
        file["group/image"] = picture()
    (image,) = read_images(tmp_path / "a.h5")
    assert image.shape == (40, 50)
    assert image.pixel_size_A is None


def test_missing_rosettasciio_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    (tmp_path / "a.dm4").write_bytes(b"\0" * 100)
    with pytest.raises(ImageError, match=r"pip install 'napari-stem-gan\[em\]'"):
        read_images(tmp_path / "a.dm4")
