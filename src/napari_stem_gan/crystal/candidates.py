"""Which of several crystals fit an image: one search for each shape of lattice, each lattice measured once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.advice import HOPELESS, doubt, refused, undistorted, verdict
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.lattice_fit import LatticeFit, equivalent
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.place import Settled, lay, settle
from napari_stem_gan.crystal.shapes import Wanted, search_all
from napari_stem_gan.crystal.spectrum import Spectrum
from napari_stem_gan.image import A_PER_NM, STEMImage

SMALLEST_CELL_PX = 6.0
LARGEST_CELL_PX = 120.0
CELLS_ACROSS, LEAST_CELLS = 3.0, 36.0  # on fewer the lattice is measured several times worse than its errors say
LEAST_SURPRISE = 20.0  # background alone: below 17 in 320 searches of noise and contamination
PLACED = 3


@dataclass(frozen=True)
class Trial:
    """An image on which crystals are tried.

    Parameters
    ----------
    image
        The image.
    found
        Its spectrum.
    nominal
        Its pixel size in Å, or None.
    config
        Tolerances.
    """

    image: STEMImage
    found: Spectrum
    nominal: float | None
    config: MatchConfig
    _settled: list[Settled] = field(default_factory=list, repr=False, compare=False)

    def sizes(self, material: Material) -> tuple[float, float]:
        """Range of pixel sizes (Å) to search."""
        if self.nominal is not None:
            error = self.config.max_scale_error
            return self.nominal * (1 - error), self.nominal * (1 + error)
        largest = min(LARGEST_CELL_PX, min(self.image.shape) / CELLS_ACROSS)
        return material.constant_A / largest, material.constant_A / SMALLEST_CELL_PX

    def place(self, fit: LatticeFit, material: Material, *, any_size: bool = False) -> LatticeMatch:
        """Place a lattice fit on the image and judge it; with `any_size` whatever pixel size it needs."""
        result = lay(self.image, self._measured(fit.vectors_px), fit, material)
        size = result.pixel_size_A or 0.0
        error = 0.0 if self.nominal is None else self.nominal / size - 1
        result = replace(result, nominal_pixel_size_A=self.nominal, scale_error=error)
        reason = self._doubt(result, material, size, any_size) if result.accepted else result.reason
        if reason:
            return replace(result, accepted=False, reason=reason, pixel_size_A=self.nominal)
        return replace(result, reason=verdict(material, size, self.nominal) + result.reason)

    def _doubt(self, result: LatticeMatch, material: Material, size_A: float, any_size: bool) -> str:
        """Why a crystal that was laid is not accepted, or ''; one placed by hand may fit less well."""
        low, high = self.sizes(material)
        near = any_size or low * 0.99 <= size_A <= high * 1.01
        reason = self.too_small(material, size_A) or doubt(result, material, near)
        least = self.config.min_goodness
        if reason or any_size or result.goodness >= least:
            return reason
        return (
            f"{material.label} fits too poorly (goodness {result.goodness:.2f} of {least:.2f} needed); if it is "
            f"{material.label}, place its lattice by hand or lower the min goodness"
        )

    def too_small(self, material: Material, pixel_size_A: float) -> str:
        """Why no lattice can be measured on so small an image, or ''."""
        height, width = np.array(self.image.shape) * pixel_size_A / np.sqrt(abs(np.linalg.det(material.cell)))
        if min(height, width) >= CELLS_ACROSS and height * width >= LEAST_CELLS:
            return ""
        size, cells = f"{pixel_size_A / A_PER_NM:.4g} nm per pixel", f"{_floor(height)} × {_floor(width)} cells"
        needed = f"too few to measure (at least {CELLS_ACROSS:.0f} across and {LEAST_CELLS:.0f} in all)"
        advice = "load a larger image or correct the pixel size"
        return f"at {size} the image is only {cells} of {material.label}, {needed}; {advice}"

    def average_cell(self, laid: LatticeMatch) -> NDArray[np.float64]:
        """The average cell of a crystal that `place` laid on the image; computed once for all that share it."""
        vectors = laid.lattice_vectors_px
        return self._measured(vectors).average_cell(self.image, vectors)

    def _measured(self, vectors_px: NDArray[np.float64]) -> Settled:
        """The lattice as measured, in the cell of `vectors_px`; measured once whatever cells it is found in."""
        wanted = np.asarray(np.linalg.inv(vectors_px).T)
        known = np.array([np.linalg.inv(k.vectors_px).T for k in self._settled]).reshape(-1, 2, 2)
        for index in np.flatnonzero(equivalent(wanted, known, self.found.bin)):
            settled = self._settled[index]
            return settled.recast(np.rint(vectors_px @ np.linalg.inv(settled.vectors_px)))
        self._settled.append(settle(self.image, self.found, vectors_px))
        return self._settled[-1]


def try_materials(
    trial: Trial,
    materials: Sequence[Material],
    *,
    told: bool,
    least_surprise: float = LEAST_SURPRISE,
    stop: threading.Event | None = None,
) -> list[LatticeMatch]:
    """Search the lattices of several crystals at once and lay the crystals on them, the most surprising first.

    Parameters
    ----------
    trial
        The image.
    materials
        The crystals.
    told
        True: the user named the crystal, so that it may be strongly distorted by drift.
    least_surprise
        Of a lattice that is worth laying crystals on.
    stop
        Looked at between lattices.

    Returns
    -------
    list of LatticeMatch
        One for each crystal, accepted or refused with its reason, best lattice first; without those that cannot be
        the best any more. Empty if stopped before the first.
    """
    if stop and stop.is_set():
        return []
    every = search_all(trial.found, [Wanted(m, trial.sizes(m)) for m in materials])
    good = [(f, m) for m, fits in zip(materials, every, strict=True) for f in _good(fits, trial.config)]
    good = [(f, m) for f, m in good if f.surprise >= least_surprise]
    results: dict[str, LatticeMatch] = {}
    for fit, material in sorted(good, key=lambda pair: -pair[0].surprise):
        most = max((r.surprise for r in results.values() if r.accepted), default=0.0)
        if fit.surprise < HOPELESS * most or (stop and stop.is_set()):
            break
        before = results.get(material.key)
        if before is None or not before.accepted:
            result = trial.place(fit, material)
            result = result if told else undistorted(result)
            results[material.key] = result if before is None or result.accepted else before
    tried = {m.key for _, m in good}
    poor = [_unfit(m, f, trial) for m, f in zip(materials, every, strict=True) if m.key not in tried]
    return [*results.values(), *poor]


def _floor(cells: float) -> str:
    """One decimal, never rounded up to a limit that is not reached."""
    return f"{np.floor(10 * cells) / 10:g}"


def _good(fits: list[LatticeFit], config: MatchConfig) -> list[LatticeFit]:
    """Those worth placing."""
    return [f for f in fits if f.goodness >= config.min_goodness and f.surprise >= LEAST_SURPRISE][:PLACED]


def _unfit(material: Material, fits: list[LatticeFit], trial: Trial) -> LatticeMatch:
    """The refusal of a crystal whose lattice is not there."""
    nominal, least = trial.nominal, trial.config.min_goodness
    small = "" if nominal is None else trial.too_small(material, nominal)
    if small and trial.too_small(material, trial.sizes(material)[1]):
        return refused(small, material, nominal)
    if not fits or fits[0].surprise < LEAST_SURPRISE:
        return refused(f"no periodic structure that could be {material.label} was found", material, nominal)
    fit = max(fits, key=lambda f: f.goodness)
    if fit.goodness >= least:
        return refused("no periodic structure was found that stands out from the noise", material, nominal)
    reason = (
        f"no {material.label} lattice was found (goodness {fit.goodness:.2f} of {least:.2f} needed: "
        f"{100 * fit.present:.0f} % of its reflections are there, {100 * fit.explained:.0f} % of the peaks fit)"
    )
    return replace(refused(reason, material, nominal), goodness=fit.goodness)
