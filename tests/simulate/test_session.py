import numpy as np
import pytest

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig, SpecimenConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.simulate.fit import fit_session
from napari_stem_gan.simulate.instrument import InstrumentConfig
from napari_stem_gan.simulate.session import session_pairs


@pytest.fixture
def session(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=5e4, contamination=0.2, single_vacancy=0.03)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    return drawn, found, fit_session(drawn.image, found)


def test_simulated_images_are_like_the_image_they_were_fitted_to(session):
    drawn, found, fit = session
    exact = InstrumentConfig(dose_e_per_A2=fit.dose_e_per_A2)  # the brightness is drawn with the dose otherwise
    (pair,) = session_pairs([found], [fit], SimulateConfig(count=1, size_px=192, instrument=exact))
    brighter = pair.parameters["degradation"]["detector"]["dose_e_per_A2"] / fit.dose_e_per_A2
    assert pair.image.data.mean() / brighter == pytest.approx(drawn.image.data.mean(), rel=0.1)
    assert pair.image.data.std() / brighter == pytest.approx(drawn.image.data.std(), rel=0.2)
    assert match(pair.image, MatchConfig(material="WSe2")).rotation_deg == pytest.approx(found.rotation_deg, abs=1.0)


def test_the_seed_decides_every_draw(session):
    _, found, fit = session
    first, second, other = (
        next(session_pairs([found], [fit], SimulateConfig(count=1, size_px=96, seed=s))) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.image.data, second.image.data)
    assert np.abs(first.image.data - other.image.data).max() > 0


def test_the_first_images_do_not_depend_on_how_many_follow(session):
    _, found, fit = session
    few, many = (next(session_pairs([found], [fit], SimulateConfig(count=n, size_px=96))) for n in (1, 3))
    np.testing.assert_array_equal(few.image.data, many.image.data)


def test_more_defects_are_planted_where_they_are_asked_for(session):
    _, found, fit = session
    counts = [
        len(next(session_pairs([found], [fit], SimulateConfig(count=1, defect_scale=s, degrade=False))).defects)
        for s in (0.0, 1.0, 20.0)
    ]
    assert counts[0] == 0
    assert 0 < counts[1] < 0.2 * counts[2]


def test_without_degradation_the_image_is_a_fraction_of_the_beam(session):
    _, found, fit = session
    pair = next(session_pairs([found], [fit], SimulateConfig(count=1, size_px=96, degrade=False)))
    assert 0 <= pair.image.data.min() < pair.image.data.max() < 1


def test_every_drawn_value_lies_near_the_fitted_one_and_is_stored(degraded):
    scan = {"jitter_x_px": 0.4, "jitter_y_px": 0.3, "jitter_correlation": 0.5}
    image, found = degraded(scan=scan, amount=0.2, tail_px=0.5, row_noise=0.02)
    fit = fit_session(image, found)
    pairs = list(session_pairs([found], [fit], SimulateConfig(count=8, size_px=64)))
    drawn = [pair.parameters["degradation"] for pair in pairs]
    jitter = np.array([d["scan"]["jitter_x_px"] for d in drawn])
    assert jitter.mean() == pytest.approx(0.4, rel=0.2)
    assert 0 < jitter.std() < 0.15
    assert np.mean([d["detector"]["row_noise"] for d in drawn]) == pytest.approx(0.02, rel=0.3)
    assert all(d["detector"]["tail_px"] == fit.tail_px for d in drawn)
    contamination = pairs[0].parameters["contamination"]
    assert contamination["contamination_amount"] == pytest.approx(fit.background.amount)


def test_calm_images_are_simulated_without_jitter(session):
    _, found, fit = session
    (pair,) = session_pairs([found], [fit], SimulateConfig(count=1, size_px=64))
    scan = pair.parameters["degradation"]["scan"]
    assert max(scan["jitter_x_px"], scan["jitter_y_px"]) < 0.05


def test_specimen_defects_and_frames_of_the_config_are_simulated(session):
    _, found, fit = session
    config = SimulateConfig(
        count=1, size_px=192, frames=3, specimen=SpecimenConfig(strain_xx_percent=2.0),
        defects=DefectConfig(planted="V_W 5 %", jitter_A=0.0),
    )  # fmt: skip
    (pair,) = session_pairs([found], [fit], config)
    assert set(pair.defects) == {"V_W"}
    assert pair.parameters["degradation"]["detector"]["frames"] == 3
    assert pair.parameters["specimen"]["strain_xx_percent"] == 2.0


def test_two_atom_columns_are_as_bright_as_today_s(session):
    _, found, fit = session
    factors = [p.parameters["stack_factor"] for p in session_pairs([found], [fit], SimulateConfig(count=8, size_px=48))]
    assert np.mean(factors) == pytest.approx(1.17, abs=0.05)


def test_no_match_is_refused():
    with pytest.raises(ValueError, match="run Match first"):
        next(session_pairs([], [], SimulateConfig()))
