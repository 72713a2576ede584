import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.simulate.fit import fit_session
from napari_stem_gan.simulate.session import session_pairs


@pytest.fixture
def session(draw_crystal):
    drawn = draw_crystal(dose_e_per_A2=5e4, contamination=0.2, single_vacancy=0.03)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    return drawn, found, fit_session(drawn.image, found)


def test_simulated_images_are_like_the_image_they_were_fitted_to(session):
    drawn, found, fit = session
    (pair,) = session_pairs([found], [fit], SimulateConfig(count=1, size_px=192))
    assert pair.image.data.mean() == pytest.approx(drawn.image.data.mean(), rel=0.1)
    assert pair.image.data.std() == pytest.approx(drawn.image.data.std(), rel=0.2)
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


def test_no_match_is_refused():
    with pytest.raises(ValueError, match="run Match first"):
        next(session_pairs([], [], SimulateConfig()))
