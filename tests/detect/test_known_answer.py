import dataclasses

import numpy as np
import pytest

from napari_stem_gan.detect.known_answer import KnownAnswer


@pytest.fixture
def answer() -> KnownAnswer:
    """18 of 20 found at 0.5, 16 at 0.9; two false points at 0.5, none at 0.9; 400 nm²."""
    planted = np.array([0.95] * 16 + [0.6] * 2 + [0.2, 0.0])
    return KnownAnswer(planted, np.array([0.1, 0.55, 0.7]), 400.0, ("a",))


def test_recall_and_false_points_are_counted_above_the_threshold(answer):
    assert answer.at(0.5).found == 0.9
    assert answer.at(0.9).found == 0.8
    assert answer.at(0.5).false_per_100nm2 == 0.5
    assert answer.at(0.9).false_per_100nm2 == 0.0


def test_of_the_vacancies_of_the_image_itself_as_many_are_false_as_they_doubt(answer):
    doubted = dataclasses.replace(answer, found=np.array([0.9, 0.6, 0.3]))
    assert doubted.at(0.5).false_per_100nm2 == pytest.approx((2 + 0.1 + 0.4) / 4)
    assert doubted.at(0.8).false_per_100nm2 == pytest.approx(0.1 / 4)
    assert KnownAnswer.joined([doubted, doubted]).at(0.5).false_per_100nm2 == pytest.approx(2.5 / 4)


def test_intervals_are_those_of_clopper_pearson_and_garwood(answer):
    expected = answer.at(0.5)
    assert (expected.found_low, expected.found_high) == pytest.approx((0.6830, 0.9877), abs=1e-4)
    assert (expected.false_low, expected.false_high) == pytest.approx((0.2422 / 4, 7.2247 / 4), abs=1e-4)
    assert answer.at(0.9).false_high == pytest.approx(3.6889 / 4, abs=1e-4)


def test_the_sentence_says_what_to_expect(answer):
    told = "expect 0.5 false vacancies per 100~nm² (0.061 to 1.8), 90~% found (68 to 99~%)"
    assert answer.sentence(0.5) == told.replace("~", "\u00a0")  # a line never breaks before a unit


def test_next_to_nothing_is_told_as_zero():
    nearly = KnownAnswer(np.ones(20), area_nm2=400.0, found=np.array([0.9, 0.99]))
    assert "(0 to " in nearly.sentence(0.5)


def test_images_are_counted_together_and_those_without_a_test_left_out(answer):
    whole = KnownAnswer.joined([answer, KnownAnswer(note="no lattice"), answer])
    assert (len(whole.planted), len(whole.false), whole.area_nm2) == (40, 6, 800.0)
    assert whole.at(0.5).found == answer.at(0.5).found


def test_without_a_test_the_sentence_says_why():
    whole = KnownAnswer.joined([KnownAnswer(note="'a' has no lattice")])
    assert whole.sentence(0.5) == "no known-answer test: 'a' has no lattice"
    assert whole.to_dict(0.5) == {"sentence": whole.sentence(0.5)}


def test_json_holds_plain_numbers_at_several_thresholds(answer):
    values = answer.to_dict(0.5)
    assert values["found"] == 0.9
    assert [v["threshold"] for v in values["by_threshold"]][4] == 0.5
    assert KnownAnswer(false=np.zeros(1), area_nm2=10.0).to_dict(0.5)["found"] is None
