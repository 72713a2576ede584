"""Whether a strongly distorted lattice of a named material is rather another crystal's, which needs no distortion.

A lattice is only two vectors, and with enough drift those of any crystal become those of any other: Si [110] becomes
a dichalcogenide's where its lattice is pulled by 22 % along one axis. The columns of a cell keep their fractions
whatever drift does, however. So where the named material needs a strong distortion, crystals of the same lattice that
need less of it are laid on it, and the average cell decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.advice import TWIN
from napari_stem_gan.crystal.candidates import Trial
from napari_stem_gan.crystal.cell import average_cell, fit_cell
from napari_stem_gan.crystal.lattice import LatticeMatch, distortion
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.crystal.search import judge
from napari_stem_gan.crystal.sense import misfit
from napari_stem_gan.image import STEMImage

STRONG = 0.05  # largest principal strain: scans drift by a few per cent
LESS = 0.5  # of the named material's distortion: a rival that needs no less explains nothing
CLEARLY = 0.25  # squares for each datum: with 60 data, a likelihood of e^-7


def with_rivals(best: LatticeMatch, trial: Trial) -> LatticeMatch:
    """Refuse a material whose lattice is strongly distorted where another crystal fits better and needs less of that.

    Parameters
    ----------
    best
        The accepted match of the material that the user named.
    trial
        The image on which it was found.

    Returns
    -------
    LatticeMatch
        `best`, or its refusal, with the crystal that fits as `best_other`.
    """
    strain = _strain(best.lattice_vectors_px, get_material(best.material))
    if strain < STRONG:
        return best
    left = _left_over(trial.image, best)
    others = [(_left_over(trial.image, r), r) for r in _laid(best, strain, trial)]
    clearly = [(rest, r) for rest, r in others if left - rest > CLEARLY * max(rest, 1.0)]
    if not clearly:
        return best
    rival = min(clearly, key=lambda one: (round(one[0]), abs(one[1].scale_error)))[1]
    reason = (
        f"{best.label} would fit only with its lattice distorted by {100 * strain:.0f} %, and {rival.label} fits the "
        f"columns better without that; if it is {best.label}, place its lattice by hand"
    )
    return replace(best, accepted=False, reason=reason, best_other=rival.material, pixel_size_A=trial.nominal)


def _laid(best: LatticeMatch, strain: float, trial: Trial) -> Iterable[LatticeMatch]:
    """Presets laid on the lattice that was found, where they can have it with less distortion."""
    for other in MATERIALS.values():
        options = [change @ best.lattice_vectors_px for change in _cells()]
        vectors = min(options, key=lambda option: _strain(option, other))
        if _strain(vectors, other) > LESS * strain:
            continue
        fit = judge(trial.found, other, vectors)
        laid = trial.place(fit, other)
        if laid.accepted and laid.surprise > TWIN * best.surprise:
            yield laid


def _left_over(image: STEMImage, laid: LatticeMatch) -> float:
    """Squares that a crystal leaves of the average cell, in units of the noise, for each datum: 1 is as expected."""
    material, vectors, size = get_material(laid.material), laid.lattice_vectors_px, laid.pixel_size_A or 1.0
    assert laid.warp is not None
    cell = average_cell(image.data, vectors, laid.warp)
    left, count = misfit(cell, material, vectors, size, fit_cell(cell, material, vectors, size))
    return left / count


def _strain(vectors_px: NDArray[np.float64], material: Material) -> float:
    """Largest principal strain of a lattice against the crystal's, apart from its size."""
    return distortion(vectors_px, material).largest


@lru_cache(maxsize=1)
def _cells() -> tuple[NDArray[np.float64], ...]:
    """Changes from one primitive cell to its near equals, of the same hand."""
    every = (np.array(entries, np.float64).reshape(2, 2) for entries in product((-1, 0, 1), repeat=4))
    return tuple(change for change in every if round(float(np.linalg.det(change))) == 1)
