"""The instrument by hand: numbers that take the place of what was fitted to today's image.

Numpy only, no torch: forms and the command line import it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from napari_stem_gan.degrade.config import ContaminationConfig, DetectorConfig, ScanConfig

_DETECTOR = tuple(field.name for field in fields(DetectorConfig) if field.name != "frames")  # the session's
_SCAN = tuple(field.name for field in fields(ScanConfig))
_CLUSTERS = "clusters_per_100nm2"
_CONTAMINATION = {
    (field.name if field.name == _CLUSTERS else f"contamination_{field.name}"): field.name
    for field in fields(ContaminationConfig)
}
_IN_ELECTRONS = ("read_noise_e", "row_offset_e", "saturation_e")
_SKEWS = np.linspace(0, 1.5, 151)


@dataclass(frozen=True, kw_only=True)
class InstrumentConfig:
    """Detector, scan and contamination by hand. A number is used exactly; what is empty is drawn around the fit."""

    EMPTY: ClassVar[str] = "as fitted"
    SECTIONS: ClassVar[Mapping[str, Collection[str]]] = {
        "Detector": _DETECTOR, "Scan": _SCAN, "Contamination": tuple(_CONTAMINATION),
    }  # fmt: skip

    dose_e_per_A2: float | None = None
    """Incident dose in electrons per Å², of all frames together. Unless the gain is set too, the gain follows, so that
    brightness, row offsets and clipping stay as today's in image units and only the noise changes."""
    pmt_spread: float | None = None
    """Relative spread of the photomultiplier's pulse for one electron. Unless the dose is set too, the dose follows,
    so that the noise stays as today's."""
    read_noise_e: float | None = None
    """Readout noise (standard deviation) in electrons, on top of the counting noise."""
    tail_px: float | None = None
    """Length of the decay along the fast axis in pixels, acting on the counts (correlates noise along rows)."""
    tail_lorentzian: float | None = None
    """Share of the slow (Lorentzian) decay in the tail; the rest decays exponentially."""
    row_noise: float | None = None
    """Relative gain variation from row to row (standard deviation)."""
    row_offset_e: float | None = None
    """Dark level's variation from row to row (standard deviation) in electrons."""
    row_line_fraction: float | None = None
    """Fraction of rows that hold a dead stretch, replaced by its mean times 0.5 to 1.5."""
    bad_pixel_fraction: float | None = None
    """Fraction of pixels that are black or far too bright."""
    gain: float | None = None
    """Image units for one electron."""
    offset: float | None = None
    """Image units for no electron (dark level)."""
    saturation_e: float | None = None
    """Electrons in a pixel (all frames) above which the image is clipped; 0: never."""
    quantisation: float | None = None
    """Step of the analogue-to-digital converter in image units; 0 keeps fractions."""
    jitter_x_px: float | None = None
    """Random shift of each row along the fast axis (standard deviation of one step, in each frame) in pixels."""
    jitter_y_px: float | None = None
    """Random shift of each row along the slow axis (standard deviation of one step, in each frame) in pixels."""
    jitter_correlation: float | None = None
    """How much of a row's shift is handed on to the next row (AR(1) coefficient, 0 to below 1)."""
    wander_px: float | None = None
    """Slow wander of the scan against the specimen (standard deviation along each axis) in pixels."""
    wander_rows: float | None = None
    """How many rows the wander takes to change (its correlation falls to 0.61 over as many)."""
    drift_shear: float | None = None
    """Shift along x for each pixel along y that drift adds to the shear of the matched lattice (0.02 = 2 %)."""
    drift_scale: float | None = None
    """Relative stretch along y that drift adds to that of the matched lattice (0.02 = 2 %)."""
    smear_px: float | None = None
    """Length of the detector's decay along the fast axis in pixels, acting on the signal; its mean delay is removed."""
    smear_lorentzian: float | None = None
    """Share of the slow (Lorentzian) decay in the smear; the rest decays exponentially."""
    ringing: float | None = None
    """Share of the readout's damped oscillation in the smear (0 to below 1)."""
    flyback_px: float | None = None
    """How far the beam lags at the start of every row, after its fly-back, in pixels."""
    flyback_length_px: float | None = None
    """Distance along the row in which that lag falls by a factor e, in pixels."""
    frame_drift_px: float | None = None
    """How far the specimen drifts from one frame to the next, in pixels; its direction is drawn."""
    contamination_amount: float | None = None
    """Contamination's standard deviation over the brightness of an anion column (0 = clean, 0.6 = heavy). Any number
    given here or below replaces today's field by one of two length scales; the empty ones come from the fit."""
    contamination_coarse_nm: float | None = None
    """Correlation length of the contamination's coarse part in nm."""
    contamination_fine_nm: float | None = None
    """Correlation length of the contamination's fine part in nm."""
    contamination_fine_fraction: float | None = None
    """Share of the fine part in the contamination's standard deviation."""
    contamination_skew: float | None = None
    """0 = symmetric contamination; larger: mostly clean with bright patches."""
    clusters_per_100nm2: float | None = None
    """Number of small bright clusters on 100 nm²; today's are part of the fitted field."""

    def __post_init__(self) -> None:
        scan = self._given(_SCAN)
        ScanConfig(**{"flyback_length_px": math.inf, **scan})  # what a lag is compared with may come from the fit
        DetectorConfig(**self._given(_DETECTOR))
        self._contamination({})

    def by_hand(self) -> dict[str, float]:
        """The numbers that are set."""
        return self._given([field.name for field in fields(self)])

    def scan(self, drawn: ScanConfig) -> ScanConfig:
        """A scan drawn around the fitted one, with the numbers that are set.

        Raises
        ------
        ValueError
            If a number that is set goes against a fitted one.
        """
        return replace(drawn, **self._given(_SCAN))

    def detector(self, drawn: DetectorConfig, fitted: DetectorConfig) -> DetectorConfig:
        """A detector drawn around the fitted one, with the numbers that are set.

        A dose without a gain keeps the fitted brightness, so that images differ in noise alone; a spread without a
        dose keeps the noise, whose variance is electrons × (1 + spread²).
        """
        if self.dose_e_per_A2 is not None and self.gain is None:
            fitted = replace(drawn, dose_e_per_A2=fitted.dose_e_per_A2)
            drawn = _brighter_beam(fitted, self.dose_e_per_A2 / fitted.dose_e_per_A2)
        elif self.dose_e_per_A2 is None and self.pmt_spread is not None:
            drawn = _brighter_beam(drawn, (1 + self.pmt_spread**2) / (1 + fitted.pmt_spread**2))
        return replace(drawn, **self._given(_DETECTOR))

    def contamination(self, fitted: Mapping[str, float]) -> ContaminationConfig | None:
        """The contamination to draw, or None where nothing is set and today's field is drawn.

        Parameters
        ----------
        fitted
            `Background.to_dict` of the fit; numbers that are not set come from it.
        """
        return self._contamination(fitted) if self._given(_CONTAMINATION) else None

    def _contamination(self, fitted: Mapping[str, float]) -> ContaminationConfig:
        given = {_CONTAMINATION[name]: value for name, value in self._given(_CONTAMINATION).items()}
        try:
            return ContaminationConfig(**{**_fitted_contamination(fitted), **given})
        except ValueError as error:  # in the names of this config
            raise ValueError(str(error) if str(error).startswith(_CLUSTERS) else f"contamination_{error}") from error

    def _given(self, names: Collection[str]) -> dict[str, Any]:
        """Those of some fields that are set."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def fitted_values(fit: Mapping[str, Any]) -> dict[str, float]:
    """What stands for the empty fields of an `InstrumentConfig`, as far as a fit tells.

    Parameters
    ----------
    fit
        `SessionFit.to_dict`.
    """
    known = {**fit.get("detector", {}), **fit.get("scan", {})}
    field = _fitted_contamination(fit.get("contamination", {}))
    known |= {name: field[ours] for name, ours in _CONTAMINATION.items() if ours in field}
    return {field.name: float(known[field.name]) for field in fields(InstrumentConfig) if field.name in known}


def _brighter_beam(detector: DetectorConfig, factor: float) -> DetectorConfig:
    """The same image in image units made of `factor` times as many electrons."""
    more = {name: factor * getattr(detector, name) for name in ("dose_e_per_A2", *_IN_ELECTRONS)}
    return replace(detector, gain=detector.gain / factor, **more)


def _fitted_contamination(fitted: Mapping[str, float]) -> dict[str, float]:
    """Numbers of a `ContaminationConfig` from a measured field's (`Background.to_dict`); unknown ones are left out."""
    found = {name.removeprefix("contamination_"): float(value) for name, value in fitted.items()}
    if "amount" not in found:
        return {}
    amount, grain = found["amount"], min(found["grain_amount"], found["amount"])
    known = {"amount": amount, "fine_fraction": grain / amount if amount > 0 else 0.0}
    known |= {"coarse_nm": found["patch_length_nm"], "skew": _skew_setting(found["skew"])}
    return known | ({"fine_nm": found["grain_length_nm"]} if found["grain_length_nm"] > 0 else {})


def _skew_setting(skewness: float) -> float:
    """The setting `ContaminationConfig.skew` whose log-normal field has this skewness."""
    width = np.exp((0.6 * _SKEWS) ** 2)  # as degrade/contamination draws it
    return float(np.interp(skewness, (width + 2) * np.sqrt(width - 1), _SKEWS))
