"""Two real MoS2 images that overlap: which defects are found in both?

    OMP_NUM_THREADS=2 python benchmarks/real_overlap.py [--data ../shared/data] [--threshold 0.5] [--out overlap.png]

Nobody knows the truth of these images, but what is really there must be found twice. Each image is matched and searched
alone. The second is laid on the first: its lattice on the other's exactly, and among all whole-cell shifts that leave a
tenth of the sites in common the one where the brightness of the sites agrees best. A row is a place that is found in
either image, with the surest candidate there in each of them, below the threshold too. The picture shows the common
part of both images in the first one's frame, each with its own points.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_stem_gan import workflow
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.registration import Placing
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images
from napari_stem_gan.report.charts import beside
from napari_stem_gan.report.overlay import draw_overlay

FILES = ("SciLink/MoS2_stem_Exp-001-5.npy", "SciLink/MoS2_stem_Exp-002-5.npy")
HALF, SLOW = 0.5, 2.0  # of a column's width; of the lattice vector: what is slower is no defect
LEAST_SHARE, LEAST_SITES = 0.1, 9
SAME_PLACE = 0.45  # of the distance of nearest columns
SHOWN_SIGMA_PX = 1.5


@dataclass(frozen=True)
class Overlap:
    """How the second image lies on the first, how well their sites agree there, and how well at the next best shift.

    Significance: standard deviations of the correlation above the median of all shifts.
    """

    placings: tuple[Placing, Placing]
    correlation: float
    significance: float
    next_significance: float
    share: float


def lay(images: list[STEMImage], matches: list[LatticeMatch]) -> Overlap:
    """Find the whole-cell shift at which the brightness of the sites agrees best."""
    one, two = matches
    linear = np.linalg.inv(two.lattice_vectors_px) @ one.lattice_vectors_px
    maps = [site_map(*each) for each in zip(images, matches, strict=True)]
    told = np.array([(*shift, *_agreement(*_common_cells(maps, shift))) for shift in _steps(maps[0].shape[1] // 2)])
    told = told[told[:, 3] >= LEAST_SHARE * np.isfinite(maps[0]).sum()]  # (S, 4): two steps, correlation, sites
    score = np.arctanh(told[:, 2]) * np.sqrt(told[:, 3] - 3)
    score = (score - np.median(score)) / (1.4826 * np.median(np.abs(score - np.median(score))))
    best, following = np.argsort(-score)[:2]
    shift = one.origin_px - two.origin_px @ linear + told[best, :2] @ one.lattice_vectors_px
    placings = Placing(np.eye(2), np.zeros(2), one.warp), Placing(linear, shift, two.warp)
    share = told[best, 3] / np.isfinite(maps[0]).sum()
    return Overlap(placings, float(told[best, 2]), float(score[best]), float(score[following]), float(share))


def site_map(image: STEMImage, match: LatticeMatch) -> NDArray[np.float64]:
    """Brightness of every site by column and cell, ``(columns, cells, cells)``, NaN outside the image.

    Each sublattice has median 0 and a robust standard deviation of 1; a slow background is taken away.
    """
    smooth, slow = (gaussian_filter(image.data.astype(float), width) for width in _widths(match))
    sites = match.sites(image.shape)
    inside = ((sites.positions_px >= 0) & (sites.positions_px <= np.array(image.shape) - 1)).all(1)
    flat = sites.positions_px - (0 if match.warp is None else match.warp.at(sites.positions_px))
    place = (flat - match.origin_px) @ np.linalg.inv(match.lattice_vectors_px)
    reach = int(np.abs(place).max()) + 2
    cells = np.full((sites.column.max() + 1, 2 * reach + 1, 2 * reach + 1), np.nan)
    for column, layer in enumerate(cells):
        own = np.flatnonzero(inside & (sites.column == column))
        value = map_coordinates(smooth - slow, sites.positions_px[own].T, order=1)
        value -= np.median(value)
        turn = np.exp(2j * np.pi * place[own]).mean(0)  # of the column's place in the cell, whose own is -1/4 to 3/4
        index = np.rint(place[own] - (np.angle(turn) / (2 * np.pi) + 0.25) % 1 + 0.25).astype(int) + reach
        layer[tuple(index.T)] = value / (1.4826 * np.median(np.abs(value)))
    return cells


def _widths(match: LatticeMatch) -> tuple[float, float]:
    """Standard deviations in pixels: half of a column's, and that of the slow background."""
    column_px = match.fwhm_A / 2.355 / (match.pixel_size_A or 1.0)
    return HALF * column_px, SLOW * float(np.linalg.norm(match.lattice_vectors_px[0]))


def _steps(reach: int) -> NDArray[np.intp]:
    return np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)


def _common_cells(maps: list[NDArray[np.float64]], shift: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Brightness of the sites that both images hold if the second is moved by some cells, twice ``(K,)``."""
    middles = [np.array(one.shape[1:]) // 2 for one in maps]
    low = np.maximum(-middles[0], -middles[1] + shift)
    high = np.minimum(middles[0], middles[1] + shift)
    if (high < low).any():
        return [np.zeros(0)] * 2
    starts, ends = np.array([low, low - shift]) + middles, np.array([high, high - shift]) + middles
    parts = [
        one[:, a[0] : b[0] + 1, a[1] : b[1] + 1]
        for one, a, b in zip(maps, starts, ends, strict=True)
    ]
    both = np.isfinite(parts[0]) & np.isfinite(parts[1])
    return [part[both] for part in parts]


def _agreement(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[float, int]:
    """Correlation, and of how many sites."""
    return (float(np.corrcoef(here, there)[0, 1]) if len(here) > LEAST_SITES else 0.0), len(here)


def _grid(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels from `low` to `high`, shape ``(Y, X, 2)``."""
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(float)


def common(table: PointTable, images: list[STEMImage], overlap: Overlap, own: int, rim_px: float) -> PointTable:
    """Points of image `own` in the first image's flat frame, those only that lie well inside both images."""
    places = overlap.placings[own].to_reference(table.positions_px)
    inside = np.ones(len(table), bool)
    for image, placing in zip(images, overlap.placings, strict=True):
        at = placing.from_reference(places)
        inside &= ((at >= rim_px) & (at <= np.array(image.shape) - 1 - rim_px)).all(1)
    moved = PointTable({**table.columns, "y_px": places[:, 0], "x_px": places[:, 1]})
    return moved.where(inside)


def rows(tables: list[PointTable], threshold: float, same_px: float) -> list[str]:
    """One line of the table for each place with a point above the threshold in either image."""
    lines, seen = [], np.zeros(len(tables[1]), bool)
    for one in np.argsort(-tables[0]["confidence"]):
        if tables[0]["confidence"][one] >= threshold:
            other = _there(tables[1], tables[0].positions_px[one], same_px)
            seen[[] if other is None else other] = True
            lines.append(_row(tables, (int(one), other), threshold))
    for two in np.argsort(-tables[1]["confidence"]):
        if tables[1]["confidence"][two] >= threshold and not seen[two]:
            lines.append(_row(tables, (_there(tables[0], tables[1].positions_px[two], same_px), int(two)), threshold))
    return lines


def _there(table: PointTable, place: NDArray[np.float64], same_px: float) -> int | None:
    """The surest candidate at a place."""
    near = np.flatnonzero(np.hypot(*(table.positions_px - place).T) <= same_px)
    return int(near[table["confidence"][near].argmax()]) if len(near) else None


def _row(tables: list[PointTable], indices: tuple[int | None, int | None], threshold: float) -> str:
    cells, found = [], []
    for table, index in zip(tables, indices, strict=True):
        sure = index is not None and table["confidence"][index] >= threshold
        found.append(sure)
        cells.append("no candidate" if index is None else _told(table, index) + ("" if sure else ", below threshold"))
    place = next(t.positions_px[i] for t, i in zip(tables, indices, strict=True) if i is not None)
    verdict = "both" if all(found) else "first only" if found[0] else "second only"
    return f"| {place[0]:.0f}, {place[1]:.0f} | {cells[0]} | {cells[1]} | {verdict} |"


def _told(table: PointTable, index: int) -> str:
    score, ratio, z = (float(table[name][index]) for name in ("network_score", "intensity_ratio", "z_score"))
    return f"{table['defect'][index]} {table['confidence'][index]:.2f} (net {score:.2f}, × {ratio:.2f}, z {z:.1f})"


def draw(
    images: list[STEMImage], overlap: Overlap, tables: list[PointTable], threshold: float, size_nm: float
) -> Image.Image:
    """The common part of both images side by side, in the first one's flat frame."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (np.array(images[1].shape) - 1)
    moved = overlap.placings[1].to_reference(corners.astype(float))
    low = np.maximum(np.ceil(moved.min(0)), 0)
    high = np.minimum(np.floor(moved.max(0)), np.array(images[0].shape) - 1)
    grid = _grid(low, high)
    panels = []
    for image, placing, table in zip(images, overlap.placings, tables, strict=True):
        smooth = gaussian_filter(image.data.astype(float), SHOWN_SIGMA_PX)
        at = placing.from_reference(grid.reshape(-1, 2)).T
        part = map_coordinates(smooth, at, order=1, mode="nearest").reshape(grid.shape[:2])
        shown = table.filter(threshold)
        crop = STEMImage(data=part.astype(np.float32), name=image.name)
        panels.append(draw_overlay(crop, shown.positions_px - low, list(shown["defect"]), pixel_size_nm=size_nm))
    return beside(panels, 2)


def main() -> None:
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threshold", type=float, default=DetectConfig().threshold)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    start = time.perf_counter()
    images = [image for name in FILES for image in read_images(options.data / "real" / name)]
    matches = workflow.consume(workflow.match_images(images, MatchConfig(material="MoS2")))
    found = workflow.consume(workflow.detect(images, matches, DetectConfig(threshold=options.threshold)))
    overlap = lay(images, matches)
    neighbour_px = get_material(matches[0].material).neighbour_distance_A / matches[0].pixel_size_A
    tables = [common(one.points, images, overlap, own, neighbour_px) for own, one in enumerate(found)]
    print(f"shift (y, x) {np.round(overlap.placings[1].shift_px, 1).tolist()} px, {overlap.share:.0%} in common; sites "
          f"correlate by {overlap.correlation:.2f}, {overlap.significance:.1f} standard deviations above other shifts "
          f"(next best: {overlap.next_significance:.1f})\n")  # fmt: skip
    told = rows(tables, options.threshold, SAME_PLACE * neighbour_px)
    print(f"| y, x in {images[0].name}, px | {images[0].name} | {images[1].name} | found in |\n|---|---|---|---|")
    print("\n".join(told))
    verdicts = ("both", "first only", "second only")
    counts = ", ".join(f"{sum(line.endswith(f'| {name} |') for line in told)} {name}" for name in verdicts)
    print(f"\nplaces found at threshold {options.threshold:.2f}: {counts}; {time.perf_counter() - start:.0f} s")
    if options.out is not None:
        size_nm = matches[0].pixel_size_A / 10
        draw(images, overlap, tables, options.threshold, size_nm).save(options.out)


if __name__ == "__main__":
    main()
