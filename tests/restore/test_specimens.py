import numpy as np
import pytest

from napari_stem_gan.restore.specimens import (
    KINDS,
    MARGIN_PX,
    PROFILES,
    dome,
    draw_specimen,
    lattice_points,
    plant_defects,
    thickness,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_drawn(kind):
    specimen = draw_specimen(np.random.default_rng(3), size_px=64, pixel_size_A=0.2, kind=kind)
    assert specimen.kind == kind
    assert len(specimen.positions_px) == len(specimen.weights) == len(specimen.profiles)
    assert (specimen.weights > 0).all()
    assert (specimen.profiles < PROFILES).all()
    assert (specimen.positions_px > -MARGIN_PX).all()
    assert (specimen.positions_px < 64 + MARGIN_PX).all()


def test_a_flat_specimen_has_no_columns():
    assert len(draw_specimen(np.random.default_rng(0), size_px=64, pixel_size_A=0.2, kind="flat").weights) == 0


def test_a_lattice_fills_the_field_at_its_density():
    cell = np.array([[0.0, 3.0], [2.6, 1.5]])
    points = lattice_points(cell, np.array([[0.0, 0.0], [0.5, 0.5]]), 30.0, np.random.default_rng(0)).reshape(-1, 2)
    inside = (np.abs(points) < 30).all(axis=1).sum()
    assert inside == pytest.approx(2 * 60**2 / (3.0 * 2.6), rel=0.05)


def test_defects_leave_most_columns_alone():
    weights = plant_defects(np.ones(5000), np.random.default_rng(1))
    assert 0.85 < np.mean(weights == 1.0) < 1.0
    assert (weights == 0).any()


def test_thickness_lies_between_zero_and_one():
    rng = np.random.default_rng(0)
    points = rng.uniform(-20, 20, (200, 2))
    for _ in range(20):
        for values in (thickness(points, 20.0, rng, steps=True), dome(points, 20.0, rng)):
            assert values.min() >= 0
            assert values.max() <= 1.0
