"""Match a crystal to an image: the lattice as a ruler."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.cell import WIDEST_A
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.grains import other_grains
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.crystal.place import place
from napari_stem_gan.crystal.search import LatticeFit, judge, refine, search
from napari_stem_gan.crystal.spectrum import Spectrum, spectrum
from napari_stem_gan.image import A_PER_NM, STEMImage

__all__ = ["LatticeMatch", "indexed_spots", "match", "snap"]

SMALLEST_CELL_PX = 6.0
LARGEST_CELL_PX = 120.0
LEAST_SURPRISE = 20.0  # background alone: below 17 in 320 searches of noise and contamination
LARGEST_UNTOLD = 0.1
TWIN = 0.8
CONFIRMED, WORTH_DOUBT = 0.003, 0.015  # relative errors of a pixel size
WEAK, LARGEST_ERROR = 40.0, 0.004  # a lattice that stands out so little must still be measured so well
PLACED = 3
SNAPPED = 0.3  # of the goodness that Match needs: a lattice that a user placed needs less of it
WIDEST = 0.85  # columns, over the lattice constant


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
    nominal = _nominal(image, config)
    auto = config.material.strip().lower() in ("", "auto")
    wanted = list(MATERIALS.values()) if auto else [get_material(config.material)]
    found = spectrum(image.data)
    results = [_match_one(image, found, m, nominal, config) for m in wanted if not (stop and stop.is_set())]
    best = _best(results) if results else _refused("stopped", wanted[0], nominal)
    if not best.accepted and auto and results and best.surprise < LEAST_SURPRISE:
        return replace(best, reason="no periodic structure of any preset was found; choose the material or a file")
    if not best.accepted:
        return best if auto else _with_advice(best, image, found, config, stop)
    best = replace(best, other_grains=other_grains(image, found, best))
    return _name_twins(best, results) if auto else _with_doubt(best)


def snap(
    image: STEMImage,
    config: MatchConfig,
    *,
    material: str,
    lattice_vectors_px: NDArray[np.float64],
    origin_px: NDArray[np.float64],
) -> LatticeMatch:
    """Refine a lattice that was placed by hand; it may be off by some 5° and 10 %.

    Parameters
    ----------
    image
        The image.
    config
        Tolerances; its material is not used.
    material
        Crystal whose lattice was placed.
    lattice_vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        Position of a cell origin, (y, x); the match takes the equivalent cell that lies nearest.
    """
    crystal, nominal = get_material(material), _nominal(image, config)
    found = spectrum(image.data)
    near = _around(found, _transposed_inverse(lattice_vectors_px))
    fits = [judge(found, crystal, _transposed_inverse(r)) for r in near]
    fits = [f for f in fits if abs(np.linalg.det(f.vectors_px) / np.linalg.det(lattice_vectors_px) - 1) < 0.25]
    fits = [f for f in fits if f.surprise > LEAST_SURPRISE / 2]
    if not fits:
        return _refused("no lattice was found near the one placed by hand", crystal, nominal)
    result = _placed(image, found, max(fits, key=lambda f: f.surprise), crystal, nominal, (0.0, np.inf))
    if not result.accepted:
        return result
    least = SNAPPED * config.min_goodness
    if result.goodness < least:
        reason = f"{crystal.label} does not fit where it was placed (goodness {result.goodness:.2f}, not {least:.2f})"
        return replace(_refused(reason, crystal, nominal), goodness=result.goodness)
    vectors = result.lattice_vectors_px
    moved = result.origin_px + np.rint((np.asarray(origin_px) - result.origin_px) @ np.linalg.inv(vectors)) @ vectors
    return replace(result, origin_px=moved, other_grains=other_grains(image, found, result))


def indexed_spots(found: LatticeMatch, *, highest: int = 4) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Indices (h, k) and frequencies (fy, fx) in cycles per pixel of the lattice's reflections below Nyquist."""
    span = range(-highest, highest + 1)
    hk = np.array([(h, k) for h in span for k in span if (h, k) != (0, 0)])
    frequency = hk @ np.linalg.inv(found.lattice_vectors_px).T
    inside = (np.abs(frequency) < 0.5).all(1)
    return hk[inside], frequency[inside]


def _transposed_inverse(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real lattice to reciprocal lattice and back."""
    return np.asarray(np.linalg.inv(vectors).T, np.float64)


def _nominal(image: STEMImage, config: MatchConfig) -> float | None:
    return image.pixel_size_A if config.pixel_size_nm is None else config.pixel_size_nm * A_PER_NM


def _around(found: Spectrum, reciprocal: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Refinements of a reciprocal lattice from starts turned and scaled a little."""
    starts = []
    for angle in np.deg2rad(np.linspace(-5, 5, 11)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        starts += [reciprocal @ turn * scale for scale in np.linspace(0.9, 1.1, 11)]
    return [refine(found, start) for start in starts]


def _with_advice(
    refused: LatticeMatch, image: STEMImage, found: Spectrum, config: MatchConfig, stop: threading.Event | None
) -> LatticeMatch:
    """Add to a refusal what would fit instead: another material, or another pixel size."""
    nominal = refused.nominal_pixel_size_A
    if nominal is None:
        return refused
    others = [m for m in _likely(found, nominal, config) if m.key != refused.material and not (stop and stop.is_set())]
    better = _best([refused, *(_match_one(image, found, m, nominal, config) for m in others)])
    if better.accepted:
        return replace(refused, best_other=better.material, reason=f"{refused.reason}; {better.material} would fit")
    free = _match_one(image, found, get_material(refused.material), None, config)
    if free.accepted and free.pixel_size_A:
        nm = free.pixel_size_A / A_PER_NM
        advice = f"it would fit at {nm:.5f} nm per pixel: correct the pixel size"
        return replace(refused, reason=f"{refused.reason}; {advice}")
    return refused


def _likely(found: Spectrum, nominal: float, config: MatchConfig) -> list[Material]:
    """The presets whose reflections stand out most, at most three."""
    sizes = nominal * (1 - config.max_scale_error), nominal * (1 + config.max_scale_error)
    tried = [(search(found, m, sizes, candidates=1), m) for m in MATERIALS.values()]
    good = [(fits[0].surprise, m) for fits, m in tried if fits and fits[0].goodness >= config.min_goodness]
    return [m for _, m in sorted(good, key=lambda one: -one[0])[:3]]


def _best(results: list[LatticeMatch]) -> LatticeMatch:
    """The best of several materials: one that leaves reflections out loses to one that has them all."""
    if len(results) > 1:
        results = [_undistorted(r) for r in results]
    enough = 0.85 * max((r.surprise for r in results if r.accepted), default=0.0)
    return max((r for r in results if r.surprise >= enough or not r.accepted), key=_rank)


def _undistorted(result: LatticeMatch) -> LatticeMatch:
    """A strongly sheared lattice is accepted only for a material that the user named."""
    if not result.accepted or abs(result.shear) + abs(result.stretch) < LARGEST_UNTOLD:
        return result
    reason = f"{result.label} would fit only with strong drift; choose the material if it is {result.label}"
    return replace(result, accepted=False, reason=reason, pixel_size_A=result.nominal_pixel_size_A)


def _rank(result: LatticeMatch) -> tuple[bool, float]:
    drift = abs(result.shear) + abs(result.stretch)
    return result.accepted, round(result.goodness * (1 - 2 * min(abs(result.scale_error), 0.3)) / (1 + 4 * drift), 2)


def _with_doubt(best: LatticeMatch) -> LatticeMatch:
    """Name the preset of the same lattice that would need no correction of the pixel size."""
    if abs(best.scale_error) < WORTH_DOUBT:
        return best
    own = get_material(best.material)
    for key, other in MATERIALS.items():
        same = np.allclose(other.cell / other.constant_A, own.cell / own.constant_A, atol=1e-3)
        error = (1 + best.scale_error) * own.constant_A / other.constant_A - 1
        if same and other.family == own.family and abs(error) < CONFIRMED:
            reason = f"{best.reason}; {other.label} would fit the pixel size as given"
            return replace(best, best_other=key, reason=reason)
    return best


def _name_twins(best: LatticeMatch, results: list[LatticeMatch]) -> LatticeMatch:
    """Say which other materials the lattice and its columns cannot tell from the best; without a pixel size, refuse."""
    near = [r for r in results if r.accepted and r.surprise > TWIN * best.surprise and r.material != best.material]
    twins = [r for r in near if _rank(r)[1] > TWIN * _rank(best)[1]]
    if not twins:
        return best
    told = ", ".join(r.label for r in twins)
    if best.nominal_pixel_size_A is None:
        advice = "choose the material or give the pixel size"
        reason = f"without a pixel size {best.label} fits, but so does {told}; {advice}"
        return replace(best, accepted=False, best_other=twins[0].material, reason=reason, pixel_size_A=None)
    return replace(best, best_other=twins[0].material, reason=f"{best.reason}; the lattice alone also fits {told}")


def _match_one(
    image: STEMImage, found: Spectrum, material: Material, nominal: float | None, config: MatchConfig
) -> LatticeMatch:
    """Search, refine, place and judge one material."""
    sizes = _pixel_sizes(image, material, nominal, config.max_scale_error)
    fits = search(found, material, sizes)
    if not fits or fits[0].surprise < LEAST_SURPRISE:
        return _refused(f"no periodic structure that could be {material.label} was found", material, nominal)
    good = [f for f in fits if f.goodness >= config.min_goodness and f.surprise >= LEAST_SURPRISE][:PLACED]
    if good:
        placed = [_placed(image, found, f, material, nominal, sizes) for f in good]
        return max(placed, key=lambda r: (r.accepted, r.surprise))
    fit = max(fits, key=lambda f: f.goodness)
    if fit.goodness >= config.min_goodness:
        return _refused("no periodic structure was found that stands out from the noise", material, nominal)
    reason = (
        f"no {material.label} lattice was found (goodness {fit.goodness:.2f} of {config.min_goodness:.2f} needed: "
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
    image: STEMImage, found: Spectrum, fit: LatticeFit, material: Material, nominal: float | None,
    sizes: tuple[float, float],
) -> LatticeMatch:  # fmt: skip
    """Place a lattice fit on the image and judge it."""
    result = place(image, found, fit, material)
    size = result.pixel_size_A or 0.0
    result = replace(
        result,
        reason=_verdict(material, size, nominal) + result.reason if result.accepted else result.reason,
        nominal_pixel_size_A=nominal,
        scale_error=0.0 if nominal is None else nominal / size - 1,
    )
    doubt = _too_wide(result, material, nominal) or _too_weak(result, size)
    if doubt and result.accepted:
        return replace(result, accepted=False, reason=doubt, pixel_size_A=nominal)
    if not result.accepted:
        return replace(result, pixel_size_A=nominal)
    low, high = sizes
    if low * 0.99 <= size <= high * 1.01:
        return result
    reason = "the lattice found needs a pixel size far from the given one; check the pixel size and the material"
    return replace(result, accepted=False, reason=reason, pixel_size_A=result.nominal_pixel_size_A)


def _too_weak(result: LatticeMatch, size: float) -> str:
    """Why a lattice that hardly stands out from the noise is no ruler, or ''."""
    error = result.errors["pixel_size_A"] / size
    if result.surprise > WEAK or error < LARGEST_ERROR:
        return ""
    return f"a {result.label} lattice is there, but too weak to measure (pixel size ± {100 * error:.1f} %)"


def _too_wide(result: LatticeMatch, material: Material, nominal: float | None) -> str:
    """Why columns cannot be those of the material; only where a guessed pixel size could be a harmonic's."""
    if nominal is not None or result.fwhm_A <= min(WIDEST * material.constant_A, 0.99 * WIDEST_A):
        return ""
    wide = f"its columns would be {result.fwhm_A:.1f} Å wide"
    return f"{wide}, more than {material.label} could show; check the material or give the pixel size"


def _verdict(material: Material, size: float, nominal: float | None) -> str:
    nm = size / A_PER_NM
    if nominal is None:
        return f"{material.label} lattice found; pixel size {nm:.5f} nm taken from the lattice"
    error = 100 * (nominal / size - 1)
    if abs(error) < 100 * CONFIRMED:
        return f"{material.label} lattice found; pixel size {nm:.5f} nm confirmed"
    wrong = f"{abs(error):.1f} % too {'large' if error > 0 else 'small'}"
    return f"{material.label} lattice found; pixel size is {wrong}, {nm:.5f} nm by the lattice"


def _refused(reason: str, material: Material, nominal: float | None) -> LatticeMatch:
    return LatticeMatch(
        accepted=False, reason=reason, material=material.key, pixel_size_A=nominal, nominal_pixel_size_A=nominal
    )
