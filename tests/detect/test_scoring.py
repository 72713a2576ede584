import numpy as np
import pytest

from napari_stem_gan.detect.scoring import Comparison, average_precision, calibration_error, confusion, ranked_hits

LINE = np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 20.0], [0.0, 30.0]])


def test_the_surest_point_takes_the_nearest_free_truth():
    found = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 11.0], [0.0, 50.0]])
    assert ranked_hits(found, np.array([0.9, 0.8, 0.7, 0.6]), LINE, 2.0).tolist() == [True, False, True, False]


def test_average_precision_is_the_area_by_hand():
    """Hits at ranks 1 and 3, four true: (1/1 + 2/3) / 4."""
    confidence, hits = np.array([0.5, 0.9, 0.7]), np.array([True, True, False])
    assert average_precision(confidence, hits, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0.0
    assert average_precision(confidence, hits, 0) is None


def test_calibration_error_is_the_weighted_gap_by_hand():
    """Bin 0.2–0.3: two points, one hit, mean confidence 0.25; bin 0.9–1: two hits, 0.95 on average."""
    confidence, hits = np.array([0.22, 0.28, 0.9, 1.0]), np.array([True, False, True, True])
    assert calibration_error(confidence, hits) == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) is None


def test_points_as_sure_as_they_are_right_have_no_calibration_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=200_000)
    assert calibration_error(confidence, rng.uniform(size=200_000) < confidence) < 0.005


def test_classes_are_confused_misses_and_false_points_counted():
    found, classes = LINE[[0, 1]] + 0.5, np.array(["V_X", "V_2X"])
    found, classes = np.concatenate([found, [[90.0, 90.0]]]), np.append(classes, "S_M")
    pairs = confusion(found, classes, LINE, np.array(["V_X", "V_X", "V_X", "A"]), 2.0)
    assert pairs == {("V_X", "V_X"): 1, ("V_X", "V_2X"): 1, ("V_X", "none"): 1, ("A", "none"): 1, ("none", "S_M"): 1}


def test_images_add_up():
    one = Comparison.of(LINE[:2], np.array([0.9, 0.8]), LINE, 1.0)
    two = Comparison.of(LINE[:1] + 5, np.array([0.7]), LINE[:1], 1.0)
    both = Comparison.total([one, two])
    assert (both.hits, both.false, both.missed) == (2, 1, 3)
    assert both.average_precision == pytest.approx(2 / 5)


def test_points_without_confidence_have_no_average_precision():
    one = Comparison.of(LINE, np.full(4, np.nan), LINE, 1.0)
    assert (one.hits, one.average_precision, one.calibration_error) == (4, None, None)
