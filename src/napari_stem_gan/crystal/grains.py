"""Other grains on the same image: the same crystal under the same scan, turned; each gives its own lattice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.handedness import both_hands
from napari_stem_gan.crystal.lattice import Distortion, LatticeMatch, distortion
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.place import place
from napari_stem_gan.crystal.search import LARGEST_DISTORTION, SURE, LatticeFit, capped, refine, reflections
from napari_stem_gan.crystal.spectrum import Spectrum
from napari_stem_gan.crystal.structure import rotation_matrix
from napari_stem_gan.image import STEMImage

ANGLE_STEP_DEG = 0.25
LEAST_TURN_DEG = 1.5
MOST_GRAINS = 4
LEAST_SEEN = 0.6  # share of the strong reflections that must be there again
LEAST_SURPRISE = 30.0
LEAST_AREA = 0.05
LEAST_OWN = 3  # reflections that no other grain has
LEAST_CORRELATION = 0.7
SAME_BINS = 3.0
LARGEST_CHANGE = 0.03  # of the pixel size, which is the scan's and the same for all grains


def other_grains(image: STEMImage, found: Spectrum, main: LatticeMatch) -> tuple[LatticeMatch, ...]:
    """Find turned lattices of the matched crystal, and of its mirror image where that is another.

    Parameters
    ----------
    image
        The image.
    found
        Its spectrum.
    main
        The accepted match; its pixel size and scan distortion hold for the other grains too.

    Returns
    -------
    tuple of LatticeMatch
        Strongest first; empty for a single crystal.
    """
    hands = both_hands(get_material(main.material))
    grains: list[LatticeMatch] = []
    while len(grains) < MOST_GRAINS - 1:
        known = [main, *grains]
        next_ones = [_next_grain(image, found, known, hand) for hand in hands]
        standing = [g for g in next_ones if g is not None and _stands(image, g, known)]
        if not standing:
            break
        grains.append(max(standing, key=lambda g: g.goodness))
    return tuple(grains)


def _next_grain(
    image: STEMImage, found: Spectrum, known: list[LatticeMatch], material: Material
) -> LatticeMatch | None:
    """The turned lattice whose own reflections stand out most, with the crystal of one hand laid on it."""
    vectors = _next_lattice(found, known, material)
    if vectors is None:
        return None
    grain = place(image, found, LatticeFit(vectors, 0.0, 1.0, 1.0), material)
    return replace(grain, nominal_pixel_size_A=known[0].nominal_pixel_size_A, reason=f"grain {len(known) + 1}")


def _next_lattice(
    found: Spectrum, known: list[LatticeMatch], material: Material
) -> NDArray[np.float64] | None:
    """The turned lattice of `material` whose own reflections stand out most, or None."""
    main = known[0]
    hk = _strong(found, main)
    if material.key != main.material:  # the mirror image has its cell elsewhere
        hk = reflections(material)[0]
    angles = _angles(known, material)
    if len(hk) < 2 or not len(angles):
        return None
    trials = np.array([_turned(main, material, angle) for angle in angles])  # (A, 2, 2)
    worth = _worth(found, known, hk, trials)
    best = trials[int(worth.argmax())]
    if worth.max() < LEAST_SURPRISE:
        return None
    vectors = np.asarray(np.linalg.inv(refine(found, np.linalg.inv(best).T)).T, np.float64)
    if not _alike(distortion(vectors, material), distortion(best, material)):
        return None  # pulled onto peaks that are not the crystal's
    return vectors if _worth(found, known, hk, vectors[None])[0] >= LEAST_SURPRISE else None


def _worth(
    found: Spectrum, known: list[LatticeMatch], hk: NDArray[np.float64], lattices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Surprise of the reflections that lattices ``(A, 2, 2)`` have for themselves; 0 where few of them are there."""
    frequency = hk @ np.linalg.inv(lattices).transpose(0, 2, 1)  # (A, N, 2)
    own = ~_shared(frequency, known, found)
    surprise = found.surprise(found.highest(frequency, 2)) * own
    seen = ((surprise > SURE) & own).sum(1) / np.maximum(own.sum(1), 1)
    worth = (capped(surprise) - 3.0 * own).sum(1) * (own.sum(1) >= LEAST_OWN) * (seen >= LEAST_SEEN)
    return np.asarray(worth, np.float64)


def _alike(refined: Distortion, trial: Distortion) -> bool:
    """Whether a refined lattice still is the crystal under the pixel size of the scan, and no more than strained."""
    return abs(refined.pixel_size_A / trial.pixel_size_A - 1) < LARGEST_CHANGE and refined.largest < LARGEST_DISTORTION


def _strong(found: Spectrum, main: LatticeMatch) -> NDArray[np.float64]:
    """Low reflections of the main grain that are sure."""
    hk, _ = reflections(get_material(main.material))
    return hk[found.surprise(found.highest(hk @ np.linalg.inv(main.lattice_vectors_px).T, 1)) > SURE]


def _angles(known: list[LatticeMatch], material: Material) -> NDArray[np.float64]:
    """Rotations of the lattice that are not those of a known grain."""
    return _apart(np.arange(0, 360 / len(material.lattice_rotations), ANGLE_STEP_DEG), known, material)


def _apart(angles: NDArray[np.float64], known: list[LatticeMatch], material: Material) -> NDArray[np.float64]:
    """Those angles at which no known grain of the same hand lies."""
    turn = 360 / len(material.lattice_rotations)
    for grain in (g for g in known if g.material == material.key):
        away = (angles - grain.rotation_deg + turn / 2) % turn - turn / 2
        angles = angles[np.abs(away) > LEAST_TURN_DEG]
    return angles


def _turned(main: LatticeMatch, material: Material, rotation_deg: float) -> NDArray[np.float64]:
    """Lattice of the crystal turned otherwise, under the pixel size and scan distortion of `main`."""
    own = get_material(main.material).cell @ rotation_matrix(main.rotation_deg)
    scan = np.linalg.inv(own) @ main.lattice_vectors_px
    return np.asarray(material.cell @ rotation_matrix(rotation_deg) @ scan)


def _shared(
    frequency: NDArray[np.float64], known: list[LatticeMatch], found: Spectrum
) -> NDArray[np.bool_]:
    """Whether a frequency ``(..., 2)`` lies on a reflection of a known grain."""
    shared = np.zeros(frequency.shape[:-1], bool)
    for grain in known:
        reciprocal = np.linalg.inv(grain.lattice_vectors_px).T
        index = np.rint(frequency @ np.linalg.inv(reciprocal))
        shared |= np.hypot(*np.moveaxis((frequency - index @ reciprocal) / found.bin, -1, 0)) < SAME_BINS
    return shared


def _stands(image: STEMImage, grain: LatticeMatch, known: list[LatticeMatch]) -> bool:
    """Whether a grain looks like the crystal and is the strongest somewhere."""
    if not grain.accepted or grain.goodness < LEAST_CORRELATION:
        return False
    if not len(_apart(np.array([grain.rotation_deg]), known, get_material(grain.material))):
        return False  # the streaks of a known grain
    rows, cols = (np.linspace(0, n - 1, 24) for n in image.shape)
    strength = [g.warp.over(rows, cols)[1] * g.warp.scale for g in (*known, grain) if g.warp is not None]
    return bool((np.argmax(strength, axis=0) == len(strength) - 1).mean() > LEAST_AREA)
