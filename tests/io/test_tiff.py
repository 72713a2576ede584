"""Pixel sizes as the programs of the field leave them in TIFF files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_stem_gan.image import ImageError
from napari_stem_gan.io import read_images


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape or (40, 50), dtype=np.float32)


def size_nm(path: Path) -> float | None:
    return read_images(path)[0].pixel_size_nm


@pytest.mark.parametrize(("unit", "scale"), [("nm", 0.02), ("micron", 2e-5), ("\\u00B5m", 2e-5), ("pm", 20.0)])
def test_imagej_unit_and_resolution_are_read(tmp_path: Path, unit: str, scale: float) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), imagej=True, resolution=(1 / scale, 1 / scale), metadata={"unit": unit})
    assert size_nm(path) == pytest.approx(0.02, rel=1e-5)


@pytest.mark.parametrize(("unit", "scale"), [("nm", 0.02), ("Å", 0.2), ("pm", 20.0), ("µm", 2e-5)])
def test_ome_physical_size_is_read(tmp_path: Path, unit: str, scale: float) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": scale, "PhysicalSizeXUnit": unit}
    metadata |= {"PhysicalSizeY": scale, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, picture(), ome=True, metadata=metadata)
    assert size_nm(path) == pytest.approx(0.02, rel=1e-5)


def test_json_description_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 0.01985, "unit": "nm"})
    assert size_nm(tmp_path / "a.tif") == pytest.approx(0.01985)


def test_json_without_a_unit_leaves_it_to_the_resolution_tags(tmp_path: Path) -> None:
    tags: dict[str, Any] = {"resolution": (5e8, 5e8), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 7.0}, **tags)
    assert size_nm(tmp_path / "a.tif") == pytest.approx(0.02)


def test_resolution_in_centimetres_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), resolution=(5e8, 5e8), resolutionunit="CENTIMETER", metadata=None)
    assert size_nm(path) == pytest.approx(0.02)


def test_dots_per_inch_of_a_printer_are_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert size_nm(path) is None


def test_a_pixel_size_of_no_microscope_is_none(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 1e9, "PhysicalSizeY": 1e9, "unit": "nm"})
    assert size_nm(tmp_path / "a.tif") is None


def test_a_file_without_calibration_has_no_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture())
    assert size_nm(tmp_path / "a.tif") is None


def test_gatan_tags_are_read(tmp_path: Path) -> None:
    tags = [(65003, "s", 3, "nm", True), (65009, "d", 1, 0.02, True), (65010, "d", 1, 0.02, True)]
    tifffile.imwrite(tmp_path / "a.tif", picture(), extratags=tags, metadata=None)
    assert size_nm(tmp_path / "a.tif") == pytest.approx(0.02)


def test_every_frame_of_a_stack_is_read(tmp_path: Path) -> None:
    stack = picture(3, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TYX"})
    images = read_images(tmp_path / "a.tif")
    assert [image.frame for image in images] == [0, 1, 2]
    assert {image.name for image in images} == {"a"}
    np.testing.assert_array_equal(images[2].data, stack[2])


def test_pages_written_one_by_one_are_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for frame in picture(3, 40, 50):
            writer.write(frame)
    assert len(read_images(tmp_path / "a.tif")) == 3


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_grey_saved_as_colour_is_one_image(tmp_path: Path, planar: str) -> None:
    grey = (picture() * 255).astype(np.uint8)
    colour = np.stack([grey] * 3, axis=-1 if planar == "contig" else 0)
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb", planarconfig=planar)
    (image,) = read_images(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.data, grey)


def test_three_frames_that_were_saved_as_planes_of_floats_are_a_stack(tmp_path: Path) -> None:
    stack = picture(3, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal([image.data for image in read_images(tmp_path / "a.tif")], stack)


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [
        ((2, 3, 40, 50), np.float32, r"got 4 dimensions \(2, 3, 40, 50\); split it first"),
        ((2, 3, 40, 50), np.uint8, r"got 4 dimensions \(2, 3, 40, 50\); split it first"),
        ((3, 40, 50), np.uint16, "holds 3 planes that are marked as colours"),
    ],
)
def test_planes_are_not_called_a_colour_image(tmp_path: Path, shape: tuple[int, ...], dtype: type, told: str) -> None:
    data = (picture(*shape) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageError, match=told):
        read_images(tmp_path / "a.tif")


def test_unknown_unit_is_told_and_ignored(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 1.0, "unit": "furlong"})
    with pytest.warns(UserWarning, match="furlong"):
        assert size_nm(tmp_path / "a.tif") is None


def test_pixel_size_given_overrules_the_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 1.0, "unit": "1/nm"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (image,) = read_images(tmp_path / "a.tif", pixel_size_nm=0.03)
    assert image.pixel_size_nm == pytest.approx(0.03)
