"""Source size and scale: how much wider than the probe's columns today's are, and how bright an electron is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.image import FloatImage
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit_aberrations import Cell, fit_probe
from napari_stem_gan.simulate.fit_lattice import LatticeImage, average_spectrum, wave_vectors
from napari_stem_gan.simulate.fit_noise import tail_transfer
from napari_stem_gan.simulate.pairs import Field, anion_peak, ideal_image

LARGEST_SOURCE_A = 2.6
SOURCES_A = np.linspace(0, LARGEST_SOURCE_A, 105)
CLEAN_PX, CLEAN_CELLS = 256, 8
ALIGNMENTS = 3
FAINT = 0.1
MODEL_ERROR = 0.003  # of a reflection: defects, foreign columns, changing brightness
Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class OpticsFit:
    """The probe and how its image compares with today's.

    Parameters
    ----------
    optics
        Probe with the fitted source size and aberrations.
    smear
        Decay of the signal along the fast axis: ``smear_px`` and ``smear_lorentzian``.
    scale
        Image units for the whole beam.
    mean, contrast
        Mean of the clean simulation with the fitted probe, and its contrast (`anion_peak`), as fractions of the beam.
    column_ratios
        Brightness of each sublattice over the simulation's, in units of the brightest one.
    errors
        One standard error of everything in `ProbeFit`, and of ``scale`` relative to it.
    """

    optics: OpticsConfig
    smear: dict[str, float]
    scale: float
    mean: float
    contrast: float
    column_ratios: dict[str, float]
    errors: dict[str, float]


def fit_optics(
    image: LatticeImage,
    match: LatticeMatch,
    optics: OpticsConfig,
    spread_px: Float,
    detector: DetectorConfig,
    given: Collection[str] = (),
) -> OpticsFit:
    """Fit source size and scale to the average cell; the blur of jitter and detector is known and not counted twice.

    Parameters
    ----------
    image
        The image's lattice.
    match
        Where it lies.
    optics
        Where the search for the probe starts.
    spread_px
        How far rows are displaced along y and x (standard deviation).
    detector
        With the fitted tail.
    given
        Aberrations that are exactly as in `optics`.
    """
    sharp = replace(optics, source_size_fwhm_A=0.0)
    clean = _clean_image(match, sharp)
    used = np.abs(image.spectrum) > 0
    whole = average_spectrum(clean, _placed(match), image.spectrum.shape)[used]
    parts = _sublattices(match, sharp)
    columns = np.stack([average_spectrum(p, _placed(match), image.spectrum.shape)[used] for p in parts.values()], 1)
    names = list(parts)
    if len(columns) < 2 * columns.shape[1] + 2:  # too few reflections to tell sublattices apart
        names, columns = ["all"], whole[:, None]
    g_y, g_x = (g[used] for g in wave_vectors(image.spectrum.shape, match.lattice_vectors_px))
    size = match.pixel_size_A or 0.2
    k2 = (g_y**2 + g_x**2) / size**2  # 1/Å²
    decay = np.exp(-((np.pi * SOURCES_A[:, None]) ** 2) * k2 / (4 * np.log(2)))
    still = np.exp(-2 * (np.pi * DefectConfig().jitter_A) ** 2 * k2)  # columns beside their sites are drawn again
    known = _known_blur(g_y, g_x, spread_px, detector) * still
    factor = decay * known
    data, hk = image.spectrum[used], _indices(image.spectrum.shape)[used]
    for _ in range(ALIGNMENTS):
        misfit, weights = _trials(data, columns, factor)
        source, best = _minimum(misfit)
        data = data * _alignment(data, columns @ weights[best] * factor[best], hk)
    cell = Cell(
        data=data, error=_reflection_error(data, image.spread), columns=columns * known[:, None],
        frequency_per_A=np.stack([g_y, g_x], 1) / size, frequency_per_px=np.stack([g_y, g_x], 1), indices=hk,
    ).below(optics)  # fmt: skip
    found = fit_probe(cell, optics, given)
    physical = _solve(columns, whole)
    expected = float(np.linalg.norm(cell.columns @ physical * found.factor))
    power = max(float((np.abs(cell.data) ** 2).sum()) - len(cell.data) * image.spread**2, 1e-30)
    scale = float(np.sqrt(power)) / max(expected, 1e-30)
    noise = float(np.linalg.norm(cell.data - cell.columns @ found.weights * found.factor) / np.sqrt(len(cell.data)))
    scattered = max(noise, image.spread) / max(float(np.sqrt(power)), 1e-30)
    errors = {**found.errors, "scale": float(np.hypot(scattered, found.errors["brightness"]))}
    today = _clean_image(match, found.optics)
    scan = {"smear_px": found.smear_px, "smear_lorentzian": found.smear_lorentzian}
    ratios = _ratios(names, found.weights, physical)
    return OpticsFit(found.optics, scan, scale, float(today.mean()), anion_peak(today), ratios, errors)


def _reflection_error(data: Complex, spread: float) -> Float:
    """One standard error of the real and imaginary part of every reflection: noise, and what the model leaves out."""
    return np.sqrt(spread**2 / 2 + (MODEL_ERROR * np.abs(data)) ** 2)


def _ratios(names: list[str], weights: Float, physical: Float) -> dict[str, float]:
    """Brightness of each sublattice over the simulation's, against that of the brightest; faint ones are left out."""
    bright = np.abs(physical).argmax()
    strong = np.flatnonzero(np.abs(physical) > FAINT * np.abs(physical[bright]))
    unit = weights[bright] / physical[bright]
    return {names[i]: float(weights[i] / physical[i] / unit) for i in strong}


def _indices(shape: tuple[int, ...]) -> Float:
    """Miller indices of every coefficient, ``(H, K, 2)``."""
    return np.stack(np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij"), -1)


def _known_blur(g_y: Float, g_x: Float, spread_px: Float, detector: DetectorConfig) -> Complex:
    """What jitter and the detector's tail do to each reflection."""
    spread = (spread_px[0] * g_y) ** 2 + (spread_px[1] * g_x) ** 2
    return np.exp(-2 * np.pi**2 * spread) * tail_transfer(detector.tail_px, g_x)


def _trials(data: Complex, columns: Complex, factor: Complex) -> tuple[Float, Float]:
    """Misfit and sublattice weights for each source size; shapes ``(S,)`` and ``(S, sublattices)``."""
    weights = np.array([_solve(columns * f[:, None], data) for f in factor])
    rest = data[None] - np.einsum("gc,sc->sg", columns, weights) * factor
    return (np.abs(rest) ** 2).sum(1), weights


def _solve(columns: Complex, data: Complex) -> Float:
    """Real least-squares weights."""
    gram, right = (columns.conj().T @ columns).real, (columns.conj().T @ data).real
    return np.asarray(np.linalg.solve(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)), right))


def _minimum(misfit: Float) -> tuple[float, int]:
    """Source size of the smallest misfit, by a parabola through its neighbours, and the nearest trial."""
    best = int(misfit.argmin())
    if not 0 < best < len(misfit) - 1:
        return float(SOURCES_A[best]), best
    left, middle, right = misfit[best - 1 : best + 2]
    step = 0.5 * (left - right) / (left - 2 * middle + right)
    return float(SOURCES_A[best] + step * (SOURCES_A[1] - SOURCES_A[0])), best


def _alignment(data: Complex, model: Complex, hk: Float) -> Complex:
    """Phases that move the data's origin onto the model's."""
    phase = np.angle(data * model.conj())
    weight = np.abs(data * model)
    matrix = np.einsum("g,gi,gj->ij", weight, hk, hk) + 1e-12 * weight.sum() * np.eye(2)
    shift = np.linalg.solve(matrix, np.einsum("g,gi,g->i", weight, hk, phase))
    return np.asarray(np.exp(-1j * hk @ shift))


def _placed(match: LatticeMatch) -> LatticeMatch:
    """The same lattice, undistorted, with its origin at the first pixel."""
    return replace(match, warp=None, origin_px=np.zeros(2))


def _field(match: LatticeMatch) -> Field:
    constant = float(np.hypot(*match.lattice_vectors_px[0]))
    side = int(max(CLEAN_PX, CLEAN_CELLS * constant))
    return Field(
        material=get_material(match.material), vectors_px=match.lattice_vectors_px, origin_px=(0.0, 0.0),
        shape=(side, side), pixel_size_A=match.pixel_size_A or 0.2,
    )  # fmt: skip


def _clean_image(match: LatticeMatch, optics: OpticsConfig) -> FloatImage:
    """A noise-free, defect-free image with the matched lattice, as a fraction of the beam."""
    none = DefectConfig(
        single_vacancy=0, double_vacancy=0, metal_vacancy=0, anion_substitution=0, metal_substitution=0, jitter_A=0
    )
    return ideal_image(_field(match), optics, none, np.random.default_rng(0)).image.data


def _sublattices(match: LatticeMatch, optics: OpticsConfig) -> dict[str, FloatImage]:
    """Images of each sublattice alone, with columns of 1 Å²."""
    field = _field(match)
    sites = field.sites()
    names = np.array([c.sublattice for c in field.material.columns])[sites.column]
    return {
        str(name): render(
            sites.positions_px[names == name], np.ones(int((names == name).sum())), field.shape,
            pixel_size_A=field.pixel_size_A, optics=optics,
        )
        for name in np.unique(names)
    }  # fmt: skip
