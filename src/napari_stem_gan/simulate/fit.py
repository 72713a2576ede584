"""Fit everything the simulator draws to a matched image, so that simulations already look like today's.

In order: the lattice is split off (`fit_lattice`); the jitter of its rows (`fit_scan`), their slow wander
(`fit_wander`) and the lag after the fly-back (`fit_flyback`) are measured; then the counting noise (`fit_noise`), the
probe (`fit_optics`) and the contamination (`fit_background`) of what is left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.image import FloatImage, STEMImage
from napari_stem_gan.prepare import prepare
from napari_stem_gan.simulate.background import Background
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit_background import measure_background
from napari_stem_gan.simulate.fit_flyback import fit_flyback
from napari_stem_gan.simulate.fit_lattice import LatticeImage, split_lattice
from napari_stem_gan.simulate.fit_noise import Noise, digits, measure_noise, row_noise, single_electrons
from napari_stem_gan.simulate.fit_optics import OpticsFit, fit_optics
from napari_stem_gan.simulate.fit_scan import Rows, fit_jitter, measure_rows, row_spread, straightened, without_rows
from napari_stem_gan.simulate.fit_wander import fit_wander
from napari_stem_gan.simulate.probe import band_limit

Float = NDArray[np.float64]
IN_IMAGE_UNITS = ("gain", "offset", "quantisation")
DARK_MODEL_ERROR = 0.01  # of the brightness above the dark level: what lattice and rows leave in the noise
DOSE_RANGE = (1.0, 5e7)
PMT_SPREAD = 0.3
MANY_ELECTRONS = 100.0  # beyond this single ones cannot be told apart
MODEL_ERROR = 0.1  # of the clean simulation's mean: tails of the probe, cross-sections
NOISE_MODEL_ERROR = 0.02  # of the noise level and the lattice: what defects and jitter change


@dataclass(frozen=True)
class SessionFit:
    """What was fitted to one image.

    Parameters
    ----------
    optics
        Probe with the source size and the low aberrations that give today's columns.
    detector
        Dose, tail, row noise, gain, offset, clipping and digits that give today's noise and brightness.
    scan
        Jitter per axis and its correlation from row to row, slow wander, the lag after the fly-back, the fast-scan
        smear.
    contrast
        Contrast of the clean simulation (its 90 % minus 5 % quantile) as a fraction of the beam.
    background
        Today's contamination.
    errors
        One standard error of each fitted number, by its name.
    column_ratios
        Brightness of each sublattice over the simulation's, in units of the brightest one.
    """

    optics: OpticsConfig
    detector: DetectorConfig
    scan: ScanConfig
    contrast: float
    background: Background
    errors: dict[str, float] = field(default_factory=dict)
    column_ratios: dict[str, float] = field(default_factory=dict)

    @property
    def dose_e_per_A2(self) -> float:
        """Dose in electrons per Å² that makes today's noise (with a photomultiplier without spread)."""
        return self.detector.dose_e_per_A2

    @property
    def tail_px(self) -> float:
        """Decay of the detector along the fast axis in pixels."""
        return self.detector.tail_px

    @property
    def gain(self) -> float:
        """Image units for one electron."""
        return self.detector.gain

    @property
    def offset(self) -> float:
        """Image units for no electron."""
        return self.detector.offset

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON and the panel."""
        return {
            "optics": asdict(self.optics),
            "detector": asdict(self.detector),
            "scan": asdict(self.scan),
            "contamination": self.background.to_dict(),
            "contrast": self.contrast,
            "column_ratios": dict(self.column_ratios),
            "errors": dict(self.errors),
        }


def fit_session(
    image: STEMImage, match: LatticeMatch, optics: OpticsConfig | None = None, known: Collection[str] = ()
) -> SessionFit:
    """Fit the simulation to an accepted match; of large images to the middle 1024 × 1024 px.

    Parameters
    ----------
    image
        The raw image.
    match
        Its lattice.
    optics
        Beam energy, convergence and detector angles; None: 80 kV, 25 mrad, 63–200 mrad. Its source size is replaced,
        and its defocus, astigmatism, coma and three-fold astigmatism as far as the image tells them.
    known
        Those of the latter (``C10``, ``C12``, ``C21``, ``C23``) that are exactly as in `optics`.

    Raises
    ------
    ValueError
        If the match was not accepted.
    """
    if not match.accepted or match.pixel_size_A is None:
        raise ValueError(f"'{image.name}' must be matched before it can be simulated: {match.reason}")
    ready, base, size = prepare(image), optics or OpticsConfig(), match.pixel_size_A
    unit, image = ready.unit, ready.image
    split, rows, scan, spread, errors = _rows(image, match)
    rest = without_rows(split, rows)
    noise = measure_noise(split, rest, band_limit(base) * size)
    probe = fit_optics(split, match, base, spread, DetectorConfig(tail_px=noise.tail_px), known)
    background = measure_background(
        split, rest, noise, contrast=probe.scale * probe.contrast, pixel_size_A=size,
        column_jitter_px=DefectConfig().jitter_A / size, band_limit_per_px=band_limit(base) * size,
    )  # fmt: skip
    counted, more = _counting(split, noise, probe, background, size)
    detector, rough = _detector(image.data, rows, noise, counted, float(split.background.mean()))
    errors |= more | rough | {n: error for n, error in probe.errors.items() if n not in ("scale", "brightness")}
    errors |= {f"contamination_{name}": value for name, value in background.errors.items()}
    background = background.lifted(counted["pedestal"] / (probe.scale * probe.contrast))
    scan = replace(scan, **probe.smear)
    detector = replace(detector, **{n: unit * getattr(detector, n) for n in IN_IMAGE_UNITS})
    errors |= {n: unit * errors[n] for n in IN_IMAGE_UNITS if n in errors}
    return SessionFit(probe.optics, detector, scan, probe.contrast, background, errors, probe.column_ratios)


def _rows(image: STEMImage, match: LatticeMatch) -> tuple[LatticeImage, Rows, ScanConfig, Float, dict[str, float]]:
    """Split the image, fit how the scan displaces its rows, and measure what else they have in common without it.

    The fourth value is how far rows lie about the warp along y and x (standard deviation in pixels).
    """
    split = split_lattice(image.data, match)
    rows = measure_rows(split)
    scan, errors = fit_jitter(rows, split.constant_px)
    scan, slow = fit_wander(rows, scan, match, image.shape)
    if scan.wander_px:
        jitter, errors = fit_jitter(rows, split.constant_px, scan)
        scan = replace(jitter, wander_px=scan.wander_px, wander_rows=scan.wander_rows)
    lag, rough = fit_flyback(image.data, match, split)
    scan, spread = replace(scan, **lag), row_spread(rows, scan)
    split = straightened(split, rows, spread)
    return split, measure_rows(split), scan, spread, errors | slow | rough


def _detector(
    data: FloatImage, rows: Rows, noise: Noise, counted: dict[str, float], brightness: float
) -> tuple[DetectorConfig, dict[str, float]]:
    """The detector with its rows, clipping and digits, and the standard errors of its rows and tail.

    Counts of single electrons stand apart in the histogram. Where there are few and none is seen, a photomultiplier
    has smeared them; its spread is set, with the dose that makes the same noise.
    """
    gain, offset, dose = counted["gain"], counted["offset"], counted["dose_e_per_A2"]
    varying, rough = row_noise(rows, max(brightness - offset, 1e-30))
    step, ceiling = digits(data)
    smeared = noise.tail_px == 0 and (brightness - offset) / gain < MANY_ELECTRONS and not single_electrons(data, gain)
    spread = PMT_SPREAD if smeared else 0.0
    detector = DetectorConfig(
        dose_e_per_A2=dose * (1 + spread**2),
        pmt_spread=spread,
        tail_px=noise.tail_px,
        row_noise=varying["row_noise"],
        row_offset_e=varying["row_offset"] * (1 + spread**2) / gain,
        gain=gain / (1 + spread**2),
        offset=offset,
        saturation_e=0.0 if ceiling is None else max((ceiling - offset) / gain * (1 + spread**2), 1e-9),
        quantisation=step,
    )
    errors = {"row_noise": rough["row_noise"], "row_offset_e": rough["row_offset"] / gain}
    return detector, errors | {"tail_px": noise.errors["tail_px"]}


def _counting(
    split: LatticeImage, noise: Noise, probe: OpticsFit, background: Background, size: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Dose, gain, offset and even brightness under the crystal, and their standard errors.

    The dark level is where the noise vanishes (photon transfer), or where the simulation's mean brightness puts it,
    whichever is better known; the noise above it tells the gain.
    """
    contrast, crystal = probe.scale * probe.contrast, split.brightness > 0.5
    mean = float((split.data - split.foreign)[crystal].mean()) if crystal.any() else float(split.data.mean())
    signal = probe.scale * probe.mean + contrast * float(background.quantiles.mean())
    guess, guess_error = mean - signal, MODEL_ERROR * probe.scale * probe.mean
    offset = noise.dark
    error = float(np.hypot(noise.errors["dark"], DARK_MODEL_ERROR * abs(noise.brightness - noise.dark)))
    if error > guess_error or mean - offset < 0.2 * signal:
        offset, error = guess, guess_error
    pedestal, both = guess - offset, float(np.hypot(error, guess_error))
    if pedestal < -2 * both:  # brighter than the simulation can be above that dark level
        offset, error = guess, guess_error
    pedestal = max(pedestal, 0.0) if pedestal > 2 * both else 0.0
    bright = max(noise.brightness - offset, 1e-3 * signal)
    gain = max(noise.variance, 1e-12 * contrast**2) / bright
    dose = float(np.clip(probe.scale / (gain * size**2), *DOSE_RANGE))
    gain = probe.scale / (dose * size**2)
    relative = float(np.hypot(np.hypot(noise.errors["variance"] / noise.variance, NOISE_MODEL_ERROR), error / bright))
    errors = {"dose_e_per_A2": dose * float(np.hypot(relative, probe.errors["scale"])), "gain": gain * relative}
    values = {"dose_e_per_A2": dose, "gain": float(gain), "offset": float(offset), "pedestal": float(pedestal)}
    return values, errors | {"offset": float(error)}
