"""Match a crystal to an image: the lattice as a ruler."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.cell import CellFit, average_cell, fit_cell
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.crystal.search import LatticeFit, search
from napari_stem_gan.crystal.spectrum import Spectrum, spectrum
from napari_stem_gan.crystal.structure import Sites, fill_field
from napari_stem_gan.crystal.warp import Warp, measure_warp
from napari_stem_gan.image import A_PER_NM, STEMImage

SMALLEST_CELL_PX = 6.0
LARGEST_CELL_PX = 120.0
LARGEST_DISTORTION = 0.12
LEAST_CORRELATION = 0.5


@dataclass(frozen=True, kw_only=True)
class LatticeMatch:
    """What Match found on one image; `accepted` says whether to trust it, `reason` says why.

    Parameters
    ----------
    accepted, reason
        Verdict in words.
    material
        Preset that was matched (or looked for).
    pixel_size_A
        Pixel size from the lattice; the nominal one where nothing was matched.
    nominal_pixel_size_A
        Pixel size of the file or the user, or None.
    rotation_deg
        Angle of a1 from +x towards +y, between −60 and 60 (hexagonal) or −45 and 45 (square).
    lattice_vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        Position of one cell origin, (y, x), near the image's centre.
    scale_error
        Nominal pixel size over measured, minus 1 (0.03: the file says 3 % too large).
    shear, stretch
        Scan shear and the relative stretch of y against x, of the matched lattice.
    fwhm_A
        Full width at half maximum of the columns in Å.
    contrast
        Brightness of the strongest column over the background, in image units.
    goodness
        0 to 1.
    best_other
        The material that would fit instead, or ''.
    warp
        Displacement field of the lattice, for the sites.
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
    goodness: float = 0.0
    best_other: str = ""
    warp: Warp | None = None

    def sites(self, shape: tuple[int, int], *, margin_px: float = 0.0) -> Sites:
        """Column sites on an image of `shape`, displaced with the lattice's warp.

        Raises
        ------
        ValueError
            If nothing was matched.
        """
        if not self.accepted:
            raise ValueError(f"the image must be matched first: {self.reason}")
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
            "goodness": self.goodness,
            "best_other": self.best_other,
        }


def match(image: STEMImage, config: MatchConfig, *, stop: threading.Event | None = None) -> LatticeMatch:
    """Find the lattice of a material on an image.

    Parameters
    ----------
    image
        The image; its pixel size is a starting value (`config.pixel_size_nm` goes before it).
    config
        Material, pixel size and tolerances.
    stop
        Looked at between materials.

    Returns
    -------
    LatticeMatch
        With ``accepted=False`` and the reason where no lattice was found; never raises for that.

    Raises
    ------
    UnknownMaterial
        If the material has no preset.
    """
    nominal = image.pixel_size_A if config.pixel_size_nm is None else config.pixel_size_nm * A_PER_NM
    auto = config.material.strip().lower() in ("", "auto")
    wanted = list(MATERIALS.values()) if auto else [get_material(config.material)]
    found = spectrum(image.data)
    results = [_match_one(image, found, m, nominal, config) for m in wanted if not (stop and stop.is_set())]
    best = max(results, key=_rank) if results else _refused("stopped", wanted[0], nominal)
    if best.accepted and auto:
        return _name_twins(best, results)
    return best if best.accepted or auto else _with_advice(best, image, found, config, stop)


def _with_advice(
    refused: LatticeMatch, image: STEMImage, found: Spectrum, config: MatchConfig, stop: threading.Event | None
) -> LatticeMatch:
    """Add to a refusal what would fit instead: another material, or another pixel size."""
    nominal = refused.nominal_pixel_size_A
    others = [m for k, m in MATERIALS.items() if k != refused.material and not (stop and stop.is_set())]
    better = max((_match_one(image, found, m, nominal, config) for m in others), key=_rank, default=refused)
    if better.accepted:
        return replace(refused, best_other=better.material, reason=f"{refused.reason}; {better.material} would fit")
    free = _match_one(image, found, get_material(refused.material), None, config) if nominal is not None else refused
    if free.accepted and free.pixel_size_A:
        nm = free.pixel_size_A / A_PER_NM
        advice = f"it would fit at {nm:.5f} nm per pixel: correct the pixel size"
        return replace(refused, reason=f"{refused.reason}; {advice}")
    return refused


def _rank(result: LatticeMatch) -> tuple[bool, float]:
    return result.accepted, result.goodness * (1 - 2 * min(abs(result.scale_error), 0.3))


def _name_twins(best: LatticeMatch, results: list[LatticeMatch]) -> LatticeMatch:
    """Say which other materials the lattice cannot tell from the best."""
    near = [r for r in results if r.accepted and _rank(r)[1] > 0.8 * _rank(best)[1]]
    twins = [r.material for r in near if r.material != best.material]
    if not twins:
        return best
    return replace(best, best_other=twins[0], reason=f"{best.reason}; the lattice alone also fits {', '.join(twins)}")


def _match_one(
    image: STEMImage, found: Spectrum, material: Material, nominal: float | None, config: MatchConfig
) -> LatticeMatch:
    """Search, refine, place and judge one material."""
    sizes = _pixel_sizes(image, material, nominal, config.max_scale_error)
    fits = search(found, material, sizes)
    if not fits:
        return _refused("no periodic structure was found in the image", material, nominal)
    good = [f for f in fits if f.goodness >= config.min_goodness][:3]
    if good:
        return max((_placed(image, f, material, nominal, sizes) for f in good), key=_rank)
    fit = fits[0]
    reason = (
        f"no {material.key} lattice was found (goodness {fit.goodness:.2f} of {config.min_goodness:.2f} needed: "
        f"{100 * fit.present:.0f} % of its reflections are there, {100 * fit.explained:.0f} % of the peaks fit)"
    )
    return replace(_refused(reason, material, nominal), goodness=fit.goodness)


def _pixel_sizes(
    image: STEMImage, material: Material, nominal: float | None, max_scale_error: float
) -> tuple[float, float]:
    """Range of pixel sizes (Å) to search."""
    if nominal is not None:
        return nominal * (1 - max_scale_error), nominal * (1 + max_scale_error)
    largest = min(LARGEST_CELL_PX, min(image.shape) / 3)
    return material.constant_A / largest, material.constant_A / SMALLEST_CELL_PX


def _placed(
    image: STEMImage, fit: LatticeFit, material: Material, nominal: float | None, sizes: tuple[float, float]
) -> LatticeMatch:
    """Measure warp and average cell, and turn a lattice fit into a match."""
    vectors = fit.vectors_px
    size = float(np.sqrt(abs(np.linalg.det(material.cell)) / abs(np.linalg.det(vectors))))
    warp = measure_warp(image.data, vectors)
    cell = fit_cell(average_cell(image.data, vectors, warp), material, vectors, size)
    origin = cell.origin @ vectors
    vectors = _canonical(-vectors if cell.turned else vectors, material)
    rotation, shear, stretch, distortion = _distortion(vectors, material, size)
    centre = np.array(image.shape) / 2
    origin = origin + np.rint((centre - origin) @ np.linalg.inv(vectors)) @ vectors
    result = LatticeMatch(
        accepted=True,
        reason=_verdict(material, size, nominal),
        material=material.key,
        pixel_size_A=size,
        nominal_pixel_size_A=nominal,
        rotation_deg=rotation,
        lattice_vectors_px=vectors,
        origin_px=origin,
        scale_error=0.0 if nominal is None else nominal / size - 1,
        shear=shear,
        stretch=stretch,
        fwhm_A=cell.fwhm_A,
        contrast=cell.contrast,
        goodness=fit.goodness * max(cell.correlation, 0.0),
        warp=warp,
    )
    return _judged(result, cell, distortion, sizes)


def _judged(result: LatticeMatch, cell: CellFit, distortion: float, sizes: tuple[float, float]) -> LatticeMatch:
    """Refuse a placed lattice that is too distorted or does not look like the crystal."""
    name = result.material
    if distortion > LARGEST_DISTORTION:
        reason = f"the lattice found is {100 * distortion:.0f} % distorted from {name}, which a scan does not do"
    elif result.pixel_size_A is None or not 0.99 * sizes[0] <= result.pixel_size_A <= 1.01 * sizes[1]:
        reason = f"the lattice found would need a pixel size outside the allowed range; check it or the material {name}"
    elif cell.correlation < LEAST_CORRELATION:
        reason = f"a lattice was found but its cell does not look like {name} (correlation {cell.correlation:.2f})"
    else:
        return result
    return replace(result, accepted=False, reason=reason, pixel_size_A=result.nominal_pixel_size_A)


def _verdict(material: Material, size: float, nominal: float | None) -> str:
    nm = size / A_PER_NM
    if nominal is None:
        return f"{material.key} lattice found; pixel size {nm:.5f} nm taken from the lattice"
    error = 100 * (nominal / size - 1)
    if abs(error) < 0.3:
        return f"{material.key} lattice found; pixel size {nm:.5f} nm confirmed"
    wrong = f"{abs(error):.1f} % too {'large' if error > 0 else 'small'}"
    return f"{material.key} lattice found; pixel size is {wrong}, {nm:.5f} nm by the lattice"


def _refused(reason: str, material: Material, nominal: float | None) -> LatticeMatch:
    return LatticeMatch(
        accepted=False, reason=reason, material=material.key, pixel_size_A=nominal, nominal_pixel_size_A=nominal
    )


def _canonical(vectors: NDArray[np.float64], material: Material) -> NDArray[np.float64]:
    """The equivalent cell whose a1 points nearest to +x (turns by 120° keep a 2H crystal, by 90° a square one)."""
    turn = np.array([[0, 1], [-1, 0]]) if material.family == "oxide" else np.array([[-1, 1], [-1, 0]])
    if material.family == "graphene":
        turn = np.array([[0, 1], [-1, 1]])
    options = [vectors]
    for _ in range(5):
        options.append(turn @ options[-1])
    return min(options, key=lambda v: (round(abs(float(np.arctan2(v[0, 0], v[0, 1]))), 6), -v[0, 0]))


def _distortion(
    vectors: NDArray[np.float64], material: Material, size: float
) -> tuple[float, float, float, float]:
    """Rotation in degrees, shear, stretch and largest strain of `vectors` against the ideal cell."""
    deformation = np.linalg.inv(material.cell) @ vectors * size  # row vectors: ideal @ deformation = measured
    left, values, right = np.linalg.svd(deformation)
    turn = left @ right
    strain = right.T @ np.diag(values) @ right
    rotation = float(np.rad2deg(np.arctan2(turn[1, 0], turn[1, 1])))
    worst = float(np.abs(values - 1).max()) if np.linalg.det(turn) > 0 else 1.0
    return rotation, float(2 * strain[0, 1]), float(strain[0, 0] - strain[1, 1]), worst
