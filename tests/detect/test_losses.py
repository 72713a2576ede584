import pytest
import torch

from napari_stem_gan.detect.losses import DEFECT_WEIGHT, SITE_WEIGHT, heat_map_loss


def maps(*shape):
    return torch.zeros(1, *shape)


def test_no_knowledge_costs_the_logarithm_of_two():
    assert heat_map_loss(maps(5, 8, 8), maps(5, 8, 8), maps(2, 8, 8)).item() == pytest.approx(0.6931, abs=1e-4)


def test_a_perfect_answer_costs_nothing():
    target = maps(5, 8, 8)
    target[0, 2, 4, 4] = 1.0
    assert heat_map_loss(40 * (target - 0.5), target, maps(2, 8, 8)).item() < 1e-6


@pytest.mark.parametrize(("where", "weight"), [("site", 1 + SITE_WEIGHT), ("defect", 1 + DEFECT_WEIGHT), ("none", 1.0)])
def test_a_mistake_costs_most_at_defects_and_sites(where, weight):
    target, sites = maps(1, 8, 8), maps(2, 8, 8)
    logits = torch.full((1, 1, 8, 8), -40.0)
    sites[0, 1, 2, 2] = 1.0 if where == "site" else 0.0
    target[0, 0, 2, 2] = 1.0 if where == "defect" else 0.0
    logits[0, 0, 2, 2] = -2.0 if where == "defect" else 2.0  # wrong by the same amount
    expected = weight * 2.1269 / (63 + weight)
    assert heat_map_loss(logits, target, sites).item() == pytest.approx(expected, rel=1e-3)
