import numpy as np
import pytest

from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.threshold import LEAST, MOST, balanced_threshold, expected_scores, threshold_of


def table_of(confidence, decision=None) -> PointTable:
    count = len(confidence)
    table = PointTable.build(
        image="a", frame=0, positions_px=np.zeros((count, 2)), pixel_size_nm=0.02, defects=["V_Se"] * count,
        sublattices=["Se"] * count, confidence=np.array(confidence, float),
    )  # fmt: skip
    return table if decision is None else PointTable({**table.columns, "decision": np.array(decision)})


def true_f1(confidence, is_true, threshold):
    called = confidence >= threshold
    return 2 * (called & is_true).sum() / (called.sum() + is_true.sum())


def test_expected_scores_are_sums_of_probabilities():
    found = expected_scores([0.8, 0.6, 0.4, 0.2], 0.5)
    assert found.precision == pytest.approx(1.4 / 2)
    assert found.recall == pytest.approx(1.4 / 2.0)
    assert found.f1 == pytest.approx(2 * 1.4 / (2 + 2.0))
    assert found.sentence.startswith("expect 70\u00a0% of the points to be right, and 70\u00a0% of")


def test_sure_candidates_keep_the_threshold_at_a_half():
    assert balanced_threshold([0.99] * 40 + [0.01] * 4000) == MOST == 0.5


def test_without_a_candidate_the_threshold_is_a_half():
    assert balanced_threshold([]) == 0.5
    assert "no candidate" in expected_scores([], 0.5).sentence


def test_of_faint_candidates_alone_the_threshold_is_the_lowest():
    assert balanced_threshold(np.linspace(0.05, 0.4, 200)) == LEAST


def test_the_threshold_is_half_the_f1_that_it_reaches():
    confidence = np.random.default_rng(0).beta(0.4, 1.0, 200_000)
    threshold = balanced_threshold(confidence)
    assert LEAST < threshold < MOST
    assert threshold == pytest.approx(expected_scores(confidence, threshold).f1 / 2, abs=0.01)


def test_drawn_truths_have_their_highest_f1_there():
    rng = np.random.default_rng(1)
    confidence = rng.beta(0.5, 1.2, 20_000)
    tried = np.arange(0.05, 0.96, 0.01)
    truths = [rng.random(len(confidence)) < confidence for _ in range(50)]
    best = tried[np.argmax([np.mean([true_f1(confidence, truth, t) for truth in truths]) for t in tried])]
    assert balanced_threshold(confidence) == pytest.approx(best, abs=0.03)


def test_images_of_a_session_share_one_threshold():
    tables = [table_of([0.99, 0.98]), table_of([0.45, 0.3, 0.1])]
    together = balanced_threshold([0.99, 0.98, 0.45, 0.3, 0.1])
    assert threshold_of("balanced", tables) == together == 0.45
    assert threshold_of(0.7, tables) == 0.7


def test_what_the_user_decided_is_certain():
    table = table_of([0.3, 0.3, 0.45], ["rejected", "accepted", ""])
    assert threshold_of("balanced", [table]) == balanced_threshold([0.0, 1.0, 0.45])
