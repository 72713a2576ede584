"""Sites of a crystal over a field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material


@dataclass(frozen=True)
class Sites:
    """Column sites of a perfect crystal on an image.

    Parameters
    ----------
    material
        The crystal.
    positions_px
        Shape ``(N, 2)`` as (y, x).
    column
        Index into ``material.columns``, shape ``(N,)``.
    """

    material: Material
    positions_px: NDArray[np.float64]
    column: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.column)


def rotation_matrix(angle_deg: float) -> NDArray[np.float64]:
    """Matrix that turns row vectors (y, x) by `angle_deg` from +x towards +y."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s], [s, c]])


def lattice_vectors_px(
    material: Material, pixel_size_A: float, rotation_deg: float, strain: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Rows a1 and a2 as (y, x) in pixels, turned by `rotation_deg` and then multiplied by `strain` (2, 2)."""
    vectors = material.cell @ rotation_matrix(rotation_deg) / pixel_size_A
    return vectors if strain is None else vectors @ strain


def fill_field(
    material: Material,
    vectors_px: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    origin_px: tuple[float, float] | NDArray[np.float64] = (0.0, 0.0),
    margin_px: float = 0.0,
) -> Sites:
    """Every column site in the field and a margin around it.

    Parameters
    ----------
    material
        The crystal.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    shape
        Height and width of the field in pixels.
    origin_px
        Position of the cell's origin, (y, x).
    margin_px
        How far beyond the field sites are kept.
    """
    corners = np.array([(y, x) for y in (-margin_px, shape[0] + margin_px) for x in (-margin_px, shape[1] + margin_px)])
    fractions = (corners - np.asarray(origin_px)) @ np.linalg.inv(vectors_px)
    low, high = np.floor(fractions.min(0)).astype(int) - 1, np.ceil(fractions.max(0)).astype(int) + 1
    i, j = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
    cells = np.stack([i.ravel(), j.ravel()], 1).astype(float)  # (cells, 2)
    basis = np.array([c.fraction for c in material.columns])
    all_fractions = (cells[:, None] + basis[None]).reshape(-1, 2)
    positions = all_fractions @ vectors_px + np.asarray(origin_px)
    column = np.tile(np.arange(len(basis)), len(cells))
    limit = np.array(shape) - 1 + margin_px
    keep = ((positions >= -margin_px) & (positions <= limit)).all(1)
    return Sites(material, positions[keep], column[keep])
