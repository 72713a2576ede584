"""What Match says: verdicts, refusals, twins, and what would fit instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers

from napari_stem_gan.crystal.cell import WIDEST_A, CellFit
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.lattice_fit import LARGEST_DISTORTION
from napari_stem_gan.crystal.materials import MATERIALS, Material, get_material
from napari_stem_gan.image import A_PER_NM

LARGEST_UNTOLD = 0.1
TWIN, WORSE = 0.8, 0.85
HOPELESS = TWIN * WORSE  # of the surprise of an accepted lattice: less is neither the best nor its twin
CONFIRMED, WORTH_DOUBT = 0.003, 0.015  # relative errors of a pixel size
WEAK, LARGEST_ERROR = 40.0, 0.004  # a lattice that stands out so little must still be measured so well
WIDEST = 0.85  # columns, over the lattice constant
SAME_HAND = 0.02  # goodness between a crystal and its mirror image
CROSS_SECTIONS = (  # of B, C, N, O, Si, S, Ti, Ga, As, Se, Sr, Mo, Te, Ce, W, Au: Z and 1e-3 Å²
    (5, 6, 7, 8, 14, 16, 22, 31, 33, 34, 38, 42, 52, 58, 74, 79),
    (0.47, 0.66, 0.91, 1.19, 3.36, 4.13, 7.06, 13.02, 14.27, 14.87, 17.16, 19.44, 26.10, 30.39, 39.71, 41.85),
)
EXPONENT_SPREAD = 0.12
FITTING = 0.3  # of the best value: what fits worse does not say how many reflections there are
STACKED, RATIO_SPREAD, THICK_SPREAD = 1.15, 0.2, 0.5  # thick columns saturate
FAINT = 0.1
LEAST_CORRELATION = 0.5
COMMON_STRAIN, SHEARED_CORRELATION = 0.03, 0.85  # a strongly sheared cell must look right
LARGEST_MISFIT = 0.9  # |ln| of a column ratio: another material
FAR = "the lattice found needs a pixel size far from the given one; check the pixel size and the material"


def refused(reason: str, material: Material, nominal: float | None) -> LatticeMatch:
    """A match that was not made."""
    return LatticeMatch(
        accepted=False, reason=reason, material=material.key, pixel_size_A=nominal, nominal_pixel_size_A=nominal
    )


def verdict(material: Material, size_A: float, nominal_A: float | None) -> str:
    """What a lattice says about the pixel size."""
    nm = size_A / A_PER_NM
    if nominal_A is None:
        return f"{material.label} lattice found; pixel size {nm:.5f} nm taken from the lattice"
    error = 100 * (nominal_A / size_A - 1)
    if abs(error) < 100 * CONFIRMED:
        return f"{material.label} lattice found; pixel size {nm:.5f} nm confirmed"
    wrong = f"{abs(error):.1f} % too {'large' if error > 0 else 'small'}"
    return f"{material.label} lattice found; pixel size is {wrong}, {nm:.5f} nm by the lattice"


def doubt(result: LatticeMatch, material: Material, within: bool) -> str:
    """Why a lattice on which the crystal lies is no ruler, or ''; `within`: its pixel size is one that may be."""
    return _too_wide(result, material) or _too_weak(result) or ("" if within else FAR)


def unlike(cell: CellFit, material: Material, largest: float) -> str:
    """Why the average cell on a lattice distorted by `largest` cannot be the crystal's, or ''."""
    if largest > LARGEST_DISTORTION:
        return f"the lattice found is distorted by {100 * largest:.0f} %, which no drift explains; check the material"
    if cell.correlation < (SHEARED_CORRELATION if largest > COMMON_STRAIN else LEAST_CORRELATION):
        return "the average cell does not look like the material; check the material"
    if cell.misfit > LARGEST_MISFIT:
        told = ", ".join(f"{name} {value:.2f}" for name, value in cell.brightness.items())
        return f"the columns are not as bright as those of {material.label} ({told}); check the material"
    return ""


def _too_weak(result: LatticeMatch) -> str:
    error = result.errors["pixel_size_A"] / (result.pixel_size_A or 1.0)
    if result.surprise > WEAK or error < LARGEST_ERROR:
        return ""
    return f"a {result.label} lattice is there, but too weak to measure (pixel size ± {100 * error:.1f} %)"


def _too_wide(result: LatticeMatch, material: Material) -> str:
    """Columns that cannot be those of the material; only where a guessed pixel size could be a harmonic's."""
    given = result.nominal_pixel_size_A is not None
    if given or result.fwhm_A <= min(WIDEST * material.constant_A, 0.99 * WIDEST_A):
        return ""
    wide = f"its columns would be {result.fwhm_A:.1f} Å wide"
    return f"{wide}, more than {material.label} could show; check the material or give the pixel size"


def undistorted(result: LatticeMatch) -> LatticeMatch:
    """A strongly sheared lattice is accepted only for a material that the user named."""
    if not result.accepted or abs(result.shear) + abs(result.stretch) < LARGEST_UNTOLD:
        return result
    reason = f"{result.label} would fit only with strong drift; choose the material if it is {result.label}"
    return replace(result, accepted=False, reason=reason, pixel_size_A=result.nominal_pixel_size_A)


def best_of(results: Sequence[LatticeMatch]) -> LatticeMatch:
    """The best of several materials: one that leaves reflections out loses to one that has them all."""
    fitting = FITTING * max((_value(r) for r in results if r.accepted), default=0.0)
    enough = WORSE * max((r.surprise for r in results if r.accepted and _value(r) >= fitting), default=0.0)
    return max((r for r in results if r.surprise >= enough or not r.accepted), key=_choice)


def _choice(result: LatticeMatch) -> tuple[bool, float, float]:
    """Sorts matches: by how well lattice, columns and pixel size fit, then by how little the pixel size is wrong."""
    return result.accepted, round(_value(result), 2), -abs(result.scale_error)


def _value(result: LatticeMatch) -> float:
    """How well lattice, columns and pixel size fit."""
    return _rank(result) * _likeness(result)


def _rank(result: LatticeMatch) -> float:
    """Goodness of a match, less for drift and for a wrong pixel size."""
    drift = abs(result.shear) + abs(result.stretch)
    return round(result.goodness * (1 - 2 * min(abs(result.scale_error), 0.3)) / (1 + 4 * drift), 2)


def _likeness(result: LatticeMatch) -> float:
    """How likely the measured ratios of bright columns are for the material, 1 where they are as expected.

    Brightness is expected as the cross-sections for 63 to 200 mrad at 80 kV (SCIENCE 2.4; other angles and energies
    change exponents of Z by some 0.12), that of two atoms on top of each other 1.15 times their sum.
    """
    if len(result.column_ratios) < 2:
        return 1.0
    material = get_material(result.material)
    columns = {c.sublattice: c.atoms for c in material.columns}
    expected = {name: _brightness(atoms) for name, atoms in columns.items()}
    brightest = max(expected, key=lambda name: expected[name])
    tension = 0.0
    for name, value in expected.items():
        if name == brightest or value < FAINT * expected[brightest]:
            continue
        numbers = [atomic_numbers[columns[n][0]] for n in (name, brightest)]
        own = THICK_SPREAD if material.period_A else RATIO_SPREAD
        spread = np.hypot(own, EXPONENT_SPREAD * np.log(numbers[0] / numbers[1]))
        safe = [max(result.column_ratios.get(n, 0.0), 1e-3) for n in (name, brightest)]
        off = np.log(safe[0] / safe[1]) - np.log(value / expected[brightest])
        tension = max(tension, abs(float(off / spread)))
    return 1 / (1 + 0.5 * tension**2)


def _brightness(atoms: tuple[str, ...]) -> float:
    stacked = STACKED if len(atoms) > 1 else 1.0
    numbers = np.log([atomic_numbers[a] for a in atoms])
    return float(stacked * np.exp(np.interp(numbers, *np.log(CROSS_SECTIONS))).sum())


def with_doubt(best: LatticeMatch) -> LatticeMatch:
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


def with_twins(best: LatticeMatch, results: Sequence[LatticeMatch]) -> LatticeMatch:
    """Say which other materials the lattice and its columns cannot tell from the best; without a pixel size, refuse."""
    near = [r for r in results if r.accepted and r.surprise > TWIN * best.surprise and r.material != best.material]
    twins = [r for r in near if _rank(r) > TWIN * _rank(best)]
    if not twins:
        return best
    told = ", ".join(r.label for r in twins)
    if best.nominal_pixel_size_A is None:
        advice = "choose the material or give the pixel size"
        verb = "does" if len(twins) == 1 else "do"
        reason = f"without a pixel size {best.label} fits, but so {verb} {told}; {advice}"
        return replace(best, accepted=False, best_other=twins[0].material, reason=reason, pixel_size_A=None)
    return replace(best, best_other=twins[0].material, reason=f"{best.reason}; the lattice alone also fits {told}")


def with_sizes(best: LatticeMatch, free: Sequence[LatticeMatch]) -> LatticeMatch:
    """Name crystals that fit at other pixel sizes where none fits at the given one, or far less of the spectrum.

    Parameters
    ----------
    best
        The best match at the given pixel size, accepted or not.
    free
        The same crystals tried without a pixel size.
    """
    most = max((r.surprise for r in free if r.accepted), default=0.0)
    if not most or (best.accepted and best.surprise >= HOPELESS * most):
        return best
    fitting = sorted((r for r in free if r.accepted and r.surprise >= WORSE * most), key=_value, reverse=True)
    near = [r for r in fitting if _value(r) >= TWIN * _value(fitting[0])]
    told = ", ".join(f"{r.label} ({(r.pixel_size_A or 0.0) / A_PER_NM:.5f} nm)" for r in near)
    why = f"{best.label} leaves most of the spectrum unexplained" if best.accepted else best.reason.partition("; ")[0]
    reason = f"{why}; at another pixel size {told} would fit: correct the pixel size or choose the material"
    return replace(best, accepted=False, reason=reason, pixel_size_A=best.nominal_pixel_size_A)


def with_hand(best: LatticeMatch, results: Sequence[LatticeMatch], asked: Material) -> LatticeMatch:
    """Say which of a crystal and its mirror image was found, where they differ; the one asked for if both fit alike."""
    alike = [r for r in results if r.accepted and abs(r.goodness - best.goodness) < SAME_HAND]
    if len(alike) > 1:
        own = next((r for r in alike if r.material == asked.key), best)
        told = "; its mirror image fits as well, so which side faces the beam is not certain"
        return replace(own, reason=own.reason + told)
    if best.material == asked.key:
        return best
    axis = get_material(best.material).zone_axis
    told = f"; it is the mirror image of {asked.label}: its other side faces the beam, {axis}"
    return replace(best, reason=best.reason + told)
