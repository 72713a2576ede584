"""Image reader and sample: calibrated layers; files of other kinds are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Layer

from napari_stem_gan.app.readers import get_image_reader, image_layers
from napari_stem_gan.app.sample import sample_session
from napari_stem_gan.image import STEMImage


def grey(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_an_imagej_tiff_becomes_a_layer_in_nm(tmp_path):
    path = str(tmp_path / "scan.tif")
    tifffile.imwrite(path, grey(40, 50), imagej=True, resolution=(50, 50), metadata={"unit": "nm"})

    (layer,) = [Layer.create(*one) for one in get_image_reader(path)(path)]

    np.testing.assert_allclose(layer.scale, 0.02)
    assert [str(unit) for unit in layer.units] == ["nanometer", "nanometer"]
    assert layer.name == "scan"


def test_a_stack_is_one_layer(tmp_path):
    path = str(tmp_path / "movie.tif")
    tifffile.imwrite(path, grey(3, 40, 50), metadata={"axes": "TYX"})

    (layer,) = [Layer.create(*one) for one in get_image_reader([path])([path])]

    assert layer.data.shape == (3, 40, 50)


@pytest.mark.parametrize("name", ["photo.tif", "damaged.tif", "missing.tif", "notes.txt", "picture.png"])
def test_other_files_are_left_alone(tmp_path, name):
    path = tmp_path / name
    if name == "photo.tif":
        tifffile.imwrite(path, np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    elif name != "missing.tif":
        path.write_bytes(b"II*\0 no image at all")

    assert get_image_reader(str(path)) is None


def test_frames_that_were_saved_as_planes_of_floats_are_claimed(tmp_path):
    planes = np.random.default_rng(0).random((3, 40, 50), dtype=np.float32)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")

    (layer,) = get_image_reader(str(tmp_path / "a.tif"))(str(tmp_path / "a.tif"))

    assert layer[0].shape == (3, 40, 50)


@pytest.mark.parametrize("path", ["", [], (), None, 3])
def test_the_reader_never_raises_on_odd_paths(path):
    assert get_image_reader(path) is None


def test_images_without_pixel_size_have_no_unit():
    (layer,) = [Layer.create(*one) for one in image_layers([STEMImage(data=grey(40, 40))])]

    assert [str(unit) for unit in layer.units] == ["pixel", "pixel"]


def test_the_sample_lies_side_by_side_in_nm():
    layers = [Layer.create(*one) for one in sample_session()]

    assert len(layers) >= 2
    assert all(str(unit) == "nanometer" for layer in layers for unit in layer.units)
    ends = layers[0].extent.world[1][1], layers[1].extent.world[0][1]
    assert ends[0] < ends[1]
