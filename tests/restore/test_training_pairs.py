import numpy as np
import torch

from napari_stem_gan.restore.config import CGRDNTrainingConfig
from napari_stem_gan.restore.training_pairs import PairStream, degrade, standardise, turn

SMALL = CGRDNTrainingConfig(patch_px=48, batch_size=3, fresh_per_step=1, pool_size=4)


def test_inputs_are_standardised_and_targets_share_their_scale():
    distorted, target = next(PairStream(SMALL))
    assert distorted.shape == target.shape == (3, 1, 48, 48)
    torch.testing.assert_close(distorted.mean(dim=(-2, -1)), torch.zeros(3, 1), atol=1e-4, rtol=0)
    torch.testing.assert_close(distorted.std(dim=(-2, -1)), torch.ones(3, 1), atol=1e-3, rtol=0)
    assert float(target.mean(dim=(-2, -1)).abs().max()) < 0.5


def test_distorted_and_target_are_centred_on_each_other():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    spot = torch.from_numpy(np.exp(-((y - 31.0) ** 2 + (x - 31.0) ** 2) / 40).astype(np.float32))
    distorted, target = degrade(spot.expand(150, 1, 64, 64), torch.full((150,), 0.2), rng)
    shifts = []
    for image, truth in zip(distorted, target, strict=True):
        weights = (truth[0] / truth.sum()).double()
        image = image[0].double() - image.double().median()
        near = weights > 0.05 * weights.max()
        total = (image * near).sum()
        if float(total) > 50:
            shifts.append(float((image * near * torch.arange(64)[None]).sum() / total) - 31.0)
    assert abs(float(np.median(shifts))) < 0.15


def test_a_stream_resumes_exactly():
    first, second = PairStream(SMALL), PairStream(SMALL)
    next(first)
    state = {key: value.clone() if torch.is_tensor(value) else value for key, value in first.state_dict().items()}
    expected = next(first)
    second.load_state_dict(state)
    torch.testing.assert_close(next(second), expected)


def test_turning_keeps_the_pixels():
    images = torch.rand(4, 1, 8, 8)
    turned = turn(images, np.random.default_rng(0))
    torch.testing.assert_close(turned.flatten(1).sort().values, images.flatten(1).sort().values)


def test_a_constant_image_can_be_standardised():
    distorted, target = standardise(torch.full((1, 1, 8, 8), 3.0), torch.full((1, 1, 8, 8), 3.0))
    assert float(distorted.abs().max()) == float(target.abs().max()) == 0.0
