from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.detect.calibrate import SiteData, calibrated, collect, outcome, score
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.evaluate import evaluate_points


def draw_many(draw_crystal, seeds):
    return [
        draw_crystal(
            shape=(160, 176), single_vacancy=0.12, metal_vacancy=0.05, dose_e_per_A2=4e4, contamination=0.2, seed=s
        )
        for s in seeds
    ]


def test_every_true_vacancy_is_a_target_or_counted_as_missed(vacancies, new_finder):
    drawn, _ = vacancies
    data = collect(new_finder, drawn)
    targets = int((data.targets["anion"] == 1).sum())
    assert targets + data.missed == len(drawn.defects)
    assert targets > 0.8 * len(drawn.defects)
    assert not data.targets["metal"].any()


def test_without_a_lattice_the_network_is_collected_alone(vacancies, new_finder):
    drawn, _ = vacancies
    noise = np.random.default_rng(0).normal(size=drawn.image.shape).astype(np.float32)
    lost = collect(new_finder, replace(drawn, image=replace(drawn.image, data=noise)))
    alone = collect(new_finder, drawn, alone=True)
    for data in (lost, alone):
        assert not any(len(data.targets[role]) for role in ("anion", "metal", "between"))
        assert len(data.targets["alone"]) > 0
        assert (data.targets["alone"] == 1).sum() + data.missed == len(drawn.defects)
    with pytest.raises(ValueError, match="at least one simulated image must be given"):
        calibrated(new_finder.fusion, [])


def test_calibration_teaches_an_ignorant_finder_to_read_the_lattice(draw_crystal, new_finder):
    train, held = (
        [collect(new_finder, d) for d in draw_many(draw_crystal, seeds)] for seeds in (range(4), range(10, 12))
    )
    fusion = calibrated(None, train, iterations=200)
    assert score(fusion, held) > 0.98  # one that knows nothing but Bayes' theorem comes to 0.76
    assert score(fusion, held) > score(new_finder.fusion, held) + 0.2


def test_a_calibrated_finder_finds_planted_vacancies_within_half_a_pixel(draw_crystal, vacancies, new_finder):
    fusion = calibrated(None, [collect(new_finder, d) for d in draw_many(draw_crystal, range(4))], iterations=200)
    drawn, found = vacancies
    points = new_finder.with_fusion(fusion).find(drawn.image, found, DetectConfig(average_flips=False)).points
    single = points.where((points["defect"] == "V_Se") & (points["confidence"] > 0.5))
    tp, fp, fn, distances = evaluate_points(single.positions_px, drawn.positions_px, 0.5)
    assert 2 * tp / (2 * tp + fp + fn) > 0.9
    assert np.sqrt(np.mean(np.square(distances))) < 0.3


def test_the_score_counts_what_no_candidate_is_near(vacancies, new_finder):
    drawn, _ = vacancies
    data = collect(new_finder, drawn)
    sure = calibrated(None, [data], iterations=300)
    whole = score(sure, [data])
    assert score(sure, [replace(data, missed=data.missed + 20)]) < 0.8 * whole


def test_an_outcome_holds_the_cross_entropy_of_every_site_and_of_what_was_missed():
    class Certain:
        """A fusion that reads the probability of a vacancy from the features."""

        def odds(self, features, role):
            return None

        def probabilities(self, features, role, odds):
            return np.concatenate([1 - features, features], 1)

    features = np.array([[0.9], [0.6], [0.2], [0.0]])
    data = SiteData({"anion": features}, {"anion": np.array([1, 0, 1, 0]), "alone": np.zeros(0, int)}, missed=1)
    found = outcome(Certain(), data)
    assert (found.hits, found.false, found.missed) == (1, 1, 2)
    assert found.loss == pytest.approx(-np.log([0.9, 0.4, 0.2, 0.01]).sum())
    assert found.f1 == pytest.approx(2 / 5)
