import numpy as np
import pytest
import torch

from napari_stem_gan.detect.committee import MEMBERS
from napari_stem_gan.detect.fusion import (
    ANION_CLASSES,
    FEATURES,
    FOREIGN_ODDS,
    HALF_ODDS,
    LARGEST_ODDS,
    LIMIT,
    Fusion,
    fit_fusion,
)


def separable(count=400, seed=0, classes=2):
    """Sites whose class is told by the sixth feature (the intensity ratio)."""
    rng = np.random.default_rng(seed)
    target = (rng.random(count) < 0.3).astype(int) * (classes - 1)
    features = rng.normal(size=(count, FEATURES))
    features[:, 5] = np.where(target > 0, 0.45, 1.0) + rng.normal(0, 0.05, count)
    return features, target


def test_a_separable_toy_is_learnt_and_holds_on_new_sites():
    fusion = fit_fusion({"anion": separable()}, iterations=150)
    features, target = separable(seed=1)
    probability = fusion.probabilities(features, "anion")
    assert ((probability[:, 1] > 0.5) == (target == 1)).mean() > 0.98


def test_probabilities_sum_to_one_and_are_calibrated_where_nothing_can_be_known():
    rng = np.random.default_rng(0)
    target = (rng.random(8000) < 0.2).astype(int)
    features = rng.normal(size=(8000, FEATURES))
    fusion = fit_fusion({"anion": (features, target)}, iterations=200)
    probability = fusion.probabilities(rng.normal(size=(500, FEATURES)), "anion")
    assert probability.shape == (500, len(ANION_CLASSES))
    np.testing.assert_allclose(probability.sum(1), 1.0, atol=1e-6)
    assert probability[:, 1].mean() == pytest.approx(0.2, abs=0.05)


def test_a_warm_start_stays_near_where_it_began_and_keeps_the_scaling():
    start = fit_fusion({"anion": separable()}, iterations=150)
    warm = fit_fusion({"anion": separable(60, seed=2)}, start=start, iterations=20)
    torch.testing.assert_close(warm.weights["anion.mean"], start.weights["anion.mean"])
    moved = (warm.weights["anion.0.weight"] - start.weights["anion.0.weight"]).norm()
    assert 0 < moved < 0.3 * start.weights["anion.0.weight"].norm()


def test_a_session_without_defects_leaves_the_start_as_it_is():
    start = fit_fusion({"anion": separable()}, iterations=20)
    features, _ = separable(50)
    same = fit_fusion({"anion": (features, np.zeros(50, int))}, start=start, iterations=20)
    torch.testing.assert_close(dict(same.weights), dict(start.weights))


def test_the_seed_decides_the_fit():
    first, second = (fit_fusion({"anion": separable()}, iterations=5, seed=3) for _ in range(2))
    torch.testing.assert_close(dict(first.weights), dict(second.weights), rtol=0, atol=0)


def test_a_role_without_examples_never_reports():
    fusion = fit_fusion({"anion": separable()}, iterations=5)
    np.testing.assert_array_equal(fusion.probabilities(np.ones((3, FEATURES)), "between"), [[1.0, 0.0]] * 3)


def drawn(share, count, seed):
    """Features of sites of which a share is a vacancy, one unit of noise and three of signal."""
    rng = np.random.default_rng(seed)
    target = (rng.uniform(size=count) < share).astype(int)
    features = rng.normal(size=(count, FEATURES)) * 0.1
    features[:, 0] = 3 * target + rng.normal(size=count)
    return features, target


def test_an_image_s_own_share_of_defects_is_found():
    fusion = fit_fusion({"anion": drawn(0.2, 8000, 0)}, iterations=300)
    assert fusion.weights["anion.share"][1].item() == pytest.approx(0.2, abs=0.02)
    for share in (0.0, 0.05, 0.4):
        features, target = drawn(share, 16000, 1)  # many more than count as doubt
        own = fusion.weights["anion.share"][1].item() * fusion.odds(features, "anion")[1]
        assert own == pytest.approx(target.mean(), abs=0.03)


def test_a_seldom_class_keeps_its_share_and_takes_nothing_from_what_looks_alike():
    rng = np.random.default_rng(0)
    target = rng.choice([0, 3, 4], size=8000, p=[0.95, 0.049, 0.001])  # the last two look the same
    features = rng.normal(size=(8000, FEATURES)) * 0.1
    features[:, 0] += 4 * (target > 0)
    fusion = fit_fusion({"anion": (features, target)}, iterations=150)
    many = features[target > 0].repeat(5, 0)
    odds = fusion.odds(many, "anion")
    assert odds[3] == LARGEST_ODDS
    assert odds[4] == 1.0


def test_confidence_stays_calibrated_at_another_share():
    fusion = fit_fusion({"anion": drawn(0.2, 8000, 0)}, iterations=300)
    features, target = drawn(0.03, 8000, 2)
    plain = fusion.probabilities(features, "anion")[:, 1]
    turned = fusion.probabilities(features, "anion", fusion.odds(features, "anion"))[:, 1]
    assert abs(turned.sum() - target.sum()) < 0.3 * abs(plain.sum() - target.sum())
    assert ((turned > 0.5) & (target == 0)).sum() < 0.5 * ((plain > 0.5) & (target == 0)).sum()


def test_a_fusion_of_another_version_is_refused_and_only_sites_have_shares():
    fusion = fit_fusion({"anion": drawn(0.2, 500, 0)}, iterations=5)
    assert Fusion.from_state(fusion.weights) == fusion
    with pytest.raises(KeyError, match="a fusion must have a tensor 'anion.limit', got one of another version"):
        Fusion.from_state({k: v for k, v in fusion.weights.items() if not k.endswith("limit")})
    with pytest.raises(KeyError, match=f"'anion.mean' must be of {FEATURES} features, got \\(17,\\)"):
        Fusion.from_state({**fusion.weights, "anion.mean": torch.zeros(17)})
    assert (fusion.odds(np.zeros((3, FEATURES)), "between") == 1).all()


def test_a_fusion_that_learnt_nothing_gives_the_posterior_of_bayes():
    features = np.zeros((1000, FEATURES))
    target = (np.arange(1000) < 100).astype(int)
    fusion = fit_fusion({"anion": (features, target)}, iterations=0)
    features[:, HALF_ODDS] = np.linspace(-2, 2, 1000)
    posterior = 1 / (1 + 9 * np.exp(-LIMIT * np.tanh(features[:, HALF_ODDS] / LIMIT)))
    found = fusion.probabilities(features, "anion")
    np.testing.assert_allclose(found[:, 1] / found[:, :2].sum(1), posterior, atol=0.02)


def test_brightness_of_a_foreign_atom_alone_makes_a_substitution():
    target = np.where(np.arange(1000) < 100, ANION_CLASSES.index("S_X"), 0)
    fusion = fit_fusion({"anion": (np.zeros((1000, FEATURES)), target)}, iterations=0)
    features = np.zeros((2, FEATURES))
    features[:, FOREIGN_ODDS] = (5.0, -5.0)
    assert list(fusion.probabilities(features, "anion").argmax(1)) == [ANION_CLASSES.index("S_X"), 0]


def test_a_committee_says_the_mean_of_what_its_members_say():
    fusion = fit_fusion({"anion": separable()}, iterations=30)
    features, _ = separable(5, seed=3)

    def logits(members):
        own = {k: v[members] if k.endswith(("weight", "bias")) else v for k, v in fusion.weights.items()}
        found = np.log(Fusion(own).probabilities(features, "anion"))
        return found - found[:, :1]

    alone = [logits([member]) for member in range(MEMBERS)]
    np.testing.assert_allclose(logits(slice(None)), np.mean(alone, 0), atol=1e-3)
    assert np.std(alone, 0)[:, 1:].max() > 1e-3
