import numpy as np
import pytest

from napari_stem_gan.restore.plane_groups import PLANE_GROUPS, operations, orbit, random_cell, random_motif

ORDERS = {"p1": 1, "p2": 2, "pm": 2, "pg": 2, "cm": 4, "p2mm": 4, "p2mg": 4, "p2gg": 4, "c2mm": 8, "p4": 4, "p4mm": 8}
ORDERS |= {"p4gm": 8, "p3": 3, "p3m1": 6, "p31m": 6, "p6": 6, "p6mm": 12}


def test_all_17_plane_groups_are_there_with_their_orders():
    assert {name: len(operations(name)) for name in PLANE_GROUPS} == ORDERS


@pytest.mark.parametrize("group", PLANE_GROUPS)
def test_operations_form_a_group(group):
    matrices = operations(group)
    found = {tuple(np.round(np.concatenate([m[:, :2].ravel(), m[:, 2] % 1]), 6)) for m in matrices}
    assert len(found) == len(matrices)
    for a in matrices:
        for b in matrices:
            product = np.concatenate([(a[:, :2] @ b[:, :2]).ravel(), (a[:, :2] @ b[:, 2] + a[:, 2]) % 1])
            assert tuple(np.round(product, 6)) in found


@pytest.mark.parametrize("group", PLANE_GROUPS)
def test_operations_keep_distances_in_their_cell(group):
    cell = random_cell(PLANE_GROUPS[group][0], np.random.default_rng(1))
    metric = cell @ cell.T
    for operation in operations(group):
        turn = operation[:, :2]
        np.testing.assert_allclose(turn.T @ metric @ turn, metric, atol=1e-9)


def test_a_special_position_is_counted_once():
    assert len(orbit("p6mm", np.array([0.0, 0.0]))) == 1
    assert len(orbit("p6mm", np.array([1 / 3, 2 / 3]))) == 2
    assert len(orbit("p4mm", np.array([0.5, 0.0]))) == 2


def test_columns_of_a_motif_keep_their_distance():
    rng = np.random.default_rng(0)
    for group, (system, _) in PLANE_GROUPS.items():
        cell = random_cell(system, rng)
        fractions, kinds = random_motif(cell, group, rng, atoms=4, closest_A=1.0)
        assert len(fractions) == len(kinds) >= 1
        shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
        vectors = (fractions[:, None, None] - fractions[None, :, None] + shifts) @ cell
        distances = np.hypot(vectors[..., 0], vectors[..., 1])
        if len(fractions) > 1:
            assert distances[distances > 1e-6].min() > 1.0
