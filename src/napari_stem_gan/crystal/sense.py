"""Which way round a crystal lies on its lattice, judged with the probe's aberrations free.

Three-fold astigmatism moves brightness between the columns of a honeycomb, so that two senses of a 2H crystal can both
look right to round columns. Here each sense is fitted to the reflections of the average cell with columns whose
transfer has phases as three-fold astigmatism and coma give them, an elliptic width, and brightness as the atomic
numbers allow; what is left decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from napari_stem_gan.crystal.cell import BINS, EXPONENTS, HIGHEST_PER_A, CellFit, expected_brightness, kinds
from napari_stem_gan.crystal.materials import Material

STACK = 0.23  # ln of what two atoms in a column give over twice one at most
RATIO_ERROR = 0.1  # of ln ratio, beyond what atomic numbers and stacking allow
MODEL_ERROR = 0.02  # of the strongest reflection
USUAL = np.array([0.02, 0.02, 0.5, 0.5, 0.8, 0.8, 0.4, 0.4])  # spread of the probe's parameters beforehand
FWHM = 2.3548
WIDEST_A2 = 2.1
Float = NDArray[np.float64]
Complex = NDArray[np.complex128]


def misfit(
    cell: Float, material: Material, vectors_px: Float, pixel_size_A: float, start: CellFit
) -> tuple[float, int]:
    """How badly a crystal fits an average cell with the aberrations free.

    Parameters
    ----------
    cell
        From `average_cell`.
    material, vectors_px, pixel_size_A
        The crystal in one of the ways it can lie on its lattice.
    start
        Fit of the same with round columns.

    Returns
    -------
    tuple
        Squares left over, of data and of what is known beforehand, in units of the noise; and how many data there are.
    """
    spectrum = np.fft.fft2(cell) / cell.size
    h, k = np.meshgrid(*(np.fft.fftfreq(BINS) * BINS,) * 2, indexing="ij")
    frequency = np.stack([h, k], -1) @ np.linalg.inv(vectors_px * pixel_size_A).T
    length = np.hypot(frequency[..., 0], frequency[..., 1])
    half = (h > 0) | ((h == 0) & (k > 0))
    used, beyond = half & (length < HIGHEST_PER_A), half & (length > HIGHEST_PER_A)
    centred = np.exp(-1j * np.pi * (h + k) / BINS) / np.sinc(h / BINS) / np.sinc(k / BINS)  # a bin is its middle
    data = (spectrum * centred)[used]
    white = float((np.abs(spectrum[beyond]) ** 2).mean()) / 2 if beyond.any() else 0.0
    error = float(np.sqrt(white + (MODEL_ERROR * np.abs(data).max()) ** 2)) + 1e-30
    problem = _Sense(data / error, np.stack([h, k], -1)[used], frequency[used], material)
    fit = optimize.least_squares(problem.rest, problem.start(start), x_scale=problem.scale, max_nfev=30)
    return 2 * float(fit.cost), 2 * len(data)


class _Sense:
    """Reflections of an average cell, and a crystal in one sense under an aberrated probe."""

    def __init__(self, data: Complex, indices: Float, frequency_per_A: Float, material: Material) -> None:
        self.data, self.indices = data, indices
        names = kinds(material)
        phase = [
            sum(np.exp(-2j * np.pi * indices @ np.asarray(c.fraction)) for c in material.columns if c.sublattice == n)
            for n in names
        ]
        self.columns = np.stack(phase, 1)
        g = frequency_per_A[:, 1] + 1j * frequency_per_A[:, 0]
        self.square = np.abs(g) ** 2
        self.ellipse = np.stack([(g**2).real, (g**2).imag], 1)
        three = np.stack([(g**3).real, (g**3).imag], 1)
        length = np.maximum(np.abs(g), 1e-9)[:, None]
        coma = np.stack([g.real, g.imag], 1) * self.square[:, None]
        self.odd = np.concatenate([three / length, three, coma], 1)
        self.allowed = _allowed(material, names)
        self.scale = np.r_[0.02, 0.02, 0.2, 0.3 * USUAL, np.full(len(names), 0.1)]

    def start(self, fit: CellFit) -> Float:
        """Round columns where and as wide as they were found."""
        x = np.r_[fit.origin, (fit.fwhm_A / FWHM) ** 2, np.zeros(len(USUAL)), np.zeros(self.columns.shape[1])]
        bright = np.log([max(fit.brightness[name], 0.05) for name in fit.brightness])
        model = self.model(np.r_[x[: -len(bright)], bright])
        size = max(float((self.data * model.conj()).real.sum() / (np.abs(model) ** 2).sum()), 1e-30)
        return np.r_[x[: -len(bright)], bright + np.log(size)]

    def model(self, x: Float) -> Complex:
        """Reflections for origin, squared width, ellipse (2), three-fold phases (4), coma (2), ln brightness."""
        width = np.clip(x[2], 0, WIDEST_A2) * self.square + self.ellipse @ x[3:5]
        phase = -2 * np.pi * self.indices @ x[:2] + self.odd @ x[5:11]
        return np.asarray(np.exp(-2 * np.pi**2 * width + 1j * phase) * (self.columns @ np.exp(x[11:])))

    def rest(self, x: Float) -> Float:
        """What is left of the data, and of what is known beforehand, in units of the error."""
        left = self.model(x) - self.data
        ratios = [
            (max(low - d, 0.0) + max(d - high, 0.0)) / RATIO_ERROR
            for i, j, low, high in self.allowed
            for d in [x[11 + i] - x[11 + j]]
        ]
        return np.r_[left.real, left.imag, x[3:11] / USUAL, ratios]


def _allowed(material: Material, names: list[str]) -> list[tuple[int, int, float, float]]:
    """Range of ln brightness of each kind over each other one that atomic numbers and stacking allow."""
    logs = np.log(np.stack([expected_brightness(material, e) for e in EXPONENTS]))
    stacked = [max(len(c.atoms) for c in material.columns if c.sublattice == n) > 1 for n in names]
    found = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            low, high = np.sort(logs[:, i] - logs[:, j])
            more = STACK * (int(stacked[i]) - int(stacked[j]))
            found.append((i, j, float(low + min(more, 0.0)), float(high + max(more, 0.0))))
    return found
