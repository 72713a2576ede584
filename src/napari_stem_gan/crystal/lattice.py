"""LatticeMatch: what Match found on one image, and how a measured lattice splits into rotation and scan distortion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.structure import Sites, fill_field
from napari_stem_gan.crystal.warp import Warp
from napari_stem_gan.image import A_PER_NM


@dataclass(frozen=True, kw_only=True)
class LatticeMatch:
    """What Match found on one image; `accepted` says whether to trust it, `reason` says why.

    Parameters
    ----------
    accepted, reason
        Verdict in words.
    material
        Preset or structure file that was matched (or looked for); with its zone axis reversed where its mirror image
        was found.
    pixel_size_A
        Pixel size from the lattice (root of the pixel's area); the nominal one where nothing was matched.
    nominal_pixel_size_A
        Pixel size of the file or the user, or None.
    rotation_deg
        Angle of the undistorted a1 from +x towards +y; of the crystal's equivalent cells, the one nearest to +x.
    lattice_vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        Position of one cell origin, (y, x), near the image's centre.
    scale_error
        Nominal pixel size over measured, minus 1 (0.03: the file says 3 % too large).
    shear, stretch
        Scan distortion along the slow axis: shift of the lattice along x for each pixel along y, and relative stretch
        of y against x.
    fwhm_A
        Full width at half maximum of the columns in Å.
    contrast
        Brightness of the strongest column over the background, in image units.
    column_ratios
        Measured brightness of each kind of column over the brightest kind, by sublattice.
    goodness
        0 to 1.
    surprise
        How far the reflections stand out together: −ln(chance), see `search`.
    errors
        One standard error of pixel_size_A, rotation_deg, shear, stretch and fwhm_A.
    best_other
        The material that would fit instead, or ''.
    warp
        Displacement field of the lattice, for the sites.
    other_grains
        Lattices of the same material, turned, on other parts of the image.
    """

    accepted: bool
    reason: str
    material: str
    pixel_size_A: float | None
    nominal_pixel_size_A: float | None
    rotation_deg: float = 0.0
    lattice_vectors_px: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))
    origin_px: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    scale_error: float = 0.0
    shear: float = 0.0
    stretch: float = 0.0
    fwhm_A: float = 0.0
    contrast: float = 0.0
    column_ratios: Mapping[str, float] = field(default_factory=dict)
    goodness: float = 0.0
    surprise: float = 0.0
    errors: Mapping[str, float] = field(default_factory=dict)
    best_other: str = ""
    warp: Warp | None = None
    other_grains: tuple[LatticeMatch, ...] = ()

    @property
    def label(self) -> str:
        """Short name of the material for users."""
        crystal = get_material(self.material)
        return crystal.label or crystal.key

    def sites(self, shape: tuple[int, int], *, margin_px: float = 0.0) -> Sites:
        """Column sites on an image of `shape`, displaced with the lattice's warp; each grain where it is strongest.

        Raises
        ------
        ValueError
            If nothing was matched.
        """
        if not self.accepted:
            raise ValueError(f"the image must be matched first: {self.reason}")
        own = self._own_sites(shape, margin_px)
        if not self.other_grains:
            return own
        grains = (self, *self.other_grains)
        parts = []
        for index, grain in enumerate(grains):
            sites = own if grain is self else grain._own_sites(shape, margin_px)
            strength = [_strength(g, sites.positions_px) for g in grains]
            keep = strength[index] >= np.max(strength, axis=0)
            parts.append((sites.positions_px[keep], sites.column[keep]))
        return Sites(own.material, np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts]))

    def _own_sites(self, shape: tuple[int, int], margin_px: float) -> Sites:
        wide = fill_field(
            get_material(self.material), self.lattice_vectors_px, shape,
            origin_px=self.origin_px, margin_px=margin_px + 0.2 * float(np.hypot(*self.lattice_vectors_px[0])),
        )  # fmt: skip
        positions = wide.positions_px
        if self.warp is not None:
            positions = positions + self.warp.at(positions)
        keep = ((positions >= -margin_px) & (positions <= np.array(shape) - 1 + margin_px)).all(1)
        return Sites(wide.material, positions[keep], wide.column[keep])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; lengths in nm where a user reads them."""
        nm = None if self.pixel_size_A is None else self.pixel_size_A / A_PER_NM
        nominal = None if self.nominal_pixel_size_A is None else self.nominal_pixel_size_A / A_PER_NM
        errors = {k.replace("_A", "_nm"): v / A_PER_NM if k.endswith("_A") else v for k, v in self.errors.items()}
        return {
            "accepted": self.accepted,
            "reason": self.reason,
            "material": self.material,
            "pixel_size_nm": nm,
            "nominal_pixel_size_nm": nominal,
            "rotation_deg": self.rotation_deg,
            "lattice_vectors_px": self.lattice_vectors_px.tolist(),
            "origin_px": self.origin_px.tolist(),
            "scale_error": self.scale_error,
            "shear": self.shear,
            "stretch": self.stretch,
            "fwhm_nm": self.fwhm_A / A_PER_NM,
            "contrast": self.contrast,
            "column_ratios": dict(self.column_ratios),
            "goodness": self.goodness,
            "surprise": self.surprise,
            "standard_errors": errors,
            "best_other": self.best_other,
            "other_grains": [grain.to_dict() for grain in self.other_grains],
        }


def _strength(grain: LatticeMatch, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude of a grain's lattice at positions, comparable between grains of one image."""
    if grain.warp is None:
        return np.ones(len(positions_px))
    return grain.warp.crystallinity_at(positions_px) * grain.warp.scale


@dataclass(frozen=True)
class Distortion:
    """A measured lattice against the ideal one.

    Parameters
    ----------
    pixel_size_A
        Root of the pixel's area.
    rotation_deg, shear, stretch
        See `LatticeMatch`.
    largest
        Largest principal strain.
    """

    pixel_size_A: float
    rotation_deg: float
    shear: float
    stretch: float
    largest: float


def distortion(vectors_px: NDArray[np.float64], material: Material) -> Distortion:
    """Split a measured lattice into pixel size, rotation and what the scan does along its slow axis.

    With rows (y, x), ``vectors × pixel size = cell @ rotation @ [[α, s], [0, β]]`` and αβ = 1: the fast axis is
    trusted, drift shears x with y (s) and stretches y against x (α / β).
    """
    size = float(np.sqrt(abs(np.linalg.det(material.cell)) / abs(np.linalg.det(vectors_px))))
    deformation = np.linalg.inv(material.cell) @ vectors_px * size
    turn, scan = np.linalg.qr(deformation)
    signs = np.sign(np.diag(scan))
    turn, scan = turn * signs, scan * signs[:, None]
    if np.linalg.det(turn) < 0:
        return Distortion(size, 0.0, 0.0, 0.0, 1.0)
    largest = float(np.abs(np.linalg.svd(deformation, compute_uv=False) - 1).max())
    rotation = float(np.rad2deg(np.arctan2(turn[1, 0], turn[1, 1])))
    return Distortion(size, rotation, float(scan[0, 1] / scan[0, 0]), float(scan[0, 0] / scan[1, 1] - 1), largest)


def distortion_errors(
    vectors_px: NDArray[np.float64], material: Material, covariance: NDArray[np.float64]
) -> dict[str, float]:
    """Standard errors of `distortion` from the covariance ``(4, 4)`` of the gradient of the lattice's displacement."""
    base = distortion(vectors_px, material)
    names = ("pixel_size_A", "rotation_deg", "shear", "stretch")
    jacobian = np.zeros((4, 4))
    step = 1e-5
    for column in range(4):
        change = np.zeros(4)
        change[column] = step
        moved = distortion(vectors_px @ (np.eye(2) + change.reshape(2, 2)), material)
        jacobian[:, column] = [(getattr(moved, n) - getattr(base, n)) / step for n in names]
    variance = np.diag(jacobian @ covariance @ jacobian.T)
    return {n: float(np.sqrt(max(v, 0.0))) for n, v in zip(names, variance, strict=True)}


def equivalent_cells(vectors_px: NDArray[np.float64], material: Material) -> list[NDArray[np.float64]]:
    """One cell for each way the crystal can lie on a lattice (two for 2H: turned by 60°), a1 nearest to +x each."""
    lattice, own = (np.array(m, float) for m in (material.lattice_rotations, material.rotations))
    left = list(range(len(lattice)))
    cells = []
    while left:
        same = [i for i in left if any(np.array_equal(lattice[i], r @ lattice[left[0]]) for r in own)]
        options = [lattice[i] @ vectors_px for i in same]
        cells.append(min(options, key=_from_x))
        left = [i for i in left if i not in same]
    return cells


def _from_x(vectors_px: NDArray[np.float64]) -> tuple[float, float]:
    """Angle of a1 from +x, ties broken towards −y."""
    return round(abs(float(np.arctan2(vectors_px[0, 0], vectors_px[0, 1]))), 6), -float(vectors_px[0, 0])
