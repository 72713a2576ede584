"""False points on images without any defect, per 100 nm² with a 95 % interval, and whether a wrong material is refused.

    OMP_NUM_THREADS=1 python benchmarks/false_points.py [--images 6] [--seed 3] [--only amorphous] [--threshold 0.5]

Every image is 512² pixels with optics, scan and detector of its own draw, as those of the drawn days (dose 10⁴ to 10⁵
e/Å², contamination 0 to 0.6 of an anion column), and is given as a dichalcogenide with its true pixel size, as a
session's other images would give it. The bar is 1 false point per 100 nm² for every row, and every wrong material
refused. "Refused": the lattice was not accepted, so that the command line stops; "stopped": detect itself stops,
because another material fits. Points are counted wherever detect went on.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import chi2

from napari_stem_gan.crystal.config import MatchConfig, SpecimenConfig
from napari_stem_gan.crystal.materials import MATERIALS, Material
from napari_stem_gan.degrade.config import log_uniform
from napari_stem_gan.degrade.contamination import contamination_field
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.simulate.draws import TMD, draw_degradation, draw_field, draw_mask, draw_optics
from napari_stem_gan.simulate.pairs import anion_peak, degrade, ideal_image
from napari_stem_gan.simulate.random_images import PERFECT, with_island, without_order
from napari_stem_gan.workflow import consume, detect, match_images

SHAPE = (512, 512)
SIZES_A = (0.12, 0.24)
DOSES = (1e4, 1e5)
JITTER = 0.2
DIRT = 0.6  # largest standard deviation of contamination, in units of an anion column
BAR = 1.0
Drawn = tuple[STEMImage, str]
WRONG = ("graphene", "hBN", "Si [110]", "SrTiO3", "GaAs [110]", "CeO2 [110]")


def tmd(rng: np.random.Generator) -> Material:
    """One of the crystals that the finder knows."""
    return TMD[rng.integers(len(TMD))]


def drawn(rng: np.random.Generator, material: Material, *, mask=None, specimen=None, change=None) -> STEMImage:
    """A perfect crystal, changed by `change(labelled, field, optics)` before it is degraded."""
    field, optics = draw_field(rng, material, SHAPE, pixel_size_A=SIZES_A), draw_optics(rng)
    ideal = ideal_image(field, optics, dataclasses.replace(PERFECT, jitter_A=0.03), rng, mask=mask, specimen=specimen)
    ideal = ideal if change is None else change(ideal, field, optics)
    how = draw_degradation(rng, field.pixel_size_A, dose_e_per_A2=DOSES, jitter_strength=JITTER)
    dirt = dataclasses.replace(how.contamination, amount=float(rng.uniform(0, DIRT)))
    return degrade(ideal, dataclasses.replace(how, contamination=dirt), rng).image


def crystal(rng: np.random.Generator) -> Drawn:
    """A crystal without defects."""
    material = tmd(rng)
    return drawn(rng, material), material.key


def rim(rng: np.random.Generator) -> Drawn:
    """A flake with an irregular rim and holes."""
    material = tmd(rng)
    return drawn(rng, material, mask=draw_mask(rng, SHAPE)), material.key


def island(rng: np.random.Generator) -> Drawn:
    """A crystal with islands of a second layer that is turned against it."""
    material = tmd(rng)
    image = drawn(rng, material, change=lambda ideal, field, optics: with_island(ideal, field, optics, rng))
    return image, material.key


def boundary(rng: np.random.Generator) -> Drawn:
    """Two grains."""
    material = tmd(rng)
    turned = SpecimenConfig(grain_boundary_deg=float(rng.uniform(8, 50)))
    return drawn(rng, material, specimen=turned), material.key


def amorphous(rng: np.random.Generator) -> Drawn:
    """Matter without order, with the rotational mean of a crystal's spectrum."""
    material = tmd(rng)
    return drawn(rng, material, change=lambda ideal, field, optics: without_order(ideal, rng)), material.key


def contamination(rng: np.random.Generator) -> Drawn:
    """Contamination on a support, and no crystal: a tenth of the crystal's signal beneath it."""
    material = tmd(rng)
    field, optics = draw_field(rng, material, SHAPE, pixel_size_A=SIZES_A), draw_optics(rng)
    ideal = ideal_image(field, optics, PERFECT, rng)
    how = draw_degradation(rng, field.pixel_size_A, dose_e_per_A2=DOSES)
    dirt = dataclasses.replace(how.contamination, amount=float(rng.uniform(0.2, DIRT)))
    field_of_dirt = anion_peak(ideal.image.data) * contamination_field(SHAPE, field.pixel_size_A, dirt, rng)
    expected = np.maximum(0.1 * ideal.image.data.mean() + field_of_dirt, 0)
    counts = rng.poisson(expected * how.detector.dose_e_per_A2 * field.pixel_size_A**2).astype(np.float32)
    return dataclasses.replace(ideal.image, data=counts), material.key


def noise(rng: np.random.Generator) -> Drawn:
    """Counts without any structure, 1 to 1000 a pixel."""
    data = rng.poisson(log_uniform(rng, 1, 1000), SHAPE).astype(np.float32)
    return STEMImage(data=data, pixel_size_A=log_uniform(rng, *SIZES_A), name="noise"), tmd(rng).key


def smooth_noise(rng: np.random.Generator) -> Drawn:
    """White noise as a scan's interpolation or a filter leaves it: blurred over a pixel or two."""
    data = gaussian_filter(rng.normal(100, 10, SHAPE), rng.uniform(0.6, 2.5)).astype(np.float32)
    return STEMImage(data=data, pixel_size_A=log_uniform(rng, *SIZES_A), name="noise"), tmd(rng).key


def wrong(key: str) -> Callable[[np.random.Generator], Drawn]:
    """Another crystal, given as WSe2."""
    return lambda rng: (drawn(rng, MATERIALS[key]), "WSe2")


CASES: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "crystal": crystal, "rim and holes": rim, "second layer": island, "two grains": boundary,
    "contamination only": contamination, "amorphous": amorphous, "pure noise": noise, "smooth noise": smooth_noise,
    **{f"{key} as WSe2": wrong(key) for key in WRONG},
}  # fmt: skip


def interval(count: int, area_nm2: float) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson rate per 100 nm² (Garwood 1936, doi:10.1093/biomet/28.3-4.437)."""
    low = 0.0 if count == 0 else chi2.ppf(0.025, 2 * count) / 2
    return 100 * low / area_nm2, 100 * chi2.ppf(0.975, 2 * count + 2) / 2 / area_nm2


def row(name: str, images: int, seed: int, model: Path | None, threshold: float) -> tuple[str, int, float, Counter]:
    """One row of the table, and its count, area and kinds."""
    false, area, refused, stopped, kinds = 0, 0.0, 0, 0, Counter()
    for number in range(images):
        rng = np.random.default_rng([seed, list(CASES).index(name), number])
        image, material = CASES[name](rng)
        (found,) = consume(match_images([image], MatchConfig(material=material)))
        refused += not found.accepted
        area += image.data.size * (image.pixel_size_A / A_PER_NM) ** 2
        try:
            (one,) = consume(detect([image], [found], DetectConfig(threshold=threshold), model=model, device="cpu"))
        except ValueError:
            stopped += 1
            continue
        points = one.points.filter(threshold)
        false += len(points)
        kinds.update(str(d).split("_")[0] for d in points["defect"])
    low, high = interval(false, area)
    text = f"| {name} | {false} | {100 * false / area:.2f} | {low:.2f}–{high:.2f} | {refused} of {images} | {stopped} |"
    return text, false, area, kinds


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--only", default="", help="part of the name of the cases to run")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--threshold", type=float, default=DetectConfig().threshold)
    args = parser.parse_args()
    start = time.perf_counter()
    print("| case | points | per 100 nm² | 95 % | refused | stopped |\n|---|---|---|---|---|---|")
    for name in (n for n in CASES if args.only in n):
        text, count, area, kinds = row(name, args.images, args.seed, args.model, args.threshold)
        mark = " above the bar" if 100 * count / area > BAR else ""
        print(text + mark + (f" {dict(kinds)}" if kinds else ""), flush=True)
    print(f"bar {BAR:g} per 100 nm²; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
