"""Are the intervals and bands of the statistics as wide as they say, and what do they see?

    python benchmarks/point_statistics.py [--data ../shared/data] [--draws 200]

Vacancies are drawn on the selenium sites of a WSe2 crystal with a hole (crystal of 1024² pixels of 0.02 nm): how often
the 95 % interval holds the density, the band holds the whole pair correlation of chance, what g is on average, and how
often planted neighbours are seen. Then the vacancies found on the test images of day_d against the true ones.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.detect.area import CrystalArea, crystal_area, grid_regions
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.pair_correlation import PairCorrelation, pair_correlations
from napari_stem_gan.detect.statistics import densities, homogeneity
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.io import read_images
from napari_stem_gan.workflow import consume, crystal_areas, detect, match_images, statistics

SIDE_PX, SIZE_A = 1024, 0.2
NUMBERS = (20, 50, 150)
SHARES = (0.1, 0.2, 0.4)
KIND = "V_Se"
Draw = Callable[[np.random.Generator], np.ndarray]


def crystal() -> CrystalArea:
    """A perfect WSe2 crystal with a hole of an eighth of the image."""
    vectors = lattice_vectors_px(get_material("WSe2"), SIZE_A, 12.0)
    match = LatticeMatch(
        accepted=True, reason="", material="WSe2", pixel_size_A=SIZE_A, nominal_pixel_size_A=SIZE_A,
        lattice_vectors_px=vectors,
    )  # fmt: skip
    area = crystal_area("drawn", 0, (SIDE_PX, SIDE_PX), match)
    keep = np.ones(area.inside.shape, bool)
    keep[300:812, 500:756] = False
    return area.within(keep)


def table(positions: np.ndarray) -> PointTable:
    """Certain selenium vacancies at positions ``(N, 2)``."""
    count = len(positions)
    return PointTable.build(
        image="drawn", frame=0, positions_px=positions, pixel_size_nm=SIZE_A / 10, defects=[KIND] * count,
        sublattices=["Se"] * count, confidence=np.ones(count),
    )  # fmt: skip


def correlation(area: CrystalArea, positions: np.ndarray, config: StatisticsConfig) -> PairCorrelation:
    """Pair correlation of vacancies."""
    *_, found = pair_correlations([area], table(positions), KIND, config, threshold=0.5)
    return found


def with_neighbours(sites: np.ndarray, count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """`count` vacancies; for a `share` of them the partner is on the nearest site."""
    pairs = round(count * share / 2)
    first = rng.choice(len(sites), count - pairs, replace=False)
    beside = cKDTree(sites).query(sites[first[:pairs]], k=2)[1][:, 1]
    return sites[np.unique(np.concatenate([first, beside]))]


def intervals(area: CrystalArea, draws: int) -> None:
    """Coverage of the density's interval, and size of the homogeneity test on the first fifth, for Poisson numbers."""
    sites, rng, config = area.sites_of("Se"), np.random.default_rng(1), StatisticsConfig()
    regions = [grid_regions(area, 3)]
    for mean in NUMBERS:
        held, p = [], []
        for draw in range(draws):
            points = table(sites[rng.choice(len(sites), rng.poisson(mean), replace=False)])
            row = densities([area], points, config, threshold=0.5)[0]
            held.append(row.low_per_nm2 <= mean / area.area_nm2 <= row.high_per_nm2)
            if draw < draws // 5:
                p.append(homogeneity([area], points, KIND, config, threshold=0.5, regions=regions))
        print(f"{mean:4d} vacancies: interval holds the density in {100 * np.mean(held):.1f} %, "
              f"regions called unequal at 5 %: {100 * np.mean(np.array(p) <= 0.05):.1f} %")  # fmt: skip


def bands(area: CrystalArea, draws: int) -> None:
    """Size and power of the band, and the mean of g."""
    sites, rng = area.sites_of("Se"), np.random.default_rng(2)
    for number in NUMBERS:
        start = time.perf_counter()
        found = [
            correlation(area, sites[rng.choice(len(sites), number, replace=False)], StatisticsConfig(simulations=199))
            for _ in range(draws)
        ]
        seconds = (time.perf_counter() - start) / draws
        g = np.mean([f.g for f in found], 0)
        left = np.mean([((f.g < f.low) | (f.g > f.high)).any() for f in found])
        print(f"{number:4d} vacancies by chance: leave the 95 % band in {100 * left:.1f} %; mean g {g.mean():.4f}, "
              f"{g.min():.3f} to {g.max():.3f} over {len(g)} steps; {seconds:.2f} s each")  # fmt: skip
    for share in SHARES:
        seen = np.mean([
            correlation(area, with_neighbours(sites, 50, share, rng), StatisticsConfig(simulations=199)).p_value <= 0.05
            for _ in range(draws // 4)
        ])  # fmt: skip
        print(f"  50 vacancies, {100 * share:.0f} % of them in planted neighbour pairs: seen in {100 * seen:.0f} %")


def found_on_images(data: Path) -> None:
    """Densities of selenium vacancies on day_d against the true ones, on the same crystal."""
    paths = sorted((data / "pseudo" / "day_d").glob("test_*.tif"))
    images = [i for p in paths for i in read_images(p)]
    matches = consume(match_images(images, MatchConfig(material="WSe2")))
    points = PointTable.concat(d.points for d in consume(detect(images, matches, DetectConfig())))
    areas = crystal_areas(images, matches)
    start = time.perf_counter()
    told = consume(statistics(areas, points, StatisticsConfig(), threshold=DetectConfig().threshold))
    print(f"day_d: statistics of {len(areas)} images in {time.perf_counter() - start:.1f} s")
    for path, area in zip(paths, areas, strict=True):
        with path.with_suffix(".truth.csv").open(newline="") as handle:
            rows = [r for r in csv.DictReader(handle) if r["kind"] == "V_X"]
        true = area.contains(np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows])).sum() / area.area_nm2
        d = next(d for d in told.densities if (d.image, d.defect, d.region) == (area.image, KIND, "whole crystal"))
        print(f"  {path.stem}: true {true:.4f} per nm², counted {d.per_nm2:.4f} "
              f"({d.low_per_nm2:.4f} to {d.high_per_nm2:.4f}), expected {d.expected_per_nm2:.4f}")  # fmt: skip
    for pair in told.pairs:
        print(f"  {pair.defect}: {pair.points} points, {pair.verdict}, p = {pair.p_value:.3f}")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    area = crystal()
    print(f"{area.area_nm2:.0f} nm² of crystal, {len(area.sites_of('Se'))} selenium columns")
    intervals(area, 5 * args.draws)
    bands(area, args.draws)
    if args.data.is_dir():
        found_on_images(args.data)


if __name__ == "__main__":
    main()
