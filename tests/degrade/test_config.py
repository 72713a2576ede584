import numpy as np
import pytest

from napari_stem_gan.degrade.config import (
    ContaminationConfig,
    DetectorConfig,
    ScanConfig,
    draw_detector,
    draw_scan,
    log_uniform,
)


def test_log_uniform_has_the_geometric_mean_as_median():
    rng = np.random.default_rng(0)
    draws = [log_uniform(rng, 1.0, 100.0) for _ in range(2000)]
    assert min(draws) >= 1.0
    assert max(draws) <= 100.0
    assert np.median(draws) == pytest.approx(10.0, rel=0.1)


def test_drawn_jitter_stays_below_0_8_angstrom():
    rng = np.random.default_rng(0)
    scans = [draw_scan(rng, 0.2) for _ in range(300)]
    assert max(scan.jitter_x_px for scan in scans) <= 0.8 / 0.2
    assert max(scan.jitter_correlation for scan in scans) <= 0.7
    assert np.mean([scan.jitter_x_px == 0 and scan.jitter_y_px == 0 for scan in scans]) < 0.2


def test_drawn_dose_covers_the_range():
    rng = np.random.default_rng(0)
    doses = np.array([draw_detector(rng, dose_e_per_A2=(5e2, 5e4)).dose_e_per_A2 for _ in range(300)])
    assert doses.min() >= 5e2
    assert doses.max() <= 5e4
    assert np.median(doses) == pytest.approx(5e3, rel=0.3)


@pytest.mark.parametrize(
    "values", [{"jitter_x_px": -1.0}, {"jitter_correlation": 1.0}, {"ringing": 1.5}, {"drift_shear": 0.6},
               {"flyback_px": 20.0}, {"frame_drift_px": -1.0}, {"wander_px": -1.0}, {"wander_rows": 0.0},
               {"jitter_x_px": float("nan")}, {"flyback_px": float("nan")}]
)
def test_impossible_scans_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        ScanConfig(**values)


@pytest.mark.parametrize(
    "values", [{"dose_e_per_A2": 0.0}, {"read_noise_e": -1.0}, {"bad_pixel_fraction": 2.0}, {"gain": 0.0},
               {"frames": 0}, {"frames": 1.5}, {"row_offset_e": -1.0}, {"saturation_e": -1.0},
               {"offset": float("inf")}]
)
def test_impossible_detectors_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        DetectorConfig(**values)


@pytest.mark.parametrize("values", [{"amount": -0.1}, {"fine_fraction": 1.5}, {"coarse_nm": 0.0}])
def test_impossible_contamination_is_refused(values):
    with pytest.raises(ValueError, match="must"):
        ContaminationConfig(**values)


def test_the_sentence_names_the_number_that_is_wrong():
    with pytest.raises(ValueError, match=r"^jitter_y_px must be at least 0, got -1.0; set it to 0 or more pixels$"):
        ScanConfig(jitter_x_px=0.2, jitter_y_px=-1.0)
    with pytest.raises(ValueError, match=r"^ringing must be at least 0 and below 1, got 1; try 0.3$"):
        ScanConfig(ringing=1)
