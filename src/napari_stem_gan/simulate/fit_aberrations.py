"""The probe from the average cell: source size, low aberrations and the fast-scan smear, all at once.

Each reflection of the average cell is the structure factor times the probe's transfer. All unknowns are fitted
together, with the columns' brightness and the origin free, and their covariance says what the image can tell.

What one image cannot tell: if defocus and two-fold astigmatism both change their sign, nothing changes, as long as no
spherical aberration or another one of even order is there; of both solutions the one nearer to the given probe, or
underfocus, is taken. A weak aberration of even order acts by its square only, so its error is read off the misfit at a
distance, not off the slope. What is told no better than `FITTED` lets expect stays as given.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.probe_problem import (
    COMPONENTS,
    FIRST_COLUMN,
    FITTED,
    PROBE,
    SHARE,
    SHARED,
    SMEARED,
    SOURCE,
    WIDEST_SOURCE_A,
    Cell,
    ProbeProblem,
)

__all__ = ["COMPONENTS", "FITTED", "Cell", "ProbeFit", "fit_probe"]
EVEN = ("C10", "C12")
UNTOLD = 0.6  # of what was known beforehand: the image has told nothing
STRONG = 3.0  # standard errors: beyond them the slope tells the error
SMEAR_GAIN, EVEN_GAIN = 2.0, 4.0  # of the log-likelihood: less is no evidence of a smear, of defocus and astigmatism
Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeFit:
    """Probe and smear of an image.

    Parameters
    ----------
    optics
        With the fitted source size and aberrations.
    smear_px, smear_lorentzian
        Decay of the signal along the fast axis, and the share of its slow part.
    factor, weights
        What the fit multiplies the cell's columns with, ``(G,)``, and their brightness, ``(S,)``.
    errors
        One standard error of ``source_size_fwhm_A``, ``C10``, of each component of ``C12``, ``C21`` and ``C23`` in Å,
        of ``smear_px`` and ``smear_lorentzian``, and of the columns' ``brightness`` relative to it; as large as what
        was known beforehand where the image tells nothing.
    """

    optics: OpticsConfig
    smear_px: float
    smear_lorentzian: float
    factor: Complex
    weights: Float
    errors: dict[str, float]


def fit_probe(cell: Cell, optics: OpticsConfig, known: Collection[str] = ()) -> ProbeFit:
    """Fit source size, aberrations and smear to an average cell.

    Parameters
    ----------
    cell
        The average cell, of half a plane below the band limit.
    optics
        Where the search starts; its source size is replaced.
    known
        Aberrations, of `FITTED`, that are exactly as in `optics`.
    """
    problem = ProbeProblem(cell, optics)
    open_ = np.ones(len(problem.usual), bool)
    open_[PROBE] = [name not in known for name, _ in COMPONENTS]
    starts = (np.where(open_, start, problem.usual) for start in problem.starts())
    best = min((problem.solved(start, open_) for start in starts), key=lambda fit: float(fit.cost))
    problem = problem.with_noise_of(best)
    best = problem.solved(np.where(open_, _preferred(problem, best.x), problem.usual), open_)
    spread = np.where(open_, _errors(problem, best), 0.0)
    free = _told(problem, best, spread) & open_
    if not free.all():
        best = problem.solved(np.where(free, best.x, problem.usual), free)
    return _result(problem, best.x, spread)


def _preferred(problem: ProbeProblem, x: Float) -> Float:
    """Of two solutions that no image tells apart, the one nearer to the given probe, else the underfocused one."""
    others = [n for n, (power, _) in ABERRATIONS.items() if power % 2 == 0 and n not in EVEN]
    if any(getattr(problem.optics, name) for name in others):
        return x
    turned, even = x.copy(), np.array([name in EVEN for name, _ in COMPONENTS])
    turned[PROBE] = np.where(even, -x[PROBE], x[PROBE])
    far, near = (float((((y - problem.usual) / problem.known)[PROBE] ** 2).sum()) for y in (x, turned))
    return turned if near < far - 1e-9 or (near < far + 1e-9 and x[PROBE][0] > 0) else x


def _errors(problem: ProbeProblem, fit: optimize.OptimizeResult) -> Float:
    """One standard error of every unknown; of weak ones that act by their square, off the misfit at a distance."""
    slopes = problem.slopes(fit.x)
    spread = np.sqrt(np.diag(np.linalg.pinv(slopes.T @ slopes)))
    for index in (SMEARED, *range(PROBE.start, PROBE.start + 3)):
        if abs(fit.x[index] - problem.usual[index]) > STRONG * spread[index]:
            continue
        step = min(float(spread[index]), float(problem.known[index]))
        rises = [_rise(problem, fit, index, side * step) for side in (1, -1)]
        rise = float(np.mean([r for r in rises if r is not None]))
        spread[index] = min(step / np.sqrt(2 * max(rise, 0.1)), problem.known[index])
    return spread


def _rise(problem: ProbeProblem, fit: optimize.OptimizeResult, index: int, step: float) -> float | None:
    """How much less likely the best fit is with one unknown beside its place; None beyond its bounds."""
    x, free = fit.x.copy(), np.arange(len(fit.x)) != index
    x[index] += step
    if not problem.low[index] <= x[index] <= problem.high[index]:
        return None
    return float(problem.solved(x, free).cost - fit.cost)


def _told(problem: ProbeProblem, fit: optimize.OptimizeResult, spread: Float) -> NDArray[np.bool_]:
    """Which unknowns the image tells anything of; both components of an aberration together."""
    free = spread < UNTOLD * problem.known
    for name in FITTED:
        mine = [PROBE.start + i for i, (other, _) in enumerate(COMPONENTS) if other == name]
        free[mine] = free[mine].all()
    smear, even = np.arange(len(fit.x)) == SMEARED, np.zeros(len(fit.x), bool)
    even[PROBE] = [name in EVEN for name, _ in COMPONENTS]
    for some, gain in ((smear, SMEAR_GAIN), (even, EVEN_GAIN)):
        without = problem.solved(np.where(some, problem.usual, fit.x), ~some)
        free[some] &= bool(without.cost - fit.cost > gain)
    free[SHARED] &= free[SMEARED]
    return free


def _result(problem: ProbeProblem, x: Float, spread: Float) -> ProbeFit:
    """What was found, as settings of probe and scan."""
    found: dict[str, float] = {"source_size_fwhm_A": float(np.sqrt(max(x[SOURCE], 0.0)))}
    errors: dict[str, float] = {}
    for name in FITTED:
        mine = [i for i, (other, _) in enumerate(COMPONENTS) if other == name]
        value, order = complex(*x[PROBE][mine]), ABERRATIONS[name][1]
        found[name] = abs(value) if order else value.real
        if order:
            found[f"phi{name[1:]}"] = float(np.angle(value) / order)
        errors[name] = float(np.sqrt(np.mean(spread[PROBE][mine] ** 2)))
    size = max(found["source_size_fwhm_A"], float(np.sqrt(spread[SOURCE])) / 2, 1e-6)
    errors["source_size_fwhm_A"] = float(min(spread[SOURCE] / (2 * size), WIDEST_SOURCE_A))
    brightest = FIRST_COLUMN + int(np.abs(x[FIRST_COLUMN:]).argmax())
    errors["brightness"] = float(spread[brightest] / max(abs(x[brightest]), 1e-30))
    errors |= {"smear_px": float(spread[SMEARED]), "smear_lorentzian": float(min(spread[SHARED], SHARE[1]))}
    factor, weights = problem.factor(x)[0], x[FIRST_COLUMN:]
    return ProbeFit(replace(problem.optics, **found), float(x[SMEARED]), float(x[SHARED]), factor, weights, errors)
