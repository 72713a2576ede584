"""The generators."""

from __future__ import annotations

import pytest
import torch

from napari_stem_gan.translate.config import CycleGANConfig, paper_config
from napari_stem_gan.translate.generators import Generator, PaperGenerator, build_generator


def test_paper_generator_has_54_million_parameters() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in PaperGenerator().parameters())
    assert count == pytest.approx(54.4e6, rel=0.002)


def test_compact_generator_is_small_enough_for_a_laptop() -> None:
    assert 0.15e6 < sum(p.numel() for p in Generator().parameters()) < 0.3e6


def test_new_generator_changes_nothing() -> None:
    x = torch.randn(2, 1, 32, 40)
    assert torch.equal(Generator()(x, torch.randn_like(x)), x)


def test_noise_gives_another_image_once_trained() -> None:
    torch.manual_seed(0)
    net, x = Generator(), torch.zeros(1, 1, 32, 32)
    torch.nn.init.normal_(net.head.weight)
    assert not torch.allclose(net(x, torch.randn_like(x)), net(x, torch.randn_like(x)))


def test_generator_reaches_only_its_surroundings() -> None:
    torch.manual_seed(0)
    net = Generator()
    torch.nn.init.normal_(net.head.weight)
    x = torch.randn(1, 1, 256, 256)
    changed = x.clone()
    changed[..., :8, :8] += 1.0
    difference = (net(x) - net(changed)).abs()[0, 0]
    assert difference[:8, :8].max() > 0
    assert difference[120:, 120:].max() == 0


def test_paper_generator_keeps_the_shape_and_range() -> None:
    net = PaperGenerator().eval()
    with torch.inference_mode():
        y = net(torch.randn(1, 1, 256, 256))
    assert y.shape == (1, 1, 256, 256)
    assert y.abs().max() <= 1


def test_preset_chooses_the_generator() -> None:
    assert isinstance(build_generator(CycleGANConfig()), Generator)
    with torch.device("meta"):
        assert isinstance(build_generator(paper_config()), PaperGenerator)


def test_paper_preset_needs_patches_of_256() -> None:
    with pytest.raises(ValueError, match="multiple of 256"):
        CycleGANConfig(preset="paper", patch_px=128)
