"""Where defects were looked for: the crystal on an image, its area and its sites, whole or by region."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.image import A_PER_NM

MOST_CELLS = 1024  # per side of the grid on which areas are summed: one pixel up to this, parts of a per mille beyond
LEAST_SHARE = 0.02  # of a region: what has less crystal than this is left out
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class CrystalArea:
    """The part of one image on which defects can be found.

    Parameters
    ----------
    image, frame
        As in the table of points.
    shape
        Height and width of the image in pixels.
    pixel_size_nm
        From the lattice, or the image's own where none was found.
    inside
        Which cells of a regular grid over the image are crystal, shape ``(rows, cols)``.
    sites_px
        Lattice sites on the crystal, shape ``(M, 2)`` as (y, x); none without a lattice.
    sublattices
        Sublattice of each site, shape ``(M,)``.
    """

    image: str
    frame: int
    shape: tuple[int, int]
    pixel_size_nm: float
    inside: NDArray[np.bool_]
    sites_px: NDArray[np.float64]
    sublattices: NDArray[np.str_]

    @property
    def cell_px(self) -> NDArray[np.float64]:
        """Height and width of a cell of the grid in pixels."""
        return np.array(self.shape, float) / self.inside.shape

    @property
    def cell_nm2(self) -> float:
        """Area of a cell of the grid."""
        return float(np.prod(self.cell_px)) * self.pixel_size_nm**2

    @property
    def area_nm2(self) -> float:
        """Area of the crystal."""
        return int(self.inside.sum()) * self.cell_nm2

    def contains(self, positions_px: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which positions ``(N, 2)`` lie on the crystal; pixel centres are at integers."""
        cell = np.floor((np.asarray(positions_px, float) + 0.5) / self.cell_px).astype(int)
        known = ((cell >= 0) & (cell < self.inside.shape)).all(1)
        row, col = np.clip(cell, 0, np.array(self.inside.shape) - 1).T
        return np.asarray(known & self.inside[row, col])

    def sites_of(self, sublattice: str) -> NDArray[np.float64]:
        """Sites of one sublattice, shape ``(M, 2)`` in pixels."""
        return self.sites_px[self.sublattices == sublattice]

    def within(self, part: NDArray[np.bool_]) -> CrystalArea:
        """What of the crystal lies in a part of the grid, ``(rows, cols)``."""
        smaller = replace(self, inside=self.inside & part)
        keep = smaller.contains(self.sites_px)
        return replace(smaller, sites_px=self.sites_px[keep], sublattices=self.sublattices[keep])


@dataclass(frozen=True)
class Region:
    """A named part of an image: which cells of the grid of its `CrystalArea` belong to it.

    Parameters
    ----------
    name
        What it is called.
    first
        Row and column of the first cell of a box around it.
    part
        Which cells of that box belong to it, shape ``(h, w)``; the rest of the grid would only cost memory.
    """

    name: str
    first: tuple[int, int]
    part: NDArray[np.bool_]

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which cells of the whole grid, of `shape`, belong to it."""
        whole = np.zeros(shape, bool)
        whole[self._box] = self.part
        return whole

    def share(self, inside: NDArray[np.bool_]) -> float:
        """Share of its cells that are crystal; 0 where it has no cell."""
        return float((inside[self._box] & self.part).sum() / max(int(self.part.sum()), 1))

    @property
    def _box(self) -> tuple[slice, slice]:
        (row, col), (height, width) = self.first, self.part.shape
        return slice(row, row + height), slice(col, col + width)


def crystal_area(
    image: str, frame: int, shape: tuple[int, int], match: LatticeMatch, pixel_size_nm: float | None = None
) -> CrystalArea:
    """Where the finder looks for defects.

    Parameters
    ----------
    image, frame, shape
        Name, index in its stack and size in pixels of the image.
    match
        Its lattice; where none was accepted nobody knows where the crystal ends, and the whole image counts: the
        density is then a lower limit.
    pixel_size_nm
        Used where the lattice gave none.

    Raises
    ------
    ValueError
        If nobody knows the pixel size.
    """
    size = pixel_size_nm if match.pixel_size_A is None else match.pixel_size_A / A_PER_NM
    if size is None or not size > 0:
        raise ValueError(f"pixel size of '{image}' must be known for densities, got {size}; match the image first")
    rows, cols = (min(n, MOST_CELLS) for n in shape)
    whole = CrystalArea(
        image, frame, shape, size, np.ones((rows, cols), bool), np.zeros((0, 2)), np.zeros(0, dtype=str)
    )
    if not match.accepted:
        return whole
    sites = match.sites(shape)
    names = np.array([c.sublattice for c in sites.material.columns], dtype=str)[sites.column]
    return replace(whole, sites_px=sites.positions_px, sublattices=names).within(_searched(match, shape, whole))


def _searched(match: LatticeMatch, shape: tuple[int, int], whole: CrystalArea) -> NDArray[np.bool_]:
    """Cells that are crystalline enough; for crystals that are judged by lattice evidence, without the rim."""
    from napari_stem_gan.detect.points import LEAST_CRYSTALLINITY  # below it no point is reported; imports torch

    material = get_material(match.material)
    y, x = ((np.arange(n) + 0.5) * side - 0.5 for n, side in zip(whole.inside.shape, whole.cell_px, strict=True))
    found = whole.inside
    if match.warp is not None:
        found = match.warp.over(y, x)[1] >= LEAST_CRYSTALLINITY
    if material.family != "tmd":
        rim = material.neighbour_distance_A / A_PER_NM / whole.pixel_size_nm
        off = [(rim <= at) & (at <= n - 1 - rim) for at, n in zip((y, x), shape, strict=True)]
        found = found & off[0][:, None] & off[1][None]
    return np.asarray(found)


def grid_regions(area: CrystalArea, count: int) -> list[Region]:
    """`count` by `count` equal parts of the image, named A1 (top left), A2 … B1 …; those without crystal left out."""
    if count < 2:
        return []
    rows, cols = (np.arange(count + 1) * n // count for n in area.inside.shape)
    parts = [
        Region(f"{LETTERS[i]}{j + 1}", (int(rows[i]), int(cols[j])), np.ones((height, width), bool))
        for i, height in enumerate(np.diff(rows))
        for j, width in enumerate(np.diff(cols))
    ]
    return [one for one in parts if one.share(area.inside) >= LEAST_SHARE]


def polygon_region(area: CrystalArea, name: str, corners_px: NDArray[np.float64]) -> Region:
    """The inside of a polygon with corners ``(K, 2)`` as (y, x) in pixels; K ≥ 3."""
    cells = (np.asarray(corners_px, float) + 0.5) / area.cell_px - 0.5
    row, col = polygon(cells[:, 0], cells[:, 1], area.inside.shape)
    if not len(row):
        return Region(name, (0, 0), np.zeros((0, 0), bool))
    first = int(row.min()), int(col.min())
    part = np.zeros((int(row.max()) - first[0] + 1, int(col.max()) - first[1] + 1), bool)
    part[row - first[0], col - first[1]] = True
    return Region(name, first, part)
