"""Texture features and their distance."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.translate.texture import texture_distance, texture_features


def noise(seed: int) -> np.ndarray:
    """Return white noise."""
    return np.random.default_rng(seed).standard_normal((256, 192)).astype(np.float32)


def test_every_whole_patch_has_nine_features() -> None:
    assert texture_features([noise(0), noise(1)]).shape == (24, 9)
    assert texture_features([noise(0)[:40, :50]]).shape == (1, 9)


def test_gain_and_offset_do_not_count() -> None:
    assert np.allclose(texture_features([noise(0)]), texture_features([5 * noise(0) + 3]), atol=1e-3)


def test_rows_that_jump_are_noticed_where_the_direction_matters() -> None:
    rows = noise(2) + np.random.default_rng(3).standard_normal((256, 1)).astype(np.float32)
    reference = texture_features([noise(0)])
    assert texture_distance(texture_features([noise(1)]), reference) < 0.5
    assert texture_distance(texture_features([rows]), reference) > 10


def test_distance_of_a_set_to_itself_is_zero() -> None:
    assert texture_distance(texture_features([noise(0)]), texture_features([noise(0)])) == pytest.approx(0.0)
