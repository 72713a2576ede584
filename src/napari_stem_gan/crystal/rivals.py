"""Whether the lattice of a named material is rather another crystal's, which fits better and is less distorted.

A lattice is only two vectors, and with enough drift those of any crystal become those of any other: Si [110] becomes
a dichalcogenide's where its lattice is pulled by 22 % along one axis, and that of CeO2 [110] as it is. The columns of a
cell keep their fractions whatever drift does, however. So crystals that have the lattice with no more distortion, and
their columns elsewhere, are laid on it, and the average cell decides. Where the named lattice leaves half of the
spectrum out, a crystal with another lattice that does not is preferred in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.advice import TWIN, best_of
from napari_stem_gan.crystal.candidates import Trial, try_materials
from napari_stem_gan.crystal.cell import fit_cell
from napari_stem_gan.crystal.handedness import both_hands
from napari_stem_gan.crystal.lattice import LatticeMatch, distortion
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.crystal.search import judge
from napari_stem_gan.crystal.sense import misfit

STRONG = 0.05  # largest principal strain: scans drift by a few per cent
NO_MORE = 0.005  # strain beyond the named material's: a rival that needs more of it explains nothing
LESS = 0.5  # of a strong distortion: a rival that needs so little of it has only to fit as well
TWICE = 1.0  # of the squares that a rival leaves of each datum; with 60 data, a likelihood of e^-30
POOR, PART = 0.5, 0.5  # goodness of a lattice that leaves peaks out; share of a rival's surprise that it then reaches


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
    rival = _by_columns(best, strain, trial) or _by_reflections(best, trial)
    if rival is None:
        return best
    fault = f"would fit only with its lattice distorted by {100 * strain:.0f} %" if strain >= STRONG else "fits poorly"
    reason = (
        f"{best.label} {fault}, and {rival.label} fits better{' without that' if strain >= STRONG else ''}; "
        f"if it is {best.label}, place its lattice by hand"
    )
    return replace(best, accepted=False, reason=reason, best_other=rival.material, pixel_size_A=trial.nominal)


def _by_columns(best: LatticeMatch, strain: float, trial: Trial) -> LatticeMatch | None:
    """The crystal of the same lattice that leaves clearly less of the average cell."""
    others = [(_left_over(trial, r), r) for r in _laid(best, strain, trial)]
    if not others:
        return None
    left = _left_over(trial, best)
    better = [(rest, r) for rest, r in others if left - rest > _needed(r, strain) * max(rest, 1.0)]
    return min(better, key=lambda one: (round(one[0]), abs(one[1].scale_error)))[1] if better else None


def _needed(rival: LatticeMatch, strain: float) -> float:
    """By how much a rival has to fit better, as a share of what it leaves."""
    own = _strain(rival.lattice_vectors_px, get_material(rival.material))
    return 0.0 if strain >= STRONG and own < LESS * strain else TWICE


def _by_reflections(best: LatticeMatch, trial: Trial) -> LatticeMatch | None:
    """The crystal whose other lattice has most of what a poor fit leaves out of the spectrum."""
    if best.goodness > POOR:
        return None
    own = {m.key for m in both_hands(get_material(best.material))}
    others = [m for m in MATERIALS.values() if m.key not in own]
    found = try_materials(trial, others, told=False, least_surprise=best.surprise / PART)
    more = [r for r in found if r.accepted]
    return best_of(more) if more else None


def _laid(best: LatticeMatch, strain: float, trial: Trial) -> Iterable[LatticeMatch]:
    """Presets laid on the lattice that was found, where they can have it and differ in where their columns lie."""
    for other in MATERIALS.values():
        if alike(other, get_material(best.material)):
            continue
        options = [change @ best.lattice_vectors_px for change in _cells()]
        vectors = min(options, key=lambda option: _strain(option, other))
        if _strain(vectors, other) > strain + NO_MORE:
            continue
        fit = judge(trial.found, other, vectors)
        laid = trial.place(fit, other)
        if laid.accepted and laid.surprise > TWIN * best.surprise:
            yield laid


def alike(one: Material, other: Material) -> bool:
    """Whether two crystals differ only in size and elements, as the dichalcogenides do."""
    if len(one.columns) != len(other.columns):
        return False
    first, second = (np.array([c.fraction for c in m.columns]) for m in (one, other))
    cells = np.allclose(one.cell / one.constant_A, other.cell / other.constant_A, atol=1e-2)
    return cells and np.allclose(first, second, atol=1e-2)


def _left_over(trial: Trial, laid: LatticeMatch) -> float:
    """Squares that a crystal leaves of the average cell, in units of the noise, for each datum: 1 is as expected."""
    material, vectors, size = get_material(laid.material), laid.lattice_vectors_px, laid.pixel_size_A or 1.0
    cell = trial.average_cell(laid)
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
