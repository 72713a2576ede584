"""Sites of a crystal over a field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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
        Shape ``(N, 2)`` as (y, x), where the site crosses the middle of its layer (of the crystal, if it is bulk).
    column
        Index into ``material.columns``, shape ``(N,)``.
    heights_A
        Height of that middle, positive towards the source, shape ``(N,)``; None: all 0.
    rise_A
        How much higher the column's repeat lies than that of the cell at the origin (``material.rise_A``), shape
        ``(N,)``; None: all 0.
    lean
        How far an atom lies from its site along (y, x) in Å per Å of its height over it, shape ``(N, 2)``; None: 0.
    layer
        Layer of each site, 0 nearest to the source, shape ``(N,)``; None: all in one.
    stack
        Which sites lie over each other in one projected column, shape ``(N,)``; None: each is its own column.
    repeats
        Repeats along the beam of each site; 0: the material's own.
    cell_area_A2
        Area of the projected cell as it is on the image; 0: the material's own.
    drawn
        Every number that was drawn to make the sites.
    """

    material: Material
    positions_px: NDArray[np.float64]
    column: NDArray[np.intp]
    heights_A: NDArray[np.float64] | None = None
    rise_A: NDArray[np.float64] | None = None
    lean: NDArray[np.float64] | None = None
    layer: NDArray[np.intp] | None = None
    stack: NDArray[np.intp] | None = None
    repeats: int = 0
    cell_area_A2: float = 0.0
    drawn: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.column)

    @property
    def thickness_repeats(self) -> int:
        """Repeats along the beam of each site."""
        return self.repeats or self.material.layers

    @property
    def area_A2(self) -> float:
        """Projected area of the crystal in Å², margins included."""
        cell = self.cell_area_A2 or abs(float(np.linalg.det(self.material.cell)))
        layers = 1 if self.layer is None or not len(self) else int(self.layer.max()) + 1
        return cell * len(self) / len(self.material.columns) / layers

    def where(self, keep: NDArray[np.bool_]) -> Sites:
        """Sites for which `keep` (N,) is true, with everything that is known of them."""
        arrays = ("positions_px", "column", "heights_A", "rise_A", "lean", "layer", "stack")
        values = {name: getattr(self, name) for name in arrays}
        return replace(self, **{name: v[keep] for name, v in values.items() if v is not None})


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
    rise = np.repeat(cells @ np.array(material.rise_A), len(basis)) if any(material.rise_A) else None
    return Sites(material, positions[keep], column[keep], rise_A=None if rise is None else rise[keep])
