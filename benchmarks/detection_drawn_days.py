"""Vacancies on twelve drawn days that no network was trained on: F1, average precision and calibration of each.

    OMP_NUM_THREADS=1 python benchmarks/detection_drawn_days.py [--seed 12] [--days 12] [--adapt 2]

A day has one material, pixel size, probe with aberrations, dose (10⁴ to 10⁵ e/Å², evenly spaced in its logarithm),
contamination (standard deviation 0 to 0.6 of an anion column), scan and detector; its images differ in place, defects
and noise. Usual defects: 3 % single anion vacancies, few of every other kind, adatoms. Radius: half the distance of
nearest columns. "Bound" is the best F1 that noise of counting and readout, smear and contamination allow an observer
who knows all other atoms, the probe and the power spectrum of the contamination, taken for Gaussian: images with and
without the atom then differ by d' standard deviations (d'² = Σ |difference|² / power of noise and contamination, over
all frequencies), which with the day's own share of vacancies gives the best F1. "Clear" are days whose bound is at
least 0.93, the mean that is asked for. "Balanced": F1 at the threshold that the confidences of the day's images call
for (`detect/threshold.py`). `--adapt`: minutes to adapt to four more images of each day first; `--model`: a session's
finder.
Calibration error: mean difference of confidence and share of hits over ten bins of confidence, all candidate points.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import log_uniform
from napari_stem_gan.degrade.contamination import contamination_field
from napari_stem_gan.degrade.fast_scan import smear
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.evaluate import summary
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.detect.scoring import Comparison
from napari_stem_gan.detect.threshold import balanced_threshold
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.batch import column_contrast
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.draws import draw_contamination, draw_degradation, draw_optics
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image
from napari_stem_gan.simulate.random_images import PERFECT
from napari_stem_gan.simulate.thickness import projected_weights
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow import adapt, consume, detect, match_images

MATERIALS = ("WSe2", "MoS2", "WS2", "MoSe2", "MoTe2")
SIDE_PX, SQUARES, ADAPT_IMAGES, CLEAR = 768, 64, 4, 0.93
USUAL = DefectConfig(adatom=0.002)
CANDIDATES = DetectConfig(threshold=0.05)


@dataclasses.dataclass(frozen=True)
class Day:
    """What the images of one day have in common."""

    material: Material
    pixel_size_A: float
    rotation_deg: float
    optics: OpticsConfig
    degradation: Degradation
    stack_factor: float

    def image(self, rng: np.random.Generator) -> LabelledImage:
        """One labelled image."""
        affine = np.eye(2) + rng.uniform(-0.01, 0.01, (2, 2))
        vectors = lattice_vectors_px(self.material, self.pixel_size_A, self.rotation_deg, affine)
        y, x = rng.uniform(0, SIDE_PX, 2)
        field = Field(
            material=self.material, vectors_px=vectors, origin_px=(y, x), shape=(SIDE_PX, SIDE_PX),
            pixel_size_A=self.pixel_size_A,
        )  # fmt: skip
        ideal = ideal_image(field, self.optics, USUAL, rng, stack_factor=self.stack_factor)
        return degrade(ideal, self.degradation, rng)


def draw_day(number: int, count: int, rng: np.random.Generator, order: np.ndarray) -> Day:
    """Draw a day; materials come in turn, doses and contamination are spread evenly."""
    size = log_uniform(rng, 0.12, 0.24)
    share, dirt = (order[:, number] + 0.5) / count
    degradation = draw_degradation(rng, size, dose_e_per_A2=(1e4, 1e5), jitter_strength=0.2)
    dose = 10 ** (4 + share)
    return Day(
        get_material(MATERIALS[number % len(MATERIALS)]), size, float(rng.uniform(0, 360)), draw_optics(rng),
        dataclasses.replace(
            degradation,
            scan=dataclasses.replace(degradation.scan, wander_px=0.0),
            detector=dataclasses.replace(degradation.detector, dose_e_per_A2=dose),
            contamination=dataclasses.replace(draw_contamination(rng), amount=0.6 * dirt),
        ),
        float(rng.uniform(1.0, 1.2)),
    )  # fmt: skip


def share_of(day: Day, images: list[LabelledImage]) -> float:
    """Share of the anion columns of a day's images that are single vacancies."""
    cells = sum(i.image.data.size / abs(np.linalg.det(np.array(i.parameters["vectors_px"]))) for i in images)
    columns = cells * sum(column.role == "anion" for column in day.material.columns)
    return sum(len(truth_of(i, "V_X")) for i in images) / columns


def bound(day: Day, share: float) -> float:
    """Best F1 of an observer limited by noise, smear and contamination, where a `share` of the anions has a vacancy."""
    full, less = with_and_without(day)
    detector = day.degradation.detector
    unit = float(column_contrast(torch.from_numpy(full.astype(np.float32))))
    light = full.mean() + day.degradation.contamination.amount * unit
    dose = detector.dose_e_per_A2 * day.pixel_size_A**2
    noise = light / dose * (1 + detector.pmt_spread**2) + detector.frames * (detector.read_noise_e / dose) ** 2
    seen = smear_power(day, len(full))
    difference = np.abs(np.fft.fft2(full - less)) ** 2 / full.size * seen
    distance = np.sqrt((difference / (noise + unit**2 * contamination_power(day, len(full)) * seen)).sum())
    cut = np.linspace(-5, 40, 4000)
    hits, false = share * norm.sf(cut - distance), (1 - share) * norm.sf(cut)
    return float((2 * hits / (hits + false + share)).max())


def smear_power(day: Day, side: int) -> np.ndarray:
    """Share of the power at each frequency of a square that the fast scan's smear leaves."""
    scan, point = day.degradation.scan, torch.zeros(1, 1, side, side)
    point[..., side // 2, side // 2] = 1.0
    smeared = smear(point, *(torch.full((1, 1, 1, 1), v) for v in (scan.smear_px, scan.smear_lorentzian, scan.ringing)))
    return np.abs(np.fft.fft2(smeared[0, 0].numpy())) ** 2


def contamination_power(day: Day, side: int) -> np.ndarray:
    """Power of drawn contamination at each frequency of a square, in its own units squared."""
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.zeros((side, side))
    for seed in range(SQUARES):
        rng = np.random.default_rng(seed)
        field = contamination_field((side, side), day.pixel_size_A, day.degradation.contamination, rng)
        power += np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2 / (window**2).sum() / SQUARES
    return power


def with_and_without(day: Day) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free images of a perfect crystal, whole and with one anion missing in the middle."""
    side, none = 96, dataclasses.replace(PERFECT, jitter_A=0.0)
    vectors = lattice_vectors_px(day.material, day.pixel_size_A, day.rotation_deg)
    anion = next(c for c in day.material.columns if c.role == "anion")
    origin = np.array([side / 2, side / 2]) - np.array(anion.fraction) @ vectors
    field = Field(
        material=day.material, vectors_px=vectors, origin_px=(origin[0], origin[1]), shape=(side, side),
        pixel_size_A=day.pixel_size_A,
    )  # fmt: skip
    made = ideal_image(field, day.optics, none, np.random.default_rng(0), stack_factor=day.stack_factor).structure
    gone = int(np.flatnonzero((made.elements == anion.atoms[0]) & (np.hypot(*(made.atoms_px - side / 2).T) < 1))[0])
    kept = dataclasses.replace(made, **{
        name: np.delete(getattr(made, name), gone, 0)
        for name in ("atoms_px", "elements", "column_size", "heights_A", "depth", "site", "atom_defect")
    })  # fmt: skip
    lone = np.hypot(*(kept.atoms_px - side / 2).T) < 1
    kept = dataclasses.replace(kept, column_size=np.where(lone, 1, kept.column_size))
    images = []
    for structure in (made, kept):
        points, weights = projected_weights(structure, day.optics, stack_factor=day.stack_factor)
        images.append(render(points, weights, (side, side), pixel_size_A=day.pixel_size_A, optics=day.optics))
    return np.asarray(images[0], float), np.asarray(images[1], float)


def truth_of(labelled: LabelledImage, kind: str) -> np.ndarray:
    """True positions ``(N, 2)`` of one class."""
    kinds = [kind_of(d, s) for d, s in zip(labelled.defects, labelled.sublattices, strict=True)]
    return labelled.positions_px[np.array(kinds, dtype=str) == kind].reshape(-1, 2)


def score(found, images: list[LabelledImage], radius_px: float):
    """Scores of single vacancies at 0.5 and at the balanced threshold, and the comparison of all candidates."""
    balanced = balanced_threshold(np.concatenate([one.points["confidence"] for one in found]))
    sure, even, every = [], [], []
    for one, labelled in zip(found, images, strict=True):
        positions = truth_of(labelled, "V_X")
        points = one.points.where(np.array([kind_of(d, s) == "V_X" for d, s in
                                            zip(one.points["defect"], one.points["sublattice"], strict=True)], bool))
        for parts, threshold in ((sure, 0.5), (even, balanced), (every, 0.0)):
            rows = points.filter(threshold)
            parts.append(Comparison.of(rows.positions_px, rows["confidence"], positions, radius_px))
    results = [
        summary(c.hits, c.false, c.missed, c.distances_px, radius_px) for c in map(Comparison.total, (sure, even))
    ]
    return *results, Comparison.total(every)


def main() -> None:
    """Print a line for each day and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--adapt", type=float, default=0.0, help="minutes; 0: as shipped")
    args = parser.parse_args()
    root = np.random.default_rng(args.seed)
    order = np.stack([root.permutation(args.days) for _ in range(2)])
    scores, evens, bounds, every, start = [], [], [], [], time.perf_counter()
    for number in range(args.days):
        rng = np.random.default_rng([args.seed, number])
        day = draw_day(number, args.days, rng, order)
        images = [day.image(rng) for _ in range(args.images)]
        plain = [i.image for i in images]
        named = MatchConfig(material=day.material.key)
        matches = consume(match_images(plain, named))
        model = args.model
        if args.adapt:
            session = [day.image(rng).image for _ in range(ADAPT_IMAGES)]
            model = consume(adapt(session, consume(match_images(session, named)), AdaptConfig(minutes=args.adapt)))
        radius = day.material.neighbour_distance_A / 2 / day.pixel_size_A
        found = consume(detect(plain, matches, CANDIDATES, model=model))
        result, even, whole = score(found, images, radius)
        scores.append(result.f1)
        evens.append(even.f1)
        bounds.append(bound(day, share_of(day, images)))
        every.append(whole)
        dirt, dose = day.degradation.contamination.amount, day.degradation.detector.dose_e_per_A2
        print(
            f"day {number + 1:2d} {day.material.key:5s} {day.optics.energy_keV:3.0f} kV {dose:8.1e} e/Å² "
            f"{day.pixel_size_A:.3f} Å/px dirt {dirt:.2f} | P {result.precision:.3f} R {result.recall:.3f} "
            f"F1 {result.f1:.3f} balanced {even.f1:.3f} AP {whole.average_precision:.3f} "
            f"ECE {whole.calibration_error:.3f} bound {bounds[-1]:.3f} "
            f"({whole.hits + whole.missed} true, {sum(m.accepted for m in matches)} of {len(matches)} matched)"
            + (f" {model.report.get('finder')}" if args.adapt else ""),
            flush=True,
        )  # fmt: skip
    error, seconds = Comparison.total(every).calibration_error, time.perf_counter() - start
    clear = np.array(bounds) >= CLEAR
    for name, keep in (("all", clear | True), ("clear", clear)):
        one, even, most = (np.array(v)[keep] for v in (scores, evens, bounds))
        print(
            f"{name}: {keep.sum()} days, F1 mean {one.mean():.3f} worst {one.min():.3f} "
            f"balanced mean {even.mean():.3f} worst {even.min():.3f} "
            f"bound mean {most.mean():.3f} worst {most.min():.3f}"
        )
    print(f"ECE {error:.3f}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
