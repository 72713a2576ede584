"""The known-answer test against the truth: predicted and true recall and false points on drawn days, or on day_d.

    OMP_NUM_THREADS=1 python benchmarks/known_answer.py [--seed 12] [--days 12] [--images 2] [--model FILE]
    OMP_NUM_THREADS=1 python benchmarks/known_answer.py --data ../shared/data

The days are those of detection_drawn_days.py. Predicted: from vacancies planted into the images and from the images
with their defects filled up; the test sees no truth. True: single anion vacancies that are found by their name within
half the distance of nearest columns, and reported single vacancies where there is no defect of any kind. "z" is the
difference over the joint standard error of both counts (of recall: binomial; of false vacancies: Poisson, at least
one); it should scatter by 1. The last lines give the mean and the root mean square of z over all days, pooled rates,
and the time of the test over that of detection.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from detection_drawn_days import draw_day
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.known_answer import AREA_NM2, KnownAnswer
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.io import read_images
from napari_stem_gan.workflow import consume, detect, known_answer, match_images

THRESHOLDS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Day:
    """Images with their true defects: positions ``(N, 2)`` and classes ``(N,)`` of each image."""

    name: str
    material: str
    images: Sequence[STEMImage]
    truth: Sequence[tuple[np.ndarray, np.ndarray]]


def drawn_days(seed: int, count: int, images: int) -> Iterator[Day]:
    """The days of detection_drawn_days.py."""
    root = np.random.default_rng(seed)
    order = np.stack([root.permutation(count) for _ in range(2)])
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        day = draw_day(number, count, rng, order)
        made = [day.image(rng) for _ in range(images)]
        kinds = [[kind_of(d, s) for d, s in zip(m.defects, m.sublattices, strict=True)] for m in made]
        truth = [(m.positions_px.reshape(-1, 2), np.array(k, str)) for m, k in zip(made, kinds, strict=True)]
        dose, dirt = day.degradation.detector.dose_e_per_A2, day.degradation.contamination.amount
        name = f"{number + 1:2d} {day.material.key:5s} {dose:7.1e} e/Å² dirt {dirt:.2f}"
        yield Day(name, day.material.key, [m.image for m in made], truth)


def day_d(folder: Path) -> Iterator[Day]:
    """Each image of the pseudo-experimental session day_d by itself."""
    for path in sorted((folder / "pseudo" / "day_d").glob("*.truth.csv")):
        with path.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        positions = np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows]).reshape(-1, 2)
        image = read_images(path.with_name(path.name.replace(".truth.csv", ".tif")))[0]
        yield Day(image.name, "WSe2", [image], [(positions, np.array([r["kind"] for r in rows], str))])


def true_answer(points: PointTable, truth: tuple[np.ndarray, np.ndarray], radius_px: float, area_nm2: float):
    """What a known-answer test that knew everything would say of one image."""
    places, kinds = truth
    names = zip(points["defect"], points["sublattice"], strict=True)
    found_kinds = np.array([kind_of(str(d), str(s)) for d, s in names], str)
    vacancies = points.where(found_kinds == "V_X")
    best = np.zeros(int((kinds == "V_X").sum()))
    for index, place in enumerate(places[kinds == "V_X"]):
        near = np.hypot(*(vacancies.positions_px - place).T) <= radius_px
        best[index] = vacancies["confidence"][near].max() if near.any() else 0.0
    apart = cKDTree(places).query(vacancies.positions_px)[0] if len(places) else np.full(len(vacancies), np.inf)
    return KnownAnswer(best, vacancies["confidence"][apart > radius_px], area_nm2)


def errors(answer: KnownAnswer, threshold: float) -> np.ndarray:
    """Standard errors of recall and of false points per 100 nm²."""
    expected, count = answer.at(threshold), len(answer.planted)
    share = (expected.found * count + 1) / (count + 2)  # never 0 or 1
    false = max(answer.at(threshold).false_per_100nm2 * answer.area_nm2 / AREA_NM2, 1.0)
    return np.array([np.sqrt(share * (1 - share) / count), np.sqrt(false) * AREA_NM2 / answer.area_nm2])


def compared(day: Day, model: Path | None) -> tuple[KnownAnswer, KnownAnswer, tuple[float, float]] | None:
    """Predicted and true answer of a day, and the seconds of detection and of the test."""
    matches = consume(match_images(day.images, MatchConfig(material=day.material)))
    if not all(m.accepted for m in matches):
        return None
    config, start = DetectConfig(threshold=0.05), time.process_time()
    found = consume(detect(day.images, matches, config, model=model))
    middle = time.process_time()
    predicted = consume(known_answer(day.images, matches, config, detections=found, model=model, most=len(matches)))
    seconds = middle - start, time.process_time() - middle
    true = []
    for image, lattice, one, truth in zip(day.images, matches, found, day.truth, strict=True):
        radius = get_material(day.material).neighbour_distance_A / 2 / image.pixel_size_A
        area = image.data.size * (lattice.pixel_size_A / A_PER_NM) ** 2
        true.append(true_answer(one.points, truth, radius, area))
    return predicted, KnownAnswer.joined(true), seconds


def main() -> None:
    """Print a line for each day and threshold, and what they have in common."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--data", type=Path, default=None, help="folder of the shared data: day_d in place of days")
    args = parser.parse_args()
    days = day_d(args.data) if args.data else drawn_days(args.seed, args.days, args.images)
    every: dict[float, list] = {t: [] for t in THRESHOLDS}
    answers, seconds = [], np.zeros(2)
    for day in days:
        result = compared(day, args.model)
        if result is None:
            print(f"{day.name}: not matched", flush=True)
            continue
        predicted, true, spent = result
        seconds += spent
        answers.append((predicted, true))
        for threshold in THRESHOLDS:
            one, other = (np.array([e.found, e.false_per_100nm2]) for e in (a.at(threshold) for a in (predicted, true)))
            z = (one - other) / np.hypot(errors(predicted, threshold), errors(true, threshold))
            every[threshold].append((*one, *other, *z))
            print(
                f"{day.name} at {threshold}: recall {one[0]:.3f} true {other[0]:.3f} z {z[0]:+.1f} | "
                f"false {one[1]:5.2f} true {other[1]:5.2f} per 100 nm² z {z[1]:+.1f}", flush=True,
            )  # fmt: skip
    for threshold, rows in every.items():
        one, other = (KnownAnswer.joined(parts).at(threshold) for parts in zip(*answers, strict=True))
        table = np.array(rows)
        recall, false = (float(np.sqrt(np.mean((table[:, i] - table[:, i + 2]) ** 2))) for i in (0, 1))
        mean, rms = table[:, 4:].mean(0), np.sqrt((table[:, 4:] ** 2).mean(0))
        print(
            f"all at {threshold}: recall {one.found:.3f} true {other.found:.3f}, rms difference {recall:.3f}, "
            f"z {mean[0]:+.2f} rms {rms[0]:.2f} | false {one.false_per_100nm2:.2f} true {other.false_per_100nm2:.2f} "
            f"per 100 nm², rms difference {false:.2f}, z {mean[1]:+.2f} rms {rms[1]:.2f}"
        )
    print(f"detect {seconds[0]:.0f} s, test {seconds[1]:.0f} s ({seconds[1] / seconds[0]:.1f} times)")


if __name__ == "__main__":
    main()
