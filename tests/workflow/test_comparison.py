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


class FakeFinder:
    def __init__(self, fusion):
        self.fusion = fusion

    def with_fusion(self, fusion):
        return FakeFinder(fusion)


@pytest.fixture
def kept(monkeypatch):
    """The finder that is kept and the report, where scores depend on the fusion alone."""

    def best(values, pairs):
        monkeypatch.setattr(calibrate, "score", lambda fusion, held: values[fusion])
        monkeypatch.setattr(calibrate, "calibrated", lambda start, fit: f"{start} fitted")
        report = {}
        return best_finder({SHIPPED: FakeFinder("old")}, {SHIPPED: pairs}, report), report

    return best


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"old": 0.9, "old fitted": 0.8}, "as shipped"),
        ({"old": 0.9, "old fitted": 0.9}, "as shipped"),
        ({"old": 0.8, "old fitted": 0.9}, "as shipped, calibrated today"),
    ],
)
def test_the_finder_with_the_best_held_out_score_is_kept_and_the_shipped_one_on_a_tie(kept, values, name):
    best, report = kept(values, [pair()] * 3)
    assert f"finder {name}: F1 0.900 on held-out pairs" in report["finder"]
    assert values[best.fusion] == report["kept_f1"] == 0.9


@pytest.mark.parametrize(
    ("pairs", "why"), [([pair()] * 2, "no time to compare"), ([pair(0, 0), pair(), pair()], "no vacancies")]
)
def test_a_comparison_that_tells_nothing_keeps_the_shipped_finder(kept, pairs, why):
    best, report = kept({"old": 0.0, "old fitted": 1.0}, pairs)
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
