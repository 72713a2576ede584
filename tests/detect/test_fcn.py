from copy import deepcopy

import numpy as np
import pytest
import torch

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.fcn import FinderTraining, make_network
from napari_stem_gan.detect.frame import CHANNELS
from napari_stem_gan.detect.labels import training_example


def batch_of(draw_crystal, side=64):
    drawn = draw_crystal(single_vacancy=0.15, metal_vacancy=0.1, seed=2)
    inputs, target = training_example(drawn, np.random.default_rng(0), site_error=0.0)
    cut = [(slice(None), slice(y, y + side), slice(x, x + side)) for y, x in ((0, 0), (80, 90))]
    return tuple(torch.from_numpy(np.stack([a[c] for c in cut])) for a in (inputs, target))


def test_the_network_starts_out_doubtful_and_keeps_the_shape():
    network = make_network()
    heat = torch.sigmoid(network(torch.randn(2, CHANNELS, 48, 72)))
    assert heat.shape == (2, len(FINDER_CLASSES), 48, 72)
    assert heat.mean() < 0.2


def test_the_network_overfits_one_batch(draw_crystal):
    torch.manual_seed(0)
    batch = batch_of(draw_crystal)
    training = FinderTraining("cpu", learning_rate=3e-3, steps=None, site_dropout=0.0)
    losses = [training.train_step(batch)["loss"].item() for _ in range(45)]
    assert min(losses[-5:]) < 0.35 * losses[0]
    training.network.eval()
    with torch.no_grad():
        heat = torch.sigmoid(training.network(batch[0]))
    assert heat[batch[1] > 0.95].mean() > 3 * heat[batch[1] < 0.05].mean()


def test_the_averaged_weights_follow_the_network_slowly(draw_crystal):
    torch.manual_seed(0)
    batch = batch_of(draw_crystal, 32)
    training = FinderTraining("cpu", steps=None)
    first = training.average["head.weight"].clone()
    for _ in range(3):
        training.train_step(batch)
    now = training.network.state_dict()["head.weight"]
    assert 0 < (training.average["head.weight"] - first).norm() < (now - first).norm()


def test_training_goes_on_exactly_where_it_stopped(draw_crystal):
    batch = batch_of(draw_crystal, 32)
    whole = FinderTraining("cpu", steps=10, site_dropout=0.0)
    state = {k: v.clone() for k, v in whole.network.state_dict().items()}
    for _ in range(2):
        whole.train_step(batch)
    rest = FinderTraining("cpu", steps=10, site_dropout=0.0, state=state)
    rest.load_state_dict(deepcopy(whole.state_dict()))
    one, other = (t.train_step(batch)["loss"].item() for t in (whole, rest))
    assert one == pytest.approx(other, rel=1e-5)
    assert rest.done == 3
    torch.testing.assert_close(whole.average["head.weight"], rest.average["head.weight"])


def test_dropped_sites_never_reach_the_network(draw_crystal):
    inputs, target = batch_of(draw_crystal, 32)
    training = FinderTraining("cpu", steps=None, site_dropout=1.0)
    seen = []
    training.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    training.train_step((inputs, target))
    assert inputs[:, 2:].any()
    assert not seen[0][:, 2:].any()
