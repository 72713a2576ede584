from copy import deepcopy

import numpy as np

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.frame import CHANNELS
from napari_stem_gan.detect.patches import PatchPool


def pool_of(draw_crystal, **options):
    def make(rng):
        return draw_crystal(single_vacancy=0.1, shape=(100, 120), seed=int(rng.integers(1000)))

    return PatchPool(make, **{"size": 3, "patch_px": 64, "batch_size": 2, **options})


def test_batches_have_the_network_s_shape_and_hold_vacancies(draw_crystal):
    inputs, target = next(pool_of(draw_crystal))
    assert inputs.shape == (2, CHANNELS, 64, 64)
    assert target.shape == (2, len(FINDER_CLASSES), 64, 64)
    assert target[:, 0].max() > 0.9
    assert not target[:, 1:].any()


def test_patches_and_targets_are_turned_together(draw_crystal):
    for inputs, target in (next(pool_of(draw_crystal, seed=s)) for s in range(4)):
        y, x = np.unravel_index(int(target[0, 0].argmax()), target.shape[2:])
        assert inputs[0, 2, y, x] > 0.4  # a vacancy lies on an anion site


def test_small_images_are_padded_with_zeros(draw_crystal):
    inputs, target = next(pool_of(draw_crystal, patch_px=160))
    assert inputs.shape == (2, CHANNELS, 160, 160)
    assert (inputs == 0).all(dim=1).float().mean() > 0.3


def test_the_pool_never_holds_more_than_its_size(draw_crystal):
    pool = pool_of(draw_crystal, size=2, fresh_every=1)
    for _ in range(5):
        next(pool)
    assert len(pool.images) == 2


def test_the_draws_go_on_from_a_saved_state(draw_crystal):
    pool, other = pool_of(draw_crystal, seed=1), pool_of(draw_crystal, seed=1)
    next(pool)
    assert PatchPool(pool.make, seed=1).rng.random() != deepcopy(pool.rng).random()
    other.load_state_dict(pool.state_dict())
    assert other.served == 1
    assert other.rng.random() == pool.rng.random()
