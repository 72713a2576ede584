"""Match a crystal to an image: the lattice as a ruler."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.advice import HOPELESS, best_of, refused, with_doubt, with_hand, with_sizes, with_twins
from napari_stem_gan.crystal.candidates import LEAST_SURPRISE, Trial, try_materials
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.grains import other_grains
from napari_stem_gan.crystal.handedness import both_hands
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.crystal.rivals import with_rivals
from napari_stem_gan.crystal.search import judge, refine
from napari_stem_gan.crystal.spectrum import Spectrum, spectrum
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.prepare import prepare

__all__ = ["LatticeMatch", "indexed_spots", "match", "snap"]

CLEAR = 0.7  # goodness of a crystal that leaves too little of the spectrum for another to fit far better
SNAPPED = 0.3  # of the goodness that Match needs: a lattice that a user placed needs less of it
LEAST_AREA_PX2 = 1.0
LARGEST_CHANGE = 0.25  # of the cell's area, from where it was placed


def match(image: STEMImage, config: MatchConfig, *, stop: threading.Event | None = None) -> LatticeMatch:
    """Find the lattice of a material on an image.

    Parameters
    ----------
    image
        The image; its pixel size is a starting value (`config.pixel_size_nm` goes before it).
    config
        Material, pixel size and tolerances.
    stop
        Looked at between lattices.

    Returns
    -------
    LatticeMatch
        Its material is the one asked for, or its mirror image (the same crystal along the reversed zone axis) where
        that fits better. With ``accepted=False`` and the reason where no lattice was found; never raises for that.

    Raises
    ------
    UnknownMaterial
        If the material has no preset.
    """
    image = prepare(image).image
    trial = Trial(image, spectrum(image.data), _nominal(image, config), config)
    auto = config.material.strip().lower() in ("", "auto")
    wanted = tuple(MATERIALS.values()) if auto else both_hands(get_material(config.material))
    results = try_materials(trial, wanted, told=not auto, stop=stop)
    if not results:
        return refused("stopped", wanted[0], trial.nominal)
    best = best_of(results)
    if auto:
        best = _at_its_size(best, trial, wanted, stop)
    if not best.accepted:
        return best if auto else _with_advice(results, trial, wanted, stop)
    named = with_twins(best, results) if auto else with_doubt(with_hand(best, results, wanted[0]))
    best = named if auto else with_rivals(named, trial)
    return replace(best, other_grains=other_grains(image, trial.found, best)) if best.accepted else best


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

    Raises
    ------
    ValueError
        If the vectors do not span the plane.
    """
    crystal = get_material(material)
    _check_cell(lattice_vectors_px)
    image = prepare(image).image
    trial = Trial(image, spectrum(image.data), _nominal(image, config), config)
    found, nominal = trial.found, trial.nominal
    near = _around(found, _transposed_inverse(lattice_vectors_px))
    near = [r for r in near if abs(np.linalg.det(lattice_vectors_px @ r.T) - 1) < LARGEST_CHANGE]
    fits = [(hand, judge(found, hand, _transposed_inverse(r))) for hand in both_hands(crystal) for r in near]
    best = {h.key: (f, h) for h, f in sorted(fits, key=lambda one: one[1].surprise) if f.surprise > LEAST_SURPRISE / 2}
    if not best:
        return refused("no lattice was found near the one placed by hand", crystal, nominal)
    results = [trial.place(fit, hand, any_size=True) for fit, hand in best.values()]
    result = best_of(results)
    if not result.accepted:
        return result
    result = with_hand(result, results, crystal)
    least = SNAPPED * config.min_goodness
    if result.goodness < least:
        reason = f"{crystal.label} does not fit where it was placed (goodness {result.goodness:.2f}, not {least:.2f})"
        return replace(refused(reason, crystal, nominal), goodness=result.goodness)
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


def _check_cell(vectors_px: NDArray[np.float64]) -> None:
    rule = "lattice vectors must be two directions that span the image, in pixels"
    if np.shape(vectors_px) != (2, 2) or not np.isfinite(vectors_px).all():
        raise ValueError(f"{rule}, got {np.asarray(vectors_px).tolist()}; place the lattice again")
    if abs(np.linalg.det(vectors_px)) < LEAST_AREA_PX2:
        raise ValueError(f"{rule}, got {np.asarray(vectors_px).round(3).tolist()}; place the lattice again")


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


def _at_its_size(
    best: LatticeMatch, trial: Trial, presets: tuple[Material, ...], stop: threading.Event | None
) -> LatticeMatch:
    """The choice among all presets; refused where they fit far better at another pixel size, which is named."""
    best = best if best.accepted else _unknown(best)
    if trial.nominal is None or (best.accepted and best.goodness >= CLEAR):
        return best
    return with_sizes(best, try_materials(replace(trial, nominal=None), presets, told=False, stop=stop))


def _unknown(best: LatticeMatch) -> LatticeMatch:
    """The refusal of every preset."""
    if best.surprise >= LEAST_SURPRISE:
        return best
    told = "" if best.nominal_pixel_size_A is None else f" at {best.nominal_pixel_size_A / A_PER_NM:.4g} nm per pixel"
    advice = "choose the material or a file" + (", and check the pixel size" if told else "")
    return replace(best, reason=f"no periodic structure of any preset was found{told}; {advice}")


def _with_advice(
    results: list[LatticeMatch], trial: Trial, asked: tuple[Material, ...], stop: threading.Event | None
) -> LatticeMatch:
    """Add to a refusal what would fit instead: another material, or another pixel size."""
    rejected = next((r for r in results if r.material == asked[0].key), results[0])
    if trial.nominal is None:
        return rejected
    own = {m.key for m in asked}
    others = try_materials(trial, [m for m in MATERIALS.values() if m.key not in own], told=False, stop=stop)
    better = best_of([rejected, *others])
    free = best_of([rejected, *try_materials(replace(trial, nominal=None), asked, told=True, stop=stop)])
    if better.accepted and not (free.accepted and better.surprise < HOPELESS * free.surprise):
        return replace(rejected, best_other=better.material, reason=f"{rejected.reason}; {better.material} would fit")
    if free.accepted and free.pixel_size_A:
        advice = f"it would fit at {free.pixel_size_A / A_PER_NM:.5f} nm per pixel: correct the pixel size"
        return replace(rejected, reason=f"{rejected.reason}; {advice}")
    return rejected
