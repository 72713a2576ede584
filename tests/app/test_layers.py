"""What a layer means: pixel size from scale, units and metadata; what cannot be worked on says why."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_stem_gan.app.layers import geometry, guess_material, read_layer, summary
from napari_stem_gan.app.pixel_size import pixel_size
from napari_stem_gan.image import ImageError


def layer(*shape, **options):
    return Image(np.random.default_rng(0).random(shape or (40, 50), dtype=np.float32), **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale": (0.02, 0.02), "units": ("nm", "nm")}, 0.02),
        ({"scale": (0.2, 0.2), "units": ("angstrom", "angstrom")}, 0.02),
        ({"scale": (2e-5, 2e-5), "units": ("um", "um")}, 0.02),
        ({"scale": (20, 20), "units": ("pm", "pm")}, 0.02),
        ({"scale": (0.02, 0.02)}, 0.02),  # readers that set no unit
        ({"metadata": {"pixel_size_A": 0.2}}, 0.02),
        ({}, None),
    ],
)
def test_the_pixel_size_comes_from_scale_units_and_metadata(options, expected):
    assert read_layer(layer(**options)).pixel_size_nm == pytest.approx(expected)


def test_the_pixel_size_comes_from_the_file_where_its_reader_did_not_look(tmp_path):
    path = tmp_path / "scan.tif"
    data = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    tifffile.imwrite(path, data, imagej=True, resolution=(50, 50), metadata={"unit": "nm"})
    opened = SimpleNamespace(
        name="scan", scale=np.ones(2), units=layer().units, metadata={}, source=SimpleNamespace(path=str(path))
    )

    size, note = pixel_size(opened)

    assert size == pytest.approx(0.02)
    assert "from the file" in note


def test_a_diffraction_pattern_is_refused():
    with pytest.raises(ImageError, match="diffraction"):
        read_layer(layer(units=("1/nm", "1/nm")))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (layer(8, 8), "too small"),
        (layer(2, 2, 40, 40), "4 axes"),
        (Image(np.zeros((40, 40, 3), np.uint8), rgb=True), "colour"),
    ],
)
def test_what_cannot_be_worked_on_says_why(image, words):
    with pytest.raises(ImageError, match=words):
        read_layer(image)


def test_pixels_that_are_not_square_are_told():
    source = read_layer(layer(scale=(0.02, 0.021), units=("nm", "nm")))

    assert source.pixel_size_nm == pytest.approx(np.sqrt(0.02 * 0.021))
    assert "not square" in source.note


def test_bad_pixels_are_told_when_the_images_are_made():
    image = layer()
    image.data[3, 3] = np.nan

    with pytest.raises(ImageError, match="NaN"):
        read_layer(image).images()


def test_images_know_their_layer_and_frame():
    frames = read_layer(layer(3, 40, 50, name="movie", scale=(1, 0.02, 0.02), units=("s", "nm", "nm"))).images()

    assert [(one.name, one.frame, one.pixel_size_A) for one in frames] == [("movie", i, 0.2) for i in range(3)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("2023 WSe2 003", "WSe2"),
        ("mos2_flake", "MoS2"),
        ("image 7", None),
        ("MoS2 on WSe2", None),
        ("graphene", "graphene"),
    ],
)
def test_the_material_is_read_from_the_name(name, found):
    known = ["MoS2", "WS2", "MoSe2", "WSe2", "graphene"]

    assert guess_material([read_layer(layer(name=name))], known) == found


def test_the_summary_counts_frames_and_sizes():
    sources = [read_layer(layer(3, 40, 50)), read_layer(layer(60, 60, scale=(0.02, 0.02), units=("nm", "nm")))]

    assert summary(sources) == "4 images, 40×50 and 60×60, 0.0200 nm/px (some unknown)"


def test_results_carry_rotation_and_affine():
    image = layer(scale=(0.02, 0.02), rotate=30, translate=(1, 2))

    result = Image(image.data, **geometry(image, 2))

    np.testing.assert_allclose(result.data_to_world((5, 7)), image.data_to_world((5, 7)))
