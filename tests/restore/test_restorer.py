import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_stem_gan.image import STEMImage
from napari_stem_gan.models import ModelFileError, save_model
from napari_stem_gan.restore.cgrdn import CGRDN
from napari_stem_gan.restore.config import CGRDNConfig, RestoreConfig
from napari_stem_gan.restore.restorer import Restorer, network_config
from napari_stem_gan.training import Stopped

TINY = CGRDNConfig(features=8, growth=4, layers=1, blocks=1, groups=1)


def identity():
    network = CGRDN(TINY)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    return Restorer(network)


def noisy(shape=(64, 80), seed=0):
    data = np.random.default_rng(seed).poisson(20.0, shape).astype(np.float32)
    return STEMImage(data=data, pixel_size_A=0.2, name="a", frame=3)


@pytest.mark.parametrize("shape", [(64, 64), (37, 101), (200, 131)])
def test_units_size_and_origin_come_back(shape):
    image = noisy(shape)
    restored = identity().restore(image, RestoreConfig(tile_px=64))
    np.testing.assert_allclose(restored.image.data, image.data, atol=1e-2)
    assert (restored.image.name, restored.image.frame, restored.image.pixel_size_A) == ("a", 3, 0.2)
    assert restored.invented_px.shape[1] == restored.erased_px.shape[1] == 2


def test_tiles_agree_with_the_whole_image():
    torch.manual_seed(0)
    restorer = Restorer(CGRDN(TINY))
    image = noisy((160, 160))
    whole = restorer.restore_array(image.data, RestoreConfig(tile_px=256))
    tiled = restorer.restore_array(image.data, RestoreConfig(tile_px=96))
    assert np.abs(whole - tiled).mean() < 0.05 * image.data.std()


def test_the_raw_image_is_not_changed():
    image = noisy()
    before = image.data.copy()
    identity().restore(image)
    np.testing.assert_array_equal(image.data, before)


def test_an_image_without_bad_pixels_is_restored_as_it_is(draw_crystal):
    torch.manual_seed(0)
    restorer, image = Restorer(CGRDN(TINY)), draw_crystal(dose_e_per_A2=5e4, single_vacancy=0.05).image
    np.testing.assert_array_equal(restorer.restore(image).image.data, restorer.restore_array(image.data))


@pytest.mark.parametrize("value", [1e7, -1e7])
def test_a_bad_pixel_is_neither_restored_nor_called_erased(value):
    image = noisy()
    data = image.data.copy()
    data[30, 40] = value
    restored = identity().restore(replace(image, data=data))
    np.testing.assert_allclose(restored.image.data[30, 40], 20.0, atol=15)
    restored.image.data[30, 40] = image.data[30, 40]
    np.testing.assert_allclose(restored.image.data, image.data, atol=1e-2)
    assert len(restored.erased_px) == 0


def test_stop_ends_it():
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        identity().restore(noisy(), stop=stop)


def test_progress_ends_at_one():
    seen = []
    identity().restore(noisy((150, 150)), RestoreConfig(tile_px=64), on_progress=seen.append)
    assert seen[-1] == pytest.approx(1.0)
    assert len(seen) > 1


def test_a_saved_network_comes_back(tmp_path):
    torch.manual_seed(0)
    network = CGRDN(TINY)
    card = {"network": {"features": 8, "growth": 4, "layers": 1, "blocks": 1, "groups": 1}}
    save_model(tmp_path / "mine", network.state_dict(), kind="cgrdn", card=card)
    restorer = Restorer.load(tmp_path / "mine.safetensors", "cpu")
    expected = Restorer(network).restore_array(noisy().data)
    np.testing.assert_allclose(restorer.restore_array(noisy().data), expected, atol=0.05)
    assert restorer.restore(noisy()).model == "mine"


def test_a_card_without_network_is_refused():
    with pytest.raises(ModelFileError, match="CGRDN"):
        network_config({})


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path):
    card = {"network": {"features": 16, "growth": 4, "layers": 1, "blocks": 1, "groups": 1}}
    save_model(tmp_path / "odd", CGRDN(TINY).state_dict(), kind="cgrdn", card=card)
    with pytest.raises(ModelFileError, match="card describes"):
        Restorer.load(tmp_path / "odd.safetensors", "cpu")
