import numpy as np
import pytest

from napari_stem_gan.simulate.fit_lattice import split_lattice
from napari_stem_gan.simulate.fit_scan import Rows, fit_jitter, measure_rows, row_spread, straightened, without_rows


def jitter_of(degraded, seed=0, **options):
    image, found = degraded(seed, **options)
    split = split_lattice(image.data, found)
    rows = measure_rows(split)
    return split, rows, fit_jitter(rows, split.constant_px)


@pytest.mark.parametrize("dose", [1e4, 1e5])
@pytest.mark.parametrize(("jitter", "correlation"), [(0.2, 0.0), (0.2, 0.6), (0.6, 0.3)])
def test_drawn_jitter_and_its_correlation_are_found(degraded, dose, jitter, correlation):
    scan = {"jitter_x_px": jitter, "jitter_y_px": jitter, "jitter_correlation": correlation}
    _, _, (fit, _) = jitter_of(degraded, scan=scan, dose_e_per_A2=dose)
    assert fit.jitter_x_px == pytest.approx(jitter, rel=0.12)
    assert fit.jitter_y_px == pytest.approx(jitter, rel=0.12)
    assert fit.jitter_correlation == pytest.approx(correlation, abs=0.12)


@pytest.mark.parametrize("dose", [1e4, 1e5])
@pytest.mark.parametrize("amount", [0.0, 0.4])
def test_noise_and_contamination_are_not_taken_for_jitter(degraded, dose, amount):
    _, _, (fit, errors) = jitter_of(degraded, 1, dose_e_per_A2=dose, amount=amount)
    for name in ("jitter_x_px", "jitter_y_px"):
        assert getattr(fit, name) < 3 * errors[name]
        assert getattr(fit, name) < 0.05


def test_jitter_of_one_axis_is_not_given_to_the_other(degraded):
    _, _, (fit, _) = jitter_of(degraded, scan={"jitter_x_px": 0.3})
    assert fit.jitter_x_px == pytest.approx(0.3, rel=0.1)
    assert fit.jitter_y_px < 0.04


@pytest.mark.parametrize("seed", [-17, 13])
def test_jitter_of_an_upright_lattice_is_found(degraded, seed):
    scan = {"jitter_x_px": 0.3, "jitter_y_px": 0.4, "jitter_correlation": 0.3}
    _, _, (fit, _) = jitter_of(degraded, seed, scan=scan, dose_e_per_A2=2e4)
    assert fit.jitter_x_px == pytest.approx(0.3, rel=0.12)
    assert fit.jitter_y_px == pytest.approx(0.4, rel=0.15)


def test_errors_shrink_with_the_number_of_rows():
    rng = np.random.default_rng(0)
    errors = []
    for rows in (256, 4096):
        common = rng.normal(0, 0.3, (4, rows, 1))
        values = common + rng.normal(0, 0.2, (4, rows, 8))
        fit, error = fit_jitter(Rows(values, np.ones_like(values)), 16.0)
        assert fit.jitter_x_px == pytest.approx(0.3, abs=4 * error["jitter_x_px"])
        errors.append(error["jitter_x_px"])
    assert errors[1] < 0.5 * errors[0]


def test_what_is_left_without_rows_is_noise(degraded):
    scan = {"jitter_x_px": 0.5, "jitter_y_px": 0.5}
    split, rows, (fit, _) = jitter_of(degraded, scan=scan, dose_e_per_A2=1e5)
    calm, _, _ = jitter_of(degraded, dose_e_per_A2=1e5)
    straight = straightened(split, rows, row_spread(rows, fit))
    left = without_rows(straight, measure_rows(straight))
    assert left.std() < 1.06 * calm.residual.std() < 0.9 * split.residual.std()
