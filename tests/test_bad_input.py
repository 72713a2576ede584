"""Bad input gets one clear sentence that says what to do, and loses nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_stem_gan.image import ImageError, STEMImage
from napari_stem_gan.io import OutputError, prepare_folder, read_images, readable_suffixes, write_image, write_json
from napari_stem_gan.models import ModelFileError, load_model, save_model


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape or (64, 48), dtype=np.float32)


def is_one_sentence(error: pytest.ExceptionInfo[Any]) -> bool:
    """One line of sensible length that says what is wrong and, after it, what to do."""
    text = str(error.value)
    return (
        "\n" not in text
        and not text.startswith("[")
        and 30 < len(text) < 330
        and any(mark in text for mark in (";", ", so "))
    )


def refuses(path: Path, match: str) -> None:
    with pytest.raises(ImageError, match=match) as error:
        read_images(path)
    assert is_one_sentence(error), str(error.value)
    assert path.name in str(error.value)


# ---------------------------------------------------------------- files


def test_missing_file(tmp_path: Path) -> None:
    refuses(tmp_path / "a.tif", "was not found")


@pytest.mark.parametrize("suffix", readable_suffixes())
def test_empty_file_of_any_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    refuses(path, "is an empty file")


@pytest.mark.parametrize("suffix", readable_suffixes())
@pytest.mark.parametrize("content", [b"\0" * 4000, b"not an image at all " * 30])
def test_foreign_content_of_any_format(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    refuses(path, "cannot be read|holds no image")


def write_tif(path: Path, data: np.ndarray) -> None:
    tifffile.imwrite(path, data, metadata=None)


def write_deflated(path: Path, data: np.ndarray) -> None:
    tifffile.imwrite(path, data, compression="zlib", rowsperstrip=8)


def write_png(path: Path, data: np.ndarray) -> None:
    Image.fromarray((data * 255).astype(np.uint8)).save(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize(
    ("name", "write"), [("a.tif", write_tif), ("b.tif", write_deflated), ("a.npy", np.save), ("a.png", write_png)]
)
def test_truncated_file(tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], None], share: float) -> None:
    path = tmp_path / name
    write(path, picture(256, 256))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refuses(path, "cannot be read")


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    refuses(tmp_path, "is a folder")


def test_text_file_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "points.txt").write_text("1 2\n3 4\n")
    refuses(tmp_path / "points.txt", "is not an image file")


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_image(tmp_path: Path, channels: int) -> None:
    colour = (picture(64, 48, channels) * 255).astype(np.uint8)
    for name in ("a.png", "a.tif"):
        path = tmp_path / name
        Image.fromarray(colour).save(path)
        refuses(path, "is a colour image")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    data = picture()
    data[3, 4] = bad
    write_tif(tmp_path / "a.tif", data)
    refuses(tmp_path / "a.tif", "got 1 NaN or infinite")


def test_constant_image(tmp_path: Path) -> None:
    write_tif(tmp_path / "a.tif", np.full((64, 48), 7, np.uint16))
    refuses(tmp_path / "a.tif", "contrast")


@pytest.mark.parametrize("shape", [(100,), (2, 2, 2, 40, 40), (2, 2, 40, 40)])
def test_too_few_or_too_many_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", picture(*shape))
    refuses(tmp_path / "a.npy", f"{len(shape)} dimension")


def test_image_of_eight_pixels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", picture(8, 8))
    refuses(tmp_path / "a.npy", "at least 32 pixels")


@pytest.mark.parametrize("data", [picture().astype(complex), np.array([["a", "b"]]), np.array([[None, {}]])])
def test_values_that_are_no_grey_levels(tmp_path: Path, data: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", data, allow_pickle=True)
    refuses(tmp_path / "a.npy", "real numbers|cannot be read")


def test_bad_frame_of_a_stack_is_named(tmp_path: Path) -> None:
    stack = picture(3, 64, 48)
    stack[1] = 0
    np.save(tmp_path / "a.npy", stack)
    refuses(tmp_path / "a.npy", "frame 1")


def refuses_pixels(data: np.ndarray, match: str) -> None:
    with pytest.raises(ImageError, match=match) as error:
        STEMImage(data=data)
    assert is_one_sentence(error), str(error.value)


def test_complex_and_masked_arrays() -> None:
    refuses_pixels(picture().astype(complex), "must hold real numbers, got complex128; take its modulus")
    masked = np.ma.masked_array(picture(), picture() > 0.5)
    refuses_pixels(masked, f"no masked pixels, got {masked.mask.sum()}; fill or crop them")
    assert STEMImage(data=np.ma.masked_array(picture())).data.mean() == picture().mean()


@pytest.mark.parametrize(("scale", "says"), [(3e-19, r"multiply them by 1e\+19"), (3e18, "multiply them by 1e-18")])
def test_pixels_whose_squares_leave_float32(tmp_path: Path, scale: float, says: str) -> None:
    np.save(tmp_path / "a.npy", picture() * np.float32(scale))
    refuses(tmp_path / "a.npy", f"between 1e-15 and 1e\\+15, got 3e.*; {says}")


def test_one_broken_pixel_of_any_value_is_no_reason_to_refuse() -> None:
    data = picture()
    data[3, 4] = 3e38
    assert STEMImage(data=data).data[3, 4] == data[3, 4]


# ---------------------------------------------------------------- units


@pytest.mark.parametrize("unit", ["1/nm", "nm^-1", "mrad", "1 / Å"])
def test_unit_of_a_diffraction_pattern(tmp_path: Path, unit: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": 0.02, "unit": unit})
    refuses(tmp_path / "a.tif", "diffraction pattern")


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    metadata = {"PhysicalSizeX": 0.02, "PhysicalSizeY": 0.03, "unit": "nm"}
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata=metadata)
    refuses(tmp_path / "a.tif", "square pixels")


@pytest.mark.parametrize("size", [0.0, -0.02, float("nan")])
def test_pixel_size_given_is_not_positive(tmp_path: Path, size: float) -> None:
    write_tif(tmp_path / "a.tif", picture())
    with pytest.raises(ImageError, match="pixel size must be positive") as error:
        read_images(tmp_path / "a.tif", pixel_size_nm=size)
    assert is_one_sentence(error)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_pixel_size_given_is_of_no_microscope(tmp_path: Path, size: float) -> None:
    write_tif(tmp_path / "a.tif", picture())
    with pytest.raises(ImageError, match=r"pixel size must lie between 0.0001 and 1e\+06 nm") as error:
        read_images(tmp_path / "a.tif", pixel_size_nm=size)
    assert is_one_sentence(error)


@pytest.mark.parametrize("size", [0, -1, "many", float("inf")])
def test_nonsense_pixel_size_in_a_file_counts_as_none(tmp_path: Path, size: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(), metadata={"PhysicalSizeX": size, "unit": "nm"})
    assert read_images(tmp_path / "a.tif")[0].pixel_size_A is None


# ---------------------------------------------------------------- models


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small finder file."""
    return save_model(tmp_path / "m", {"a": torch.randn(50, 50), "b": torch.ones(3)}, kind="finder", card={}).path


def refuses_model(path: Path | str, match: str) -> None:
    with pytest.raises(ModelFileError, match=match) as error:
        load_model(path, kind="finder")
    assert is_one_sentence(error), str(error.value)


@pytest.mark.parametrize("name", ["nobody", "", "folder/nobody.safetensors", "."])
def test_missing_model(name: str) -> None:
    refuses_model(name, "was not found")


def test_empty_model_file(model: Path) -> None:
    model.write_bytes(b"")
    refuses_model(model, "empty")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.9, 0.999])
def test_truncated_model_file(model: Path, share: float) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[: int(share * len(whole))])
    refuses_model(model, "damaged|empty")


@pytest.mark.parametrize("place", [0.3, 0.6, -1])
def test_one_wrong_byte_in_a_model_file(model: Path, place: float) -> None:
    data = bytearray(model.read_bytes())
    data[int(place * len(data)) if place > 0 else -1] ^= 0xFF
    model.write_bytes(bytes(data))
    refuses_model(model, "damaged")


def test_torch_pickle_is_never_opened(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "m.pt")
    refuses_model(tmp_path / "m.pt", r"damaged or not a \.safetensors file")


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(3)}, tmp_path / "m.safetensors", metadata={"format": "pt"})
    refuses_model(tmp_path / "m.safetensors", "was not saved by napari-stem-gan")


# ---------------------------------------------------------------- output


def writers() -> list[Callable[[Path], Any]]:
    image = STEMImage(data=picture(), pixel_size_A=0.2)
    weights = {"a": torch.ones(30)}
    return [
        lambda folder: write_image(folder / "a.tif", image),
        lambda folder: write_json(folder / "a.json", {"a": 1}),
        lambda folder: save_model(folder / "a", weights, kind="finder", card={}),
    ]


@pytest.mark.parametrize("write", writers())
def test_output_folder_is_missing(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    with pytest.raises(OutputError, match="does not exist; create it") as error:
        write(tmp_path / "missing")
    assert is_one_sentence(error)


@pytest.mark.parametrize("write", writers())
@pytest.mark.parametrize(("code", "match"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")])
def test_disk_full_or_read_only_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any], code: int, match: str
) -> None:
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=match) as error:
        write(tmp_path)
    assert is_one_sentence(error)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_output_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(OutputError, match="choose a") as error:
            prepare_folder(folder)
        assert is_one_sentence(error)
