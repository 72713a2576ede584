from dataclasses import replace

import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.workflow import consume, known_answer, match_images
from napari_stem_gan.workflow import known_trial as room

FAST = DetectConfig(average_flips=False, threshold=0.3)


@pytest.fixture
def one_image(draw_crystal):
    """An image wide enough to plant into."""
    return draw_crystal(shape=(224, 256), single_vacancy=0.03, dose_e_per_A2=1e5, seed=4).image


@pytest.mark.parametrize("value", [None, 1e7])
def test_the_shipped_finder_finds_what_is_planted_into_a_good_image(one_image, value):
    if value is not None:  # a hot pixel beside what is planted
        one_image.data[100, 120] = value
    matches = consume(match_images([one_image], MatchConfig(material="WSe2")))
    seen = []
    answer = consume(known_answer([one_image], matches, FAST, device="cpu"), seen.append)
    assert answer.at(0.3).found > 0.8
    assert answer.area_nm2 == pytest.approx(224 * 256 * 0.02**2, rel=0.02)
    assert seen[-1].message == answer.sentence(0.3)


def test_some_images_of_many_are_tested_and_those_without_a_lattice_are_not(images, matches, monkeypatch):
    asked = []

    def fake(finder, image, match, config, rng, *, points, stop):
        asked.append(image.name)
        return room.KnownAnswer(area_nm2=1.0, images=(image.name,))

    monkeypatch.setattr("napari_stem_gan.detect.known_trial.known_answer", fake)
    many, lattices = images * 3, [replace(matches[0], accepted=i != 1) for i in range(6)]
    answer = consume(known_answer(many, lattices, FAST, most=2, device="cpu"))
    assert asked == [many[0].name, many[5].name]
    assert answer.area_nm2 == 2.0


def test_a_session_without_a_lattice_is_told_why(images, matches):
    lattices = [replace(m, accepted=False) for m in matches]
    answer = consume(known_answer(images, lattices, FAST, device="cpu"))
    assert answer.sentence(0.5) == "no known-answer test: no image has a lattice"
