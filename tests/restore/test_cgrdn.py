import pytest
import torch

from napari_stem_gan.restore.cgrdn import CGRDN, RDB, parameter_count
from napari_stem_gan.restore.config import PAPER, CGRDNConfig

TINY = CGRDNConfig(features=8, growth=4, layers=2, blocks=2, groups=2)


def test_the_paper_network_has_the_papers_parameters():
    assert parameter_count(CGRDN(PAPER)) == 7_035_521


def test_the_compact_network_has_half_a_million_parameters():
    assert parameter_count(CGRDN()) == 493_841


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (37, 64)])
def test_any_size_comes_back_in_its_size(shape):
    x = torch.randn(1, 1, *shape)
    assert CGRDN(TINY)(x).shape == x.shape


def test_without_a_correction_the_input_comes_back():
    network = CGRDN(TINY)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    x = torch.randn(1, 1, 33, 40)
    torch.testing.assert_close(network(x), x)


def test_a_block_without_fusion_weights_is_the_identity():
    block = RDB(8, 4, 3)
    torch.nn.init.zeros_(block.fuse.weight)
    torch.nn.init.zeros_(block.fuse.bias)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(block(x), x)
