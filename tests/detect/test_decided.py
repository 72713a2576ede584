"""Decisions on real images as examples: what counts, what is left out, and what the finder learns from them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.calibrate import calibrated
from napari_stem_gan.detect.decided import (
    PARTS,
    WEIGHT,
    WithDecisions,
    decided_candidates,
    decided_example,
    decided_images,
    sentence,
)
from napari_stem_gan.detect.fusion import CLASSES
from napari_stem_gan.detect.patches import PatchPool
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.truth import read_points

REJECTED = 6


def table_of(image, positions_px, decisions, defect="V_Se", sublattice="Se"):
    n = len(positions_px)
    built = PointTable.build(
        image=image.name, frame=image.frame, positions_px=positions_px, pixel_size_nm=0.02, defects=[defect] * n,
        sublattices=[sublattice] * n, confidence=np.full(n, 0.6),
    )  # fmt: skip
    return PointTable({**built.columns, "decision": np.array(decisions, dtype=str)})


@pytest.fixture
def decided(vacancies):
    """Every true vacancy accepted, six whole Se columns rejected, one point left undecided."""
    drawn, match = vacancies
    sites = match.sites(drawn.image.shape)
    anions = np.array([c.role == "anion" for c in sites.material.columns])[sites.column]
    away = np.linalg.norm(sites.positions_px[:, None] - drawn.positions_px[None], axis=2).min(1)
    inside = ((sites.positions_px > 30) & (sites.positions_px < np.array(drawn.image.shape) - 30)).all(1)
    whole = sites.positions_px[anions & inside & (away > 8)][: REJECTED + 1]
    said = ["accepted"] * len(drawn.positions_px) + ["rejected"] * REJECTED + [""]
    table = table_of(drawn.image, np.concatenate([drawn.positions_px, whole]), said)
    (one,) = decided_images([drawn.image], [match], table)
    return one


def test_only_decided_points_of_these_images_count(vacancies, decided):
    drawn, match = vacancies

    assert len(decided) == len(drawn.defects) + REJECTED
    assert decided.kept.sum() == len(drawn.defects)
    assert set(decided.kinds) == {"V_X"}
    assert "6 rejected points of 1 image" in sentence([decided])
    elsewhere = table_of(drawn.image, drawn.positions_px, ["accepted"] * len(drawn.defects))
    elsewhere = PointTable({**elsewhere.columns, "frame": elsewhere["frame"] + 1})
    assert decided_images([drawn.image], [match], elsewhere) == []
    undecided = PointTable({n: c for n, c in elsewhere.columns.items() if n != "decision"})
    assert decided_images([drawn.image], [match], undecided) == []


def test_candidates_get_the_user_s_word_and_its_weight(decided, new_finder):
    parts = decided_candidates(new_finder, [decided])

    targets = np.concatenate([part.targets["anion"] for part in parts])
    assert len(parts) == PARTS
    assert (targets == CLASSES["anion"].index("V_X")).sum() == WEIGHT * decided.kept.sum()
    assert (targets == 0).sum() == WEIGHT * REJECTED
    assert not any(len(part.targets[role]) for part in parts for role in ("metal", "between", "alone"))
    assert decided_candidates(new_finder, []) == []


def test_the_fusion_learns_from_decisions(decided, new_finder):
    parts = decided_candidates(new_finder, [decided])

    fusion = calibrated(None, parts, iterations=200)

    features = np.concatenate([part.features["anion"] for part in parts])
    kept = np.concatenate([part.targets["anion"] for part in parts]) > 0
    vacancy = fusion.probabilities(features, "anion")[:, 1]
    assert vacancy[kept].mean() > 0.8
    assert vacancy[~kept].mean() < 0.2


def test_a_training_target_is_the_finder_s_own_map_corrected_by_the_user(decided, new_finder):
    example = decided_example(new_finder, decided)

    at = np.rint(example.places).astype(int)
    values = example.targets[:, at[:, 0], at[:, 1]]
    vacancy = values[FINDER_CLASSES.index("V_X")]
    assert vacancy[decided.kept].min() > 0.85
    assert vacancy[~decided.kept].max() < 0.1
    assert values[FINDER_CLASSES.index("S_X")].max() < 0.1
    corner = example.targets[:, :3, :3]
    assert (corner > 0).all()  # nobody decided on anything there, so the finder's word stands


def test_batches_hold_patches_around_decisions(decided, new_finder, vacancies):
    drawn, _ = vacancies
    pool = PatchPool(lambda rng: drawn, size=1, patch_px=64, batch_size=4)
    example = decided_example(new_finder, decided)

    inputs, targets = next(WithDecisions(pool, [example]))

    assert inputs.shape == (4, 4, 64, 64)
    assert targets.shape == (4, len(FINDER_CLASSES), 64, 64)
    for patch, wanted in zip(inputs[:2].numpy(), targets[:2].numpy(), strict=True):
        assert np.isin(np.round(patch[0], 4), np.round(example.inputs[0], 4)).all()
        assert np.isin(np.round(wanted[0], 4), np.round(example.targets[0], 4)).all()


def test_rejected_points_are_not_scored(vacancies, tmp_path):
    drawn, _ = vacancies
    table = table_of(drawn.image, drawn.positions_px[:3], ["accepted", "rejected", ""])
    table.to_csv(tmp_path / "points.csv")

    points = read_points(tmp_path / "points.csv")

    assert list(points["decision"]) == ["accepted", ""]
