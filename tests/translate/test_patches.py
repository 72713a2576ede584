"""Normalisation and the patch sampler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_stem_gan.image import LabelledImage
from napari_stem_gan.translate.patches import Normaliser, PatchSampler, crop_labelled, draw_patch, tiles_of

MakeCrystal = Callable[..., LabelledImage]


def test_normaliser_maps_three_and_a_half_sigma_to_one_and_back() -> None:
    rng = np.random.default_rng(0)
    images = [rng.normal(5000, 2000, (64, 64)).astype(np.float32) for _ in range(3)]
    normaliser = Normaliser.fit(images)
    scaled = normaliser.apply(images[0])
    assert np.std([normaliser.apply(image) for image in images]) == pytest.approx(1 / 3.5, rel=1e-3)
    assert np.allclose(normaliser.undo(scaled), images[0], rtol=1e-4)


def test_images_in_ampere_are_normalised_like_those_in_counts() -> None:
    image = np.random.default_rng(0).normal(5, 2, (64, 64)).astype(np.float32)
    faint = image * np.float32(1e-13)
    np.testing.assert_allclose(Normaliser.fit([faint]).apply(faint), Normaliser.fit([image]).apply(image), atol=1e-5)
    flat = np.full((8, 8), 3.0, np.float32)
    assert not Normaliser.fit([flat]).apply(flat).any()


def test_no_images_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        Normaliser.fit([])


def test_sampler_draws_clipped_patches_of_both_domains() -> None:
    rng = np.random.default_rng(0)
    sim, exp = [np.full((40, 70), -3, np.float32)], [np.full((200, 64), 3, np.float32)]
    sampler = PatchSampler(sim, exp, patch_px=64, batch_size=3, rng=rng)
    sim_batch, exp_batch = next(iter(sampler))
    assert sim_batch.shape == exp_batch.shape == (3, 1, 64, 64)
    assert float(sim_batch.min()) == float(sim_batch.max()) == -1
    assert float(exp_batch.min()) == float(exp_batch.max()) == 1


def test_sampler_goes_on_where_it_stopped() -> None:
    images = [np.random.default_rng(0).random((80, 80)).astype(np.float32)]
    first, second = (
        PatchSampler(images, images, patch_px=32, batch_size=2, rng=np.random.default_rng(seed)) for seed in (1, 2)
    )
    next(first)
    second.load_state_dict(first.state_dict())
    assert (next(first)[0] == next(second)[0]).all()


def test_patches_come_in_all_eight_orientations() -> None:
    image = np.zeros((32, 32), np.float32)
    image[0, 5] = 1.0
    rng = np.random.default_rng(0)
    places = {tuple(np.argwhere(draw_patch(image, 32, rng))[0]) for _ in range(200)}
    assert len(places) == 8


def test_tiles_cover_whole_squares_only() -> None:
    assert [tile.shape for tile in tiles_of(np.zeros((130, 70), np.float32), 64)] == [(64, 64)] * 2
    assert [tile.shape for tile in tiles_of(np.zeros((37, 1021), np.float32), 512)][0] == (37, 37)


def test_crop_keeps_the_labels_inside(make_crystal: MakeCrystal) -> None:
    cropped = crop_labelled(make_crystal(), 64)
    assert cropped.image.shape == (64, 64)
    assert (cropped.positions_px < 64).all()
    assert len(cropped.positions_px) == len(cropped.defects) == len(cropped.sublattices)
    assert (cropped.columns_px < 64).all()
