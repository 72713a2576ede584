import torch

from napari_stem_gan.restore.discriminator import PatchDiscriminator


def test_a_256_px_pair_gives_a_map_of_30_by_30_patches():
    x = torch.randn(1, 1, 256, 256)
    assert PatchDiscriminator((4, 8, 16, 32))(x, x).shape == (1, 1, 30, 30)


def test_one_score_sees_70_px():
    network = PatchDiscriminator((4, 8, 16, 32)).eval()
    for layer in network.layers:
        if isinstance(layer, torch.nn.InstanceNorm2d):
            layer.forward = lambda x: x
    x = torch.zeros(1, 1, 128, 128)
    image = x.clone().requires_grad_()
    scores = network(x, image)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    seen = (image.grad[0, 0].abs().sum(dim=1) > 0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == 70


def test_the_distorted_image_matters():
    network = PatchDiscriminator((4, 8, 16, 32))
    x, y = torch.randn(1, 1, 64, 64), torch.randn(1, 1, 64, 64)
    assert not torch.allclose(network(x, y), network(torch.zeros_like(x), y))
