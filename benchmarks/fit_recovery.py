"""Does the fit give back what an image was drawn with: aberrations, smear, fly-back, wander, jitter, source size?

OMP_NUM_THREADS=1 python benchmarks/fit_recovery.py [--draws 24] [--seed 1] [--side 1024] [--verbose]

MoS2, WSe2, graphene and SrTiO3 in turn, at random rotation, pixel size and dose, with defects, contamination, counting
noise and all of these at once. For each number: how many images it could be told of (its error is below half of what
is known beforehand), mean and standard deviation of its pull (error over stated standard error; 0 and 1 are right),
the share of pulls within 2, and the median stated error. C10 and C12 are compared up to the sign that no image tells.
A number that is 0 in truth counts where 0 was found as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig, log_uniform
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.aberrations import ABERRATIONS
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.fit import SessionFit, fit_session
from napari_stem_gan.simulate.fit_aberrations import FITTED
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image

MATERIALS = ("MoS2", "WSe2", "graphene", "SrTiO3")
SCAN = (
    "smear_px", "smear_lorentzian", "flyback_px", "flyback_length_px", "wander_px", "wander_rows", "jitter_x_px",
    "jitter_y_px", "jitter_correlation",
)  # fmt: skip
SHAPES = {"smear_lorentzian": "smear_px", "flyback_length_px": "flyback_px", "wander_rows": "wander_px"}
BEFOREHAND = {"smear_px": 1.5, "smear_lorentzian": 0.3, **FITTED}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--verbose", action="store_true", help="print every number of every image")
    return parser.parse_args()


def draw_probe(rng: np.random.Generator, light: bool) -> OpticsConfig:
    """Residual aberrations of a corrected microscope; light atoms at a lower angle."""
    angles = {name: float(rng.uniform(0, 2 * np.pi)) for name in ("phi12", "phi21", "phi23")}
    optics = OpticsConfig(
        C10=float(rng.uniform(-60, 20)), C12=float(rng.uniform(0, 20)), C21=float(rng.uniform(0, 400)),
        C23=float(rng.uniform(0, 500)), source_size_fwhm_A=float(rng.uniform(0.5, 1.1)), **angles,
    )  # fmt: skip
    detector = {"energy_keV": 60.0, "convergence_semi_angle_mrad": 32.0, "adf_inner_mrad": 40.0}
    return replace(optics, **detector) if light else optics


def draw_scan(rng: np.random.Generator) -> ScanConfig:
    """Every effect is there in two of three images, or more."""
    jitter = float(rng.choice([0.0, 0.15, 0.4]))
    return ScanConfig(
        jitter_x_px=jitter, jitter_y_px=0.7 * jitter, jitter_correlation=float(rng.uniform(0, 0.6)),
        smear_px=float(rng.choice([0.0, rng.uniform(0.6, 2.0)], p=[0.4, 0.6])),
        smear_lorentzian=float(rng.uniform(0, 1)),
        flyback_px=float(rng.choice([0.0, rng.uniform(0.5, 3.0), rng.uniform(-1.5, -0.5)])),
        flyback_length_px=float(rng.uniform(6, 30)),
        wander_px=float(rng.choice([0.0, rng.uniform(0.1, 1.0)], p=[0.35, 0.65])),
        wander_rows=log_uniform(rng, 12, 150),
    )  # fmt: skip


def draws(count: int, seed: int, side: int) -> Iterator[tuple[STEMImage, str, OpticsConfig, ScanConfig]]:
    """Images with their material and the truth about probe and scan."""
    for number, sequence in enumerate(np.random.SeedSequence(seed).spawn(count)):
        rng = np.random.default_rng(sequence)
        material, size = get_material(MATERIALS[number % len(MATERIALS)]), float(rng.uniform(0.14, 0.22))
        light = material.key == "graphene"
        optics, scan = draw_probe(rng, light), draw_scan(rng)
        place = Field(
            material=material, vectors_px=lattice_vectors_px(material, size, float(rng.uniform(0, 360))),
            origin_px=tuple(rng.uniform(0, 20, 2)), shape=(side, side), pixel_size_A=size,
        )  # fmt: skip
        ideal = ideal_image(place, optics, DefectConfig(), rng)
        degradation = Degradation(
            contamination=ContaminationConfig(amount=float(rng.uniform(0, 0.3))), scan=scan,
            detector=DetectorConfig(
                dose_e_per_A2=log_uniform(rng, 1e4, 1e5) * (10 if light else 1), tail_px=float(rng.choice([0.0, 0.6]))
            ),
        )  # fmt: skip
        yield degrade(ideal, degradation, rng).image, material.key, optics, scan


def components(optics: OpticsConfig) -> dict[str, np.ndarray]:
    """Real components of each aberration."""
    found = {}
    for name in FITTED:
        order = ABERRATIONS[name][1]
        value = getattr(optics, name) * np.exp(1j * order * getattr(optics, f"phi{name[1:]}", 0.0))
        found[name] = np.array([value.real, value.imag] if order else [value.real])
    return found


def pulls_of(fit: SessionFit, optics: OpticsConfig, scan: ScanConfig) -> dict[str, np.ndarray]:
    """Error over stated error of every number that the image holds."""
    found, truth = components(fit.optics), components(optics)
    signs = [sum(np.abs(found[n] - s * truth[n]).sum() for n in ("C10", "C12")) for s in (1, -1)]
    sign = 1 if signs[0] <= signs[1] else -1
    values = {n: (found[n] - (sign if n in ("C10", "C12") else 1) * truth[n]) / fit.errors[n] for n in FITTED}
    size = "source_size_fwhm_A"
    values[size] = np.array([(getattr(fit.optics, size) - getattr(optics, size)) / fit.errors[size]])
    for name in SCAN:
        owner = SHAPES.get(name, name)
        if name == "jitter_correlation":
            owner = "jitter_x_px"
        if owner != name and not (getattr(fit.scan, owner) and getattr(scan, owner)):
            continue  # the shape of what is not there
        values[name] = np.array([(getattr(fit.scan, name) - getattr(scan, name)) / fit.errors[name]])
    return values


def main() -> None:
    options = arguments()
    pulls: dict[str, list[np.ndarray]] = {}
    errors: dict[str, list[float]] = {}
    seconds = []
    for number, (image, material, optics, scan) in enumerate(draws(options.draws, options.seed, options.side)):
        found = match(image, MatchConfig(material=material))
        if not found.accepted:
            print(f"draw {number} ({material}) was not matched: {found.reason}", flush=True)
            continue
        names = ("energy_keV", "convergence_semi_angle_mrad", "adf_inner_mrad")
        started = time.perf_counter()
        fit = fit_session(image, found, OpticsConfig(**{name: getattr(optics, name) for name in names}))
        seconds.append(time.perf_counter() - started)
        these = pulls_of(fit, optics, scan)
        for name, values in these.items():
            pulls.setdefault(name, []).append(values)
            errors.setdefault(name, []).append(fit.errors[name])
        far = {n: v.round(1).tolist() for n, v in these.items() if options.verbose or np.abs(v).max() > 3}
        if far:
            print(f"{number:3d} {material:9s} {far}", flush=True)
    print(f"\n{len(seconds)} images fitted in {np.median(seconds):.2f} s each (median)\n")
    print(f"{'':22s}{'images':>8s}{'told':>8s}{'mean':>8s}{'sd':>8s}{'within 2':>10s}{'error':>10s}")
    for name, parts in pulls.items():
        pull, error = np.concatenate(parts), np.array(errors[name])
        told = int((error < 0.5 * BEFOREHAND.get(name, np.inf)).sum())
        row = f"{pull.mean():8.2f}{pull.std():8.2f}{100 * np.mean(np.abs(pull) < 2):8.0f} %{np.median(error):10.3g}"
        print(f"{name:22s}{len(parts):8d}{told:8d}{row}")


if __name__ == "__main__":
    main()
