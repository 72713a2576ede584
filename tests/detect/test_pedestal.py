import numpy as np
import pytest

from napari_stem_gan.detect.pedestal import HALF, pedestal, without_pedestal


def columns(height, error, missing=40, count=2000):
    """Ratios of whole columns, of some with one atom of two and of a few without any, on a pedestal."""
    rng = np.random.default_rng(0)
    alone = np.ones(count)
    alone[:missing], alone[missing : missing + missing // 5] = HALF, 0.0
    ratio = (alone + height) / (1 + height)
    return ratio + rng.normal(0, error, count), np.full(count, error)


@pytest.mark.parametrize("height", [0.0, 0.15, 0.35])
def test_the_pedestal_is_read_from_missing_atoms(height):
    assert pedestal(*columns(height, 0.08)) == pytest.approx(height, abs=0.04)


def test_without_missing_atoms_there_is_none():
    assert abs(pedestal(*columns(0.3, 0.05, missing=0))) < 0.02
    assert pedestal(np.zeros(0), np.zeros(0)) == 0.0


def test_noise_alone_is_not_taken_for_one():
    assert abs(pedestal(*columns(0.0, 0.4))) < 0.1


def test_taken_away_an_empty_site_is_dark_and_a_whole_column_unchanged():
    np.testing.assert_allclose(without_pedestal(np.array([0.2, 1.0]), 0.25), [0.0, 1.0], atol=1e-12)
