from types import SimpleNamespace

import numpy as np
import pytest

from napari_stem_gan.detect import calibrate
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.simulate.instrument import InstrumentConfig
from napari_stem_gan.workflow.comparison import POOR_F1, SHIPPED, best_finder, poor_warning, vacancies

FITS = [SimpleNamespace(detector=SimpleNamespace(dose_e_per_A2=dose)) for dose in (300.0, 420.0, 2000.0)]


def pair(vacancies=2, missed=1):
    """What a finder sees on a pair; the vacancies are those at candidates."""
    targets = {"anion": np.array([0, 2, *[1] * vacancies]), "alone": np.zeros(0, int), "cation": np.array([1])}
    return SimpleNamespace(targets=targets, missed=missed)


def place(pairs, one):
    """Which of the pairs it is."""
    return next(i for i, other in enumerate(pairs) if other is one)


class FakeFinder:
    def __init__(self, fusion):
        self.fusion = fusion

    def with_fusion(self, fusion):
        return FakeFinder(fusion)


@pytest.fixture
def kept(monkeypatch):
    """The finder that is kept and the report, where losses on each pair depend on the fusion alone."""

    def best(losses, pairs):
        def outcome(fusion, one):
            return calibrate.Outcome(9, 1, 1, losses[fusion][place(pairs, one)])

        monkeypatch.setattr(calibrate, "outcome", outcome)
        monkeypatch.setattr(calibrate, "calibrated", lambda start, fit: f"{start} fitted")
        report = {}
        return best_finder({SHIPPED: FakeFinder("old")}, {SHIPPED: pairs}, report), report

    return best


@pytest.mark.parametrize(
    ("losses", "name"),
    [
        ({"old": [3.0, 3.0, 3.0], "old fitted": [4.0, 4.0, 4.0]}, "as shipped"),
        ({"old": [3.0, 3.0, 3.0], "old fitted": [3.0, 3.0, 3.0]}, "as shipped"),
        ({"old": [3.0, 3.0, 3.0], "old fitted": [4.0, 4.0, 0.5]}, "as shipped"),  # better by chance: 0.5 ± 1.17
        ({"old": [3.0, 3.0, 3.0], "old fitted": [2.0, 2.5, 1.5]}, "as shipped, calibrated today"),
    ],
)
def test_the_finder_with_the_truest_confidences_is_kept_if_it_beats_the_shipped_one_beyond_chance(kept, losses, name):
    best, report = kept(losses, [pair(2, 1), pair(1, 2), pair(3, 0)])
    assert report["finder"].startswith(f"finder {name}: F1 0.900 on held-out pairs")
    assert best.fusion == ("old" if name == SHIPPED else "old fitted")
    assert report["kept_f1"] == 0.9
    assert report["held_out_loss"][SHIPPED] == 1.0


def test_the_reason_shows_a_difference_on_clear_images_too(kept):
    losses = {"old": [0.0597] * 3, "old fitted": [0.0558, 0.0561, 0.0555]}  # of 9 vacancies
    _, report = kept(losses, [pair(2, 1), pair(1, 2), pair(3, 0)])
    assert report["finder"].endswith("(cross-entropy 0.0186 per vacancy, 0.0199 as shipped)")


def test_decisions_count_in_the_choice_but_not_in_the_score(monkeypatch):
    data = [pair(2, 0), pair(1, 0), pair(3, 0), pair(5, 0)]  # the last are the user's decisions

    def outcome(fusion, one):
        decided = one is data[-1]
        better = 5.0 if decided and fusion != "old" else 0.0  # calibration helps there alone
        if decided:
            return calibrate.Outcome(1, 9, 9, 9.0 - better)
        return calibrate.Outcome(9, 1, 1, 2.0 - 0.1 * (fusion != "old"))

    monkeypatch.setattr(calibrate, "outcome", outcome)
    monkeypatch.setattr(calibrate, "calibrated", lambda start, fit: f"{start} fitted")
    report = {}
    best = best_finder({SHIPPED: FakeFinder("old")}, {SHIPPED: data}, report, pairs=3)
    assert best.fusion == "old fitted"
    assert report["kept_f1"] == 0.9
    assert report["held_out_loss"] == {SHIPPED: 1.0, f"{SHIPPED}, calibrated today": pytest.approx(5.7 / 6)}


def test_a_calibrated_finder_is_judged_on_pairs_that_it_was_not_fitted_to(monkeypatch):
    pairs, seen = [pair(n, 0) for n in range(1, 8)], []
    monkeypatch.setattr(calibrate, "calibrated", lambda start, fit: [place(pairs, one) for one in fit])

    def outcome(fusion, one):
        if fusion != "old":
            seen.append((fusion, place(pairs, one)))
        return calibrate.Outcome(1, 0, 0, 1.0)

    monkeypatch.setattr(calibrate, "outcome", outcome)
    best_finder({SHIPPED: FakeFinder("old")}, {SHIPPED: pairs}, {})
    assert sorted(index for _, index in seen) == list(range(7))
    assert all(index not in fit and len(fit) >= 4 for fit, index in seen)


@pytest.mark.parametrize(
    ("pairs", "why"), [([pair()] * 2, "no time to compare"), ([pair(0, 0)] * 4, "no vacancies")]
)
def test_a_comparison_that_tells_nothing_keeps_the_shipped_finder(kept, pairs, why):
    best, report = kept({"old": [9.0] * 4, "old fitted": [1.0] * 4}, pairs)
    assert best.fusion == "old"
    assert why in report["finder"]
    assert "kept_f1" not in report


def test_vacancies_without_a_candidate_count_too():
    assert vacancies(pair(2, 1)) == 3


@pytest.mark.parametrize(("hits", "mistakes", "poor"), [(10, 9, False), (10, 10, False), (10, 11, True), (0, 1, True)])
def test_a_finder_with_more_mistakes_than_hits_is_warned_of(hits, mistakes, poor):
    assert bool(poor_warning(2 * hits / (2 * hits + mistakes), FITS, SimulateConfig())) == poor


def test_recall_or_precision_below_one_half_is_always_poor():
    assert max(2 * p * r / (p + r) for p in np.linspace(0.01, 1, 100) for r in (0.49, p) if r < 0.5) < POOR_F1


def test_the_warning_names_the_dose_and_what_was_set_by_hand():
    fitted = poor_warning(0.31, FITS, SimulateConfig())
    by_hand = SimulateConfig(instrument=InstrumentConfig(dose_e_per_A2=50.0), aberrations="C12=5 nm")
    typed = poor_warning(0.31, FITS, by_hand)
    assert fitted.startswith("F1 0.31 on held-out pairs: the finder misses or invents more vacancies than it finds")
    assert "(420 e/Å²)" in fitted
    assert "by hand" not in fitted
    assert "by hand in Simulate (dose_e_per_A2 50, aberrations C12=5 nm), a dose too low" in typed
    assert "(50 e/Å²)" in typed


def test_nothing_is_said_where_the_score_is_not_known():
    assert poor_warning(None, [], SimulateConfig()) == ""
