"""Where defects of one kind can be: what a random arrangement is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from napari_stem_gan.detect.area import CrystalArea

FloatArray = NDArray[np.float64]
COARSE_CELLS = 256  # per side of the grid whose autocorrelation tells which distances fit on the crystal
SITES, ANYWHERE = "lattice sites", "anywhere on the crystal"


class Places(Protocol):
    """Where defects of one kind can be on one image."""

    def shares(self, edges_nm: FloatArray) -> FloatArray:
        """Chance that two random defects lie in each step of distance, shape ``(B,)``."""

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Random arrangement, shape ``(count, 2)`` in nm."""

    def own(self, positions_nm: FloatArray) -> FloatArray:
        """Positions of defects, as such an arrangement has them."""


@dataclass(frozen=True)
class OnSites:
    """The sites of a sublattice, shape ``(M, 2)`` in nm."""

    sites_nm: FloatArray

    def shares(self, edges_nm: FloatArray) -> FloatArray:
        """See `Places`."""
        tree, count = cKDTree(self.sites_nm), len(self.sites_nm)
        ordered = np.asarray(tree.count_neighbors(tree, edges_nm), float)  # each pair twice, each site with itself
        return np.asarray(np.diff(ordered) / max(count * (count - 1), 1))

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """See `Places`."""
        return np.asarray(self.sites_nm[rng.choice(len(self.sites_nm), count, replace=False, shuffle=False)])

    def own(self, positions_nm: FloatArray) -> FloatArray:
        """Take the nearest site of each; two defects of a kind on one site are one."""
        if not len(positions_nm):
            return positions_nm
        return np.asarray(self.sites_nm[np.unique(cKDTree(self.sites_nm).query(positions_nm)[1])])


@dataclass(frozen=True)
class Anywhere:
    """Every place on the crystal."""

    area: CrystalArea

    def shares(self, edges_nm: FloatArray) -> FloatArray:
        """See `Places`: area of each ring, times the share of shifts of that length that stay on the crystal."""
        shift_nm, common_nm2 = _common_area(self.area, float(edges_nm[-1]))
        middle = (edges_nm[1:] + edges_nm[:-1]) / 2
        ring = np.pi * np.diff(edges_nm**2)
        return np.asarray(ring * np.interp(middle, shift_nm, common_nm2) / self.area.area_nm2**2)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """See `Places`."""
        found = np.zeros((0, 2))
        while len(found) < count:
            tried = rng.random((2 * count + 8, 2)) * self.area.shape - 0.5
            found = np.concatenate([found, tried[self.area.contains(tried)]])
        return found[:count] * self.area.pixel_size_nm

    def own(self, positions_nm: FloatArray) -> FloatArray:
        """See `Places`."""
        return positions_nm


def _common_area(area: CrystalArea, longest_nm: float) -> tuple[FloatArray, FloatArray]:
    """Area in nm² common to the crystal and itself after a shift, by length of the shift, mean over directions."""
    blocks = [max(1, -(-n // COARSE_CELLS)) for n in area.inside.shape]
    padded = np.pad(area.inside.astype(float), [(0, -n % b) for n, b in zip(area.inside.shape, blocks, strict=True)])
    rows, cols = (n // b for n, b in zip(padded.shape, blocks, strict=True))
    share = padded.reshape(rows, blocks[0], cols, blocks[1]).mean((1, 3))
    side = area.cell_px * blocks * area.pixel_size_nm
    size = [fft.next_fast_len(2 * n, real=True) for n in share.shape]
    common = fft.irfft2(np.abs(fft.rfft2(share, size)) ** 2, size) * side.prod()
    lag = [fft.fftfreq(n, 1 / n) * s for n, s in zip(size, side, strict=True)]
    length = np.hypot(lag[0][:, None], lag[1][None])
    step = float(side.max())
    index = np.minimum((length / step + 0.5).astype(int), int(longest_nm / step) + 2)
    number = np.bincount(index.ravel())
    mean = [np.bincount(index.ravel(), weights=v.ravel())[:-1] / number[:-1] for v in (length, common)]
    return mean[0], mean[1]
