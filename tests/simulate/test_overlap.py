import numpy as np
import pytest

from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.overlap import overlap
from napari_stem_gan.simulate.probe import band_limit, optical_transfer

COMPONENTS = [("C10", "a"), ("C12", "a"), ("C12", "b"), ("C21", "a"), ("C21", "b"), ("C23", "a"), ("C23", "b")]
FREQUENCY = np.array([[0.05, 0.1], [-0.3, 0.5], [0.6, 0.02], [0.5, -0.7]])
VALUES = np.array([-30.0, 10.0, -8.0, 150.0, 120.0, -200.0, 90.0])


def test_a_perfect_probe_has_the_transfer_of_two_discs():
    optics = OpticsConfig()
    half = np.hypot(*FREQUENCY.T) / band_limit(optics)
    discs = 2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))
    transfer, _ = overlap(optics, FREQUENCY, COMPONENTS).transfer(np.zeros(7))
    np.testing.assert_allclose(transfer, discs, atol=1e-4)


@pytest.mark.parametrize("spread", [0.0, 60.0])
def test_the_transfer_is_that_of_the_probe_on_a_grid(spread):
    given = dict(zip(("C12", "C21", "C23"), VALUES[1::2] + 1j * VALUES[2::2], strict=True))
    turned = {f"phi{n[1:]}": float(np.angle(v)) / m for (n, v), m in zip(given.items(), (2, 1, 3), strict=True)}
    optics = OpticsConfig(
        C10=-30.0, C30=4e3, C34=3e3, phi34=0.3, defocus_spread_fwhm_A=spread, source_size_fwhm_A=0, thermal_rms_A=0,
        **{name: float(abs(v)) for name, v in given.items()}, **turned,
    )  # fmt: skip
    grid = optical_transfer(optics, (500, 500), 0.2)
    index = np.rint(FREQUENCY * 100).astype(int)
    whole = np.array([grid[y, x] if x >= 0 else grid[-y, -x].conj() for y, x in index])
    transfer, _ = overlap(optics, index / 100, COMPONENTS).transfer(VALUES)
    np.testing.assert_allclose(transfer, whole, atol=0.006)  # the grid's aperture has a rim of one point


def test_the_derivatives_are_those_of_the_transfer():
    lens = overlap(OpticsConfig(), FREQUENCY, COMPONENTS)
    _, slopes = lens.transfer(VALUES)
    for index in range(7):
        step = np.eye(7)[index] * 1e-3
        change = (lens.transfer(VALUES + step)[0] - lens.transfer(VALUES - step)[0]) / 2e-3
        np.testing.assert_allclose(slopes[:, index], change, atol=1e-8)
