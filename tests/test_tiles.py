"""Tiles of an image blend back to it, at any size."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_stem_gan.networks import UNet
from napari_stem_gan.tiles import TileGrid, tile_apply
from napari_stem_gan.training import Stopped


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", [(37, 1021), (256, 256), (257, 255), (1, 5), (300, 64), (512, 700)])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_of_an_image_blend_back_to_it(shape: tuple[int, int], batch: int) -> None:
    image = picture(*shape)
    result = tile_apply(lambda tiles: torch.cat([tiles, 2 * tiles], 1), image, tile_px=128, overlap_px=32, batch=batch)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.stack([image, 2 * image]), atol=1e-6)


def test_channels_go_in_and_come_out() -> None:
    image = picture(3, 70, 90)
    result = tile_apply(lambda tiles: tiles.sum(1, keepdim=True), image, tile_px=64, overlap_px=16, out_channels=1)
    np.testing.assert_allclose(result[0], image.sum(0), rtol=1e-5)


def test_every_tile_has_the_same_size_and_a_fitting_side() -> None:
    seen = set()

    def note(tiles: Tensor) -> Tensor:
        seen.add(tuple(tiles.shape))
        return tiles

    tile_apply(note, picture(37, 1021), tile_px=256, multiple=16)
    ((_, _, height, width),) = seen
    assert height % 16 == width % 16 == 0
    assert height == 48
    assert width <= 256


def test_tiles_are_no_larger_than_needed() -> None:
    grid = TileGrid.cover((1024, 1024), tile_px=512, overlap_px=64, multiple=16)
    assert len(grid) == 9
    assert grid.tile == (384, 384)


def test_seams_do_not_show() -> None:
    torch.manual_seed(0)
    net = UNet(1, 1, (8, 8, 8)).eval()
    net.apply(lambda part: isinstance(part, torch.nn.GroupNorm) and part.register_forward_hook(lambda m, i, o: i[0]))
    image = picture(192, 192)
    whole = tile_apply(net, image, tile_px=192)[0]
    tiled = tile_apply(net, image, tile_px=96, overlap_px=48)[0]
    assert np.abs(whole - tiled)[32:-32, 32:-32].max() < 0.02 * np.ptp(whole)


def test_memory_running_out_shrinks_batch_then_tile() -> None:
    sizes = []

    def small(tiles: Tensor) -> Tensor:
        sizes.append(tuple(tiles.shape))
        if tiles.numel() > 128 * 128:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tiles

    image = picture(400, 400)
    with pytest.warns(UserWarning, match="out of memory: going on with tiles"):
        result = tile_apply(small, image, tile_px=256, overlap_px=32, batch=2)
    np.testing.assert_allclose(result[0], image, atol=1e-6)
    assert sizes[0][0] == 2


def test_too_little_memory_for_the_smallest_tile_comes_through() -> None:
    def never(tiles: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.warns(UserWarning, match="tiles of 64 px"), pytest.raises(torch.OutOfMemoryError):
        tile_apply(never, picture(256, 256), tile_px=128, overlap_px=16)


def test_stop_ends_within_one_tile() -> None:
    stop, fractions = threading.Event(), []

    def on_tile(fraction: float) -> None:
        fractions.append(fraction)
        stop.set()

    with pytest.raises(Stopped):
        tile_apply(lambda tiles: tiles, picture(256, 256), tile_px=128, stop=stop, on_tile=on_tile)
    assert len(fractions) == 1


def test_progress_ends_at_one() -> None:
    fractions: list[float] = []
    tile_apply(lambda tiles: tiles, picture(256, 256), tile_px=128, batch=2, on_tile=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(ValueError, match=r"shape \(Y, X\)"):
        tile_apply(lambda tiles: tiles, picture(5))
    with pytest.raises(ValueError, match="network must return"):
        tile_apply(lambda tiles: tiles[..., :-1], picture(64, 64))
    with pytest.raises(ValueError, match="overlap_px must"):
        TileGrid.cover((64, 64), tile_px=64, overlap_px=40)
