"""Real specimens: strained, rippled and tilted crystals with a grain boundary, an edge and several layers.

Strain multiplies the lattice rows (y, x) by ``1 + ε``, with ε the symmetric tensor in the image's axes. Ripple and tilt
are in `bending`, layers in `stacking`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.bending import bend
from napari_stem_gan.crystal.config import SpecimenConfig
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.stacking import layer_distance_A, layer_materials
from napari_stem_gan.crystal.structure import Sites, fill_field, rotation_matrix

CLOSEST = 0.6
RIM_MODES = 24
RIM_ROUGHNESS = 0.03
SAME_COLUMN_A = 0.05
REACH_A = 6.0


@dataclass(frozen=True)
class Grain:
    """A lattice and the half-plane it fills: ``(r − point) · normal > 0`` if `beyond`, else the rest of the field."""

    vectors_px: NDArray[np.float64]
    origin_px: NDArray[np.float64]
    point_px: NDArray[np.float64]
    normal: NDArray[np.float64]
    beyond: bool

    def holds(self, positions_px: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether positions ``(N, 2)`` belong to the grain."""
        return np.asarray((((positions_px - self.point_px) @ self.normal) > 0) == self.beyond)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        arrays = {"vectors_px": self.vectors_px, "origin_px": self.origin_px, "point_px": self.point_px}
        return {name: value.tolist() for name, value in {**arrays, "normal": self.normal}.items()}


def build_specimen(
    material: Material,
    vectors_px: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    origin_px: tuple[float, float] | NDArray[np.float64],
    pixel_size_A: float,
    config: SpecimenConfig,
    rng: np.random.Generator,
    margin_px: float = 0.0,
) -> Sites:
    """Sites of a real specimen over a field and a margin.

    Parameters
    ----------
    material
        The perfect crystal.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels, before strain.
    shape
        Height and width of the field in pixels.
    origin_px
        The cell's origin, (y, x).
    pixel_size_A
        Pixel size in Å.
    config
        What differs from the perfect crystal.
    rng
        Source of every draw; nothing is drawn for what is switched off.
    margin_px
        How far beyond the field sites are kept.

    Returns
    -------
    Sites
        With layers, heights and lean where there are any; what was drawn is in ``drawn``.

    Raises
    ------
    ValueError
        If the crystal cannot be stacked as asked.
    """
    strained = np.asarray(vectors_px) @ strain_matrix(config)
    grains = _grains(np.asarray(vectors_px), np.asarray(origin_px, float), shape, config, rng)
    wide = margin_px + REACH_A / pixel_size_A + 0.03 * float(np.hypot(*shape)) * bool(config.ripple_A)
    flat = _stacked(material, grains, shape, wide, pixel_size_A, config)
    flat = replace(flat, drawn={"boundary": grains[1].to_dict()} if len(grains) > 1 else {})
    bent = bend(flat, shape, pixel_size_A, config, rng)
    if config.edge:
        bent = _cut(bent, shape, config.edge, rng)
    limit = np.array(shape) - 1 + margin_px
    kept = bent.where(np.asarray(((bent.positions_px >= -margin_px) & (bent.positions_px <= limit)).all(1)))
    area = abs(float(np.linalg.det(strained))) * pixel_size_A**2
    return replace(kept, cell_area_A2=area)


def strain_matrix(config: SpecimenConfig) -> NDArray[np.float64]:
    """``1 + ε`` for rows (y, x)."""
    xx, yy, xy = config.strain_xx_percent, config.strain_yy_percent, config.strain_xy_percent
    return np.eye(2) + np.array([[yy, xy], [xy, xx]]) / 100


def _grains(
    vectors_px: NDArray[np.float64],
    origin_px: NDArray[np.float64],
    shape: tuple[int, int],
    config: SpecimenConfig,
    rng: np.random.Generator,
) -> list[Grain]:
    """One lattice, or two on either side of a random line through the middle part of the field."""
    strained = vectors_px @ strain_matrix(config)
    if not config.grain_boundary_deg:
        return [Grain(strained, origin_px, np.zeros(2), np.zeros(2), False)]
    angle, point = rng.uniform(0, 2 * np.pi), np.array(shape) * rng.uniform(0.35, 0.65, 2)
    normal = np.array([np.sin(angle), np.cos(angle)])
    turned = vectors_px @ rotation_matrix(config.grain_boundary_deg) @ strain_matrix(config)
    origin = point + rng.random(2) @ turned
    return [Grain(strained, origin_px, point, normal, False), Grain(turned, origin, point, normal, True)]


def _stacked(
    material: Material,
    grains: list[Grain],
    shape: tuple[int, int],
    margin_px: float,
    pixel_size_A: float,
    config: SpecimenConfig,
) -> Sites:
    """All layers of all grains, flat; too close neighbours across a boundary are removed."""
    flat = not material.period_A
    count = (config.layers or material.layers) if flat else 1
    distance = layer_distance_A(material) if count > 1 else 0.0
    closest = CLOSEST * material.neighbour_distance_A / pixel_size_A
    layers = []
    for k, layer in enumerate(layer_materials(material, count, config.stacking)):
        parts: list[Sites] = []
        for grain in grains:
            sites = fill_field(layer, grain.vectors_px, shape, origin_px=grain.origin_px, margin_px=margin_px)
            own = sites.where(grain.holds(sites.positions_px))
            parts.append(own.where(_apart(own.positions_px, parts[0].positions_px, closest)) if parts else own)
        layers.append((k, ((count - 1) / 2 - k) * distance, parts))
    every = [part for _, _, parts in layers for part in parts]
    sites = replace(
        every[0],
        material=material,
        repeats=1 if flat else config.layers,
        **{name: _joined(every, name) for name in ("positions_px", "column", "rise_A")},
    )
    if count == 1:
        return sites
    sizes = [sum(map(len, parts)) for _, _, parts in layers]
    return replace(
        sites,
        layer=np.repeat([k for k, _, _ in layers], sizes),
        heights_A=np.repeat([h for _, h, _ in layers], sizes),
        stack=_stack(sites.positions_px, SAME_COLUMN_A / pixel_size_A),
    )


def _joined(parts: list[Sites], name: str) -> Any:
    """One array of several parts, or None."""
    values = [getattr(p, name) for p in parts]
    return None if values[0] is None else np.concatenate(values)


def _apart(
    positions_px: NDArray[np.float64], others_px: NDArray[np.float64], closest_px: float
) -> NDArray[np.bool_]:
    """Whether each position keeps its distance from all others."""
    if not len(others_px) or not len(positions_px):
        return np.ones(len(positions_px), bool)
    return np.asarray(cKDTree(others_px).query(positions_px)[0] >= closest_px)


def _stack(positions_px: NDArray[np.float64], tolerance_px: float) -> NDArray[np.intp]:
    """Number of the projected column that each site belongs to."""
    pairs = cKDTree(positions_px).query_pairs(tolerance_px, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(positions_px),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def _cut(sites: Sites, shape: tuple[int, int], fraction: float, rng: np.random.Generator) -> Sites:
    """Remove the sites beyond a rough rim that leaves `fraction` of the field empty."""
    size = float(np.hypot(*shape))
    angle = rng.uniform(0, 2 * np.pi)
    modes = np.arange(1, RIM_MODES + 1)
    swing = RIM_ROUGHNESS * size * rng.normal(0, 1, RIM_MODES) / modes
    phases = rng.uniform(0, 2 * np.pi, RIM_MODES)

    def beyond(points: NDArray[np.float64]) -> NDArray[np.float64]:
        across = points @ np.array([np.sin(angle), np.cos(angle)])
        along = points @ np.array([np.cos(angle), -np.sin(angle)])
        return np.asarray(across - np.cos(np.pi * modes * along[:, None] / size + phases) @ swing)

    grid = np.stack(np.meshgrid(*(np.linspace(0, n - 1, 200) for n in shape), indexing="ij"), -1).reshape(-1, 2)
    rim = float(np.quantile(beyond(grid), 1 - fraction))
    drawn = {"angle_rad": angle, "swing_px": swing.tolist(), "phases_rad": phases.tolist(), "rim_px": rim}
    return replace(sites.where(beyond(sites.positions_px) <= rim), drawn={**sites.drawn, "edge": drawn})
