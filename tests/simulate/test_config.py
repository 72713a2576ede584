import pytest

from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig


@pytest.mark.parametrize(
    "values",
    [
        {"energy_keV": 5.0},
        {"convergence_semi_angle_mrad": 0.0},
        {"adf_inner_mrad": 200.0, "adf_outer_mrad": 100.0},
        {"source_size_fwhm_A": -0.1},
    ],
)
def test_optics_that_no_microscope_has_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        OpticsConfig(**values)


@pytest.mark.parametrize("values", [{"count": 0}, {"size_px": 16}, {"defect_scale": -1.0}])
def test_sessions_that_cannot_be_drawn_are_refused(values):
    with pytest.raises(ValueError, match="must lie between"):
        SimulateConfig(**values)
