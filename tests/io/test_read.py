"""Formats other than TIFF, and how much memory reading takes."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images, readable_suffixes, write_image


def grey(*shape: int) -> np.ndarray:
    return (np.random.default_rng(0).random(shape or (40, 50)) * 255).astype(np.uint8)


def test_npy_is_read_without_a_pixel_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey().astype(float))
    (image,) = read_images(tmp_path / "a.npy")
    assert image.data.dtype == np.float32
    assert image.pixel_size_A is None
    assert image.name == "a"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_png_of_any_grey_kind_is_one_image(tmp_path: Path, mode: str) -> None:
    Image.fromarray(grey()).convert(mode).save(tmp_path / "a.png")
    (image,) = read_images(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, grey())


def test_upper_case_suffix_is_known(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey())
    path = (tmp_path / "a.npy").rename(tmp_path / "A.NPY")
    assert read_images(path)[0].shape == (40, 50)


def test_singleton_axes_are_dropped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey(1, 1, 2, 40, 50))
    assert len(read_images(tmp_path / "a.npy")) == 2


def test_microscope_formats_are_listed() -> None:
    assert {".tif", ".dm3", ".dm4", ".emd", ".ser", ".mrc", ".hspy", ".npy", ".png"} <= set(readable_suffixes())


@pytest.mark.parametrize("shape", [(37, 1021), (2048, 2048)])
def test_reading_makes_no_needless_copies(tmp_path: Path, shape: tuple[int, int]) -> None:
    data = np.random.default_rng(0).random(shape, dtype=np.float32)
    write_image(tmp_path / "a.tif", STEMImage(data=data, pixel_size_A=0.2))
    read_images(tmp_path / "a.tif")  # imports
    tracemalloc.start()
    (image,) = read_images(tmp_path / "a.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(image.data, data)
    assert peak < 1.6 * data.nbytes + 1e6


def test_io_imports_neither_torch_nor_rosettasciio() -> None:
    code = (
        "import sys, napari_stem_gan.io as io; print({'torch', 'rsciio', 'h5py', 'qtpy', 'napari'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
