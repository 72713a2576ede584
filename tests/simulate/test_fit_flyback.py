import pytest

from napari_stem_gan.simulate.fit_flyback import fit_flyback
from napari_stem_gan.simulate.fit_lattice import split_lattice


@pytest.mark.parametrize(
    ("lag", "length", "side"), [(2.5, 15.0, 512), (1.0, 20.0, 512), (-0.8, 12.0, 512), (1.5, 12.0, 1200)]
)
def test_the_lag_after_the_fly_back_is_found(degraded, lag, length, side):
    scan = {"flyback_px": lag, "flyback_length_px": length, "jitter_x_px": 0.2, "jitter_y_px": 0.2}
    image, found = degraded(3, side=side, scan=scan)
    fit, errors = fit_flyback(image.data, found, split_lattice(image.data, found))
    assert fit["flyback_px"] == pytest.approx(lag, abs=max(2.5 * errors["flyback_px"], 0.1))
    assert fit["flyback_length_px"] == pytest.approx(length, abs=2.5 * errors["flyback_length_px"])
    assert errors["flyback_px"] < 0.25 * abs(lag)


@pytest.mark.parametrize("scan", [{}, {"jitter_x_px": 0.5, "jitter_y_px": 0.5}, {"wander_px": 0.5}])
def test_a_scan_without_lag_has_none(degraded, scan):
    image, found = degraded(4, scan=scan, amount=0.3)
    fit, errors = fit_flyback(image.data, found, split_lattice(image.data, found))
    assert fit["flyback_px"] == 0
    assert errors["flyback_px"] > 0
