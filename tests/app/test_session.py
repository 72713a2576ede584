"""Calibration: the scale changes, the place stays."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_stem_gan.app.session import set_pixel_size


def test_a_layer_in_angstrom_stays_where_it_begins():
    layer = Image(np.eye(40), scale=(0.2, 0.2), translate=(10, 20), units=("angstrom", "angstrom"))

    set_pixel_size(layer, 0.021)

    np.testing.assert_allclose(layer.scale, 0.021)
    np.testing.assert_allclose(layer.translate, (1, 2))
    assert str(layer.units[0]) == "nanometer"


def test_a_stack_keeps_its_frames():
    layer = Image(np.zeros((2, 40, 40)), scale=(5, 1, 1), units=("s", "pixel", "pixel"))

    set_pixel_size(layer, 0.02)

    np.testing.assert_allclose(layer.scale, (5, 0.02, 0.02))
    assert [str(unit) for unit in layer.units] == ["second", "nanometer", "nanometer"]
