"""Does Adapt learn from a user's decisions? F1 on images of the day that nobody reviewed, with and without them.

    OMP_NUM_THREADS=1 python benchmarks/curation.py [--days 2 5] [--minutes 2] [--reviewed 40]

The days are those of `detection_drawn_days`. On the first two images of a day the shipped finder's points are reviewed
as the panel offers them, the least sure above 0.3 first; the truth stands in for the user. Adapt then runs twice with
one seed and one time budget, without and with the decisions, and both finders are scored on the next three images.
"""

from __future__ import annotations

import argparse

import numpy as np
from detection_drawn_days import CANDIDATES, draw_day, score, truth_of

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.detect.scoring import assign
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow import adapt, consume, detect, match_images

REVIEWED_ABOVE = 0.3
TODAY, UNSEEN = 2, 3


def review(points, labelled, radius_px, most):
    """Decisions on the `most` least sure points of an image, by its truth."""
    points = points.filter(REVIEWED_ABOVE)
    points = points.where(np.isin(np.arange(len(points)), np.argsort(points["confidence"], kind="stable")[:most]))
    kinds = np.array([kind_of(d, s) for d, s in zip(points["defect"], points["sublattice"], strict=True)], dtype=str)
    said = np.full(len(points), "rejected", dtype="<U8")
    for kind in FINDER_CLASSES:
        own = np.flatnonzero(kinds == kind)
        hits, _, _ = assign(points.positions_px[own], truth_of(labelled, kind), radius_px)
        said[own[hits]] = "accepted"
    return PointTable({**points.columns, "decision": said})


def main() -> None:
    """Print two lines for each day."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--days", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--reviewed", type=int, default=40)
    args = parser.parse_args()
    root = np.random.default_rng(args.seed)
    order = np.stack([root.permutation(12) for _ in range(2)])
    for number in args.days:
        rng = np.random.default_rng([args.seed, number - 1])
        day = draw_day(number - 1, 12, rng, order)
        drawn = [day.image(rng) for _ in range(TODAY + UNSEEN)]
        images = [one.image for one in drawn]
        matches = consume(match_images(images, MatchConfig(material=day.material.key)))
        radius = day.material.neighbour_distance_A / 2 / day.pixel_size_A
        shipped = consume(detect(images, matches, CANDIDATES))
        pairs = zip(shipped[:TODAY], drawn[:TODAY], strict=True)
        decisions = PointTable.concat(
            review(one.points, labelled, radius, args.reviewed // TODAY) for one, labelled in pairs
        )
        counts = {name: int((decisions["decision"] == name).sum()) for name in ("accepted", "rejected")}
        dose, dirt = day.degradation.detector.dose_e_per_A2, day.degradation.contamination.amount
        print(f"day {number} {day.material.key} {dose:.1e} e/Å² dirt {dirt:.2f}: {counts}", flush=True)
        _print("as shipped", shipped[TODAY:], drawn[TODAY:], radius, "")
        for name, table in (("adapted without decisions", None), ("adapted with decisions", decisions)):
            config = AdaptConfig(minutes=args.minutes)
            model = consume(adapt(images[:TODAY], matches[:TODAY], config, decisions=table))
            found = consume(detect(images[TODAY:], matches[TODAY:], CANDIDATES, model=model))
            _print(name, found, drawn[TODAY:], radius, model.report["finder"])


def _print(name, found, drawn, radius_px, remark):
    result, _, whole = score(found, drawn, radius_px)
    print(
        f"  {name:26s} P {result.precision:.3f} R {result.recall:.3f} F1 {result.f1:.3f} "
        f"AP {whole.average_precision:.3f} ECE {whole.calibration_error:.3f}  {remark}", flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
