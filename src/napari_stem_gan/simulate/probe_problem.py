"""The least-squares problem of `fit_aberrations`: reflections of an average cell against a probe and a smear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from napari_stem_gan.degrade.fast_scan import KERNEL_PX
from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.overlap import overlap
from napari_stem_gan.simulate.probe import band_limit

FITTED = {"C10": 50.0, "C12": 25.0, "C21": 600.0, "C23": 600.0}  # Å, how large they may well be
COMPONENTS = [(name, part) for name in FITTED for part in ("ab" if ABERRATIONS[name][1] else "a")]
SMEAR, SHARE = (0.0, 1.5), (0.5, 0.3)  # what is known of smear (px) and Lorentzian share: mean and spread
LONGEST_SMEAR_PX, WIDEST_SOURCE_A = 6.0, 2.6
DEFOCI_A = {-40.0: 1, -15.0: 2, 0.0: 3}  # to start from, with how many astigmatisms each
SMEARS_PX = (0.3, 1.3)
ASTIGMATISMS_A, ANGLES = (5.0, 12.0), np.arange(6) * np.pi / 3  # half of the angles' steps in focus: signs are alike
SOURCES_A = (0.3, 0.55, 0.75, 0.95, 1.2, 1.6, 2.2)
HIGHEST = 0.97  # of the band limit: beyond it the transfer is all but 0
STEP, MOST_STEPS = 1e-3, 30
ORIGIN, SOURCE, SMEARED, SHARED, PROBE = slice(0, 2), 2, 3, 4, slice(5, 5 + len(COMPONENTS))
FIRST_COLUMN = PROBE.stop
Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """The average cell and what is known of it.

    Parameters
    ----------
    data
        Measured reflections ``(G,)``.
    error
        One standard error of each, ``(G,)``.
    columns
        Those of each sublattice with the probe that the search starts from, ``(G, S)``, with all blur that is known.
    frequency_per_A, frequency_per_px, indices
        Spatial frequency (y, x) and Miller indices, ``(G, 2)`` each.
    """

    data: Complex
    error: Float
    columns: Complex
    frequency_per_A: Float
    frequency_per_px: Float
    indices: Float

    def below(self, optics: OpticsConfig) -> Cell:
        """Reflections of a half plane, up to the band limit."""
        h, k = self.indices.T
        keep = ((h > 0) | ((h == 0) & (k > 0))) & (np.hypot(*self.frequency_per_A.T) < HIGHEST * band_limit(optics))
        return Cell(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def decay_transfer(length_px: float, lorentzian: float, frequency_per_px: Float) -> Complex:
    """What a decay along the fast axis, its mean delay taken out, does to frequencies along x; see `smear`."""
    distance = np.arange(KERNEL_PX) / max(length_px, 1e-3)
    slow, fast = 1 / (1 + distance**2), np.exp(-distance)
    kernel = lorentzian * slow / slow.sum() + (1 - lorentzian) * fast / fast.sum()
    at = np.arange(len(kernel))
    return np.asarray(np.exp(-2j * np.pi * frequency_per_px[:, None] * (at - kernel @ at)) @ kernel)


class ProbeProblem:
    """Least squares of an average cell and of what is known beforehand.

    The unknowns: origin in cells (2), squared source size, smear and its Lorentzian share, components of aberrations,
    and the brightness of each sublattice.
    """

    def __init__(self, cell: Cell, optics: OpticsConfig, noise: float = 1.0) -> None:
        self.cell, self.optics, self.noise = cell, optics, noise
        self.overlap = overlap(optics, cell.frequency_per_A, COMPONENTS)
        self.decay = -((np.pi * np.hypot(*cell.frequency_per_A.T)) ** 2) / (4 * np.log(2))
        given = {name: getattr(optics, name) * np.exp(1j * _turn(optics, name)) for name in FITTED}
        self.given = np.array([given[n].real if part == "a" else given[n].imag for n, part in COMPONENTS])
        self.start_transfer = self.overlap.transfer(self.given)[0]
        known, columns = np.array([FITTED[name] for name, _ in COMPONENTS]), np.ones(cell.columns.shape[1])
        self.usual = np.r_[0.0, 0.0, 0.0, SMEAR[0], SHARE[0], self.given, columns]
        self.known = np.r_[np.full(3, np.inf), SMEAR[1], SHARE[1], known, np.inf * columns]  # spread beforehand
        self.low = np.r_[-0.5, -0.5, 0.0, 0.0, 0.0, -20 * known, -np.inf * columns]
        self.high = np.r_[0.5, 0.5, WIDEST_SOURCE_A**2, LONGEST_SMEAR_PX, 1.0, 20 * known, np.inf * columns]
        self.last: tuple[bytes, tuple[Complex, Complex, Complex]] | None = None
        self.scale = np.r_[0.02, 0.02, 0.3, 0.5, 0.3, 0.3 * known, columns]

    def starts(self) -> list[Float]:
        """Unknowns to start from: of many probes the best of each defocus, with source size and brightness as fits."""
        found = []
        for defocus, wanted in DEFOCI_A.items():
            trials = []
            angles = [(size, a if defocus else a / 2) for size in ASTIGMATISMS_A for a in ANGLES]
            for size, angle in [(0.0, 0.0), *angles]:
                x = self.usual.copy()
                x[PROBE][:3] += [defocus, size * np.cos(angle), size * np.sin(angle)]
                trials.append(min((self._at_best_source(x, smear) for smear in SMEARS_PX), key=lambda pair: pair[0]))
            found += sorted(trials, key=lambda pair: pair[0])[:wanted]
        self.scale[FIRST_COLUMN:] = 0.1 * float(np.abs(min(found, key=lambda f: f[0])[1][FIRST_COLUMN:]).max())
        return [x for _, x in found]

    def _at_best_source(self, x: Float, smear_px: float) -> tuple[float, Float]:
        """Squares left over with the best source size for a probe, and the unknowns with it."""
        whole, trials = x.copy(), []
        whole[SMEARED] = smear_px
        factor = self.factor(whole)[0]
        for source in SOURCES_A:
            model = (factor * np.exp(self.decay * source**2) / self.cell.error)[:, None] * self.cell.columns
            data = self.cell.data / self.cell.error
            gram, right = (model.conj().T @ model).real, (model.conj().T @ data).real
            weights = np.linalg.solve(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)), right)
            trials.append((float((np.abs(data - model @ weights) ** 2).sum()), source, weights))
        left, source, weights = min(trials, key=lambda trial: trial[0])
        whole[SOURCE], whole[FIRST_COLUMN:] = source**2, weights
        return left, whole

    def solved(self, x: Float, free: NDArray[np.bool_] | None = None) -> optimize.OptimizeResult:
        """The most likely unknowns near `x`; those that are not `free` stay."""
        free = np.ones(len(x), bool) if free is None else free

        def filled(values: Float) -> Float:
            whole = x.copy()
            whole[free] = values
            return whole

        room = 1e-6 * self.scale
        inside = np.clip(x, self.low + room, self.high - room)[free]
        fit = optimize.least_squares(
            lambda values: self.rest(filled(values)), inside, lambda values: self.slopes(filled(values))[:, free],
            bounds=(self.low[free], self.high[free]), x_scale=self.scale[free], max_nfev=MOST_STEPS, ftol=1e-5,
            xtol=1e-5,
        )  # fmt: skip
        fit.x = filled(fit.x)
        return fit

    def with_noise_of(self, fit: optimize.OptimizeResult) -> ProbeProblem:
        """The same problem with the error that a fit leaves, where that is larger than the one given."""
        left = self.rest(fit.x)[: 2 * len(self.cell.data)]
        freedom = max(len(left) - len(fit.x), 1)
        other = ProbeProblem(self.cell, self.optics, max(1.0, float(np.sqrt((left @ left) / freedom))))
        other.scale = self.scale
        return other

    def factor(self, x: Float) -> tuple[Complex, Complex, Complex]:
        """`_factor_at`, once for misfit and derivatives."""
        key = x[:FIRST_COLUMN].tobytes()
        if self.last is None or self.last[0] != key:
            self.last = key, self._factor_at(x)
        return self.last[1]

    def _factor_at(self, x: Float) -> tuple[Complex, Complex, Complex]:
        """What multiplies the columns, and its derivatives by smear and share ``(G, 2)`` and by aberrations."""
        transfer, slopes = self.overlap.transfer(x[PROBE])
        along = self.cell.frequency_per_px[:, 1]
        length, share = x[SMEARED], x[SHARED]
        smear = decay_transfer(length, share, along)
        changed = [decay_transfer(length + STEP, share, along), decay_transfer(length, share + STEP, along)]
        by_smear = (np.stack(changed, 1) - smear[:, None]) / STEP
        rest = np.exp(self.decay * x[SOURCE] + 2j * np.pi * self.cell.indices @ x[ORIGIN])
        rest = rest / self.start_transfer
        return rest * transfer * smear, by_smear * (rest * transfer)[:, None], slopes * (rest * smear)[:, None]

    def rest(self, x: Float) -> Float:
        """What the model leaves of the cell, and of what is known beforehand, in units of the error."""
        left = (self.factor(x)[0] * (self.cell.columns @ x[FIRST_COLUMN:]) - self.cell.data) / self.cell.error
        known = ((x - self.usual) / self.known)[SMEARED:FIRST_COLUMN]
        return np.r_[left.real / self.noise, left.imag / self.noise, known]

    def slopes(self, x: Float) -> Float:
        """Derivatives of `rest`."""
        factor, by_smear, by_probe = self.factor(x)
        crystal = self.cell.columns @ x[FIRST_COLUMN:]
        model = factor * crystal
        parts = [
            2j * np.pi * self.cell.indices * model[:, None], (self.decay * model)[:, None], by_smear * crystal[:, None],
            by_probe * crystal[:, None], self.cell.columns * factor[:, None],
        ]  # fmt: skip
        slopes = np.concatenate(parts, 1) / (self.cell.error * self.noise)[:, None]
        known = np.diag(1 / self.known)[SMEARED:FIRST_COLUMN]
        return np.concatenate([slopes.real, slopes.imag, known])


def _turn(optics: OpticsConfig, name: str) -> float:
    """Angle of an aberration times its order."""
    return float(ABERRATIONS[name][1] * getattr(optics, f"phi{name[1:]}", 0.0))
