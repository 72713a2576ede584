"""The incoherent simulation: against outside references, positions, cross-sections, and what it costs.

    python benchmarks/simulation.py [--data ../shared/data] [--device cpu] [--quick]

The reference images come with the project (shared/). OMP_NUM_THREADS sets the cores that the times are for; on a
graphics card add ``--device cuda``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from scipy.optimize import minimize

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import ContaminationConfig, DetectorConfig, ScanConfig
from napari_stem_gan.simulate.aberrations import optics_with
from napari_stem_gan.simulate.adf import atom_weights_A2, render
from napari_stem_gan.simulate.batch import labelled_batch
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.probe import band_limit, transfer_tensor
from napari_stem_gan.simulate.scene import Degradation, Field, Scene

ELEMENTS = ["B", "C", "N", "O", "Si", "S", "Ti", "Ga", "As", "Se", "Sr", "Mo", "Te", "Ce", "W", "Au"]
MOLIERE = {  # SCIENCE 2.4, 1e-3 Å², by keV, inner and outer mrad
    (60.0, 60.0, 200.0): "0.81 1.18 1.63 2.15 5.59 6.81 11.96 21.16 22.80 23.59 26.82 30.31 40.84 47.01 58.47 61.27",
    (80.0, 63.0, 200.0): "0.47 0.66 0.91 1.19 3.36 4.13 7.06 13.02 14.27 14.87 17.16 19.44 26.10 30.39 39.71 41.85",
    (80.0, 25.0, 200.0): "2.21 3.23 4.26 5.20 11.18 14.77 26.59 39.24 42.34 44.20 52.52 62.39 83.96 98.22 113.4 121.8",
    (200.0, 80.0, 200.0): "0.07 0.09 0.12 0.16 0.47 0.61 1.11 2.03 2.27 2.39 2.93 3.50 4.90 5.77 8.29 9.08",
    (300.0, 60.0, 200.0): "0.06 0.09 0.12 0.15 0.45 0.59 1.06 1.95 2.19 2.31 2.84 3.40 4.79 5.67 8.28 9.11",
}
HEAVY = Degradation(
    contamination=ContaminationConfig(amount=0.3, clusters_per_100nm2=4.0),
    scan=ScanConfig(jitter_x_px=0.3, jitter_y_px=0.2, jitter_correlation=0.5, smear_px=0.5),
    detector=DetectorConfig(dose_e_per_A2=5e4, pmt_spread=0.3, read_noise_e=0.5, tail_px=0.5, row_noise=0.01),
)


def optics_of(p: dict) -> OpticsConfig:
    """Optics of a reference file; its probe is mirrored, so odd aberrations turn by π."""
    found = {}
    for order, turn in {"12": 1.0, "21": -1.0, "23": -1.0}.items():
        for part in "ab":
            found[f"C{order}{part}"] = turn * 1e7 * p["aberrations_mm"].get(f"C{order}{part}", 0.0)
    optics = OpticsConfig(
        energy_keV=p["energy_keV"], convergence_semi_angle_mrad=p["convergence_semi_angle_mrad"],
        adf_inner_mrad=p["adf_inner_mrad"], adf_outer_mrad=p["adf_outer_mrad"],
        source_size_fwhm_A=p["source_size_fwhm_A"], defocus_spread_fwhm_A=p["defocus_spread_fwhm_A"],
        thermal_rms_A=0.0,
    )  # fmt: skip
    return optics_with(optics, {**found, "defocus": p["defocus_A"], "C30": p["Cs3_mm"] * 1e7})


def references(data: Path, device: str) -> None:
    """(a) Normalised rms error against images of another program; bar: 1 %."""
    print(f"{'reference':16s} {'nrms %':>8s} {'best scale':>10s} {'nrms % scaled':>13s}   bar: 1 %")
    for path in sorted((data / "reference" / "incoherent").glob("*.npz")):
        file = np.load(path)
        p = json.loads(str(file["parameters"]))
        optics = optics_of(p)
        symbols = np.array([chemical_symbols[z] for z in file["atomic_number"]])
        weights = atom_weights_A2(symbols, np.ones(len(symbols), int), optics)
        truth = file["image"].astype(float)
        options = {"pixel_size_A": p["pixel_size_A"], "optics": optics, "periodic": True, "device": device}
        image = render(file["position_px"], weights, truth.shape, **options)
        scale = (image * truth).sum() / (image * image).sum()
        errors = [np.sqrt(np.mean((k * image - truth) ** 2) / np.mean(truth**2)) for k in (1.0, scale)]
        print(f"{path.stem:16s} {100 * errors[0]:8.3f} {scale:10.4f} {100 * errors[1]:13.3f}")


def peak_px(image: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Place of the maximum of the band-limited interpolant of a periodic image, (y, x)."""
    spectrum = np.fft.fft2(image)
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        wave = spectrum * np.exp(2j * np.pi * (ky * p[0] + kx * p[1]))
        return -wave.real.sum(), 2 * np.pi * np.array([(ky * wave.imag).sum(), (kx * wave.imag).sum()])

    return np.asarray(minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-10 * image.sum()}).x)


def exact_mean(place: np.ndarray, shape: tuple[int, int], size: float, optics: OpticsConfig) -> np.ndarray:
    """Image of one atom whose pixels are true means: its Fourier sum times the pixel's transform, term by term."""
    fine = (8 * shape[0], 8 * shape[1])
    ky, kx = np.fft.fftfreq(fine[0], 0.125)[:, None], np.fft.rfftfreq(fine[1], 0.125)[None]  # cycles per pixel
    turns = np.exp(-2j * np.pi * (ky * place[0] + kx * place[1])) * np.sinc(ky) * np.sinc(kx)
    transfer = transfer_tensor(optics, fine, (shape[0] * size, shape[1] * size)).numpy()
    return np.fft.irfft2(turns * transfer, s=fine)[::8, ::8] * 64 / size**2


def shift_px(image: np.ndarray, place: np.ndarray, size: float, optics: OpticsConfig) -> np.ndarray:
    """Least-squares shift of an image of means against the exact image of an atom at `place`, (y, x)."""
    step = 1e-3
    moves = step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    both = [exact_mean(place + move, image.shape, size, optics) for move in moves]
    slopes = np.stack([(both[0] - both[1]).ravel(), (both[2] - both[3]).ravel()], 1) / (2 * step)
    rest = (image - exact_mean(place, image.shape, size, optics)).ravel()
    return np.linalg.lstsq(slopes, rest, rcond=None)[0]


def positions(device: str, count: int = 64) -> None:
    """(b) Where an isolated atom of a symmetric probe appears, against where it was put; bar: 0.3 pm."""
    print(f"\n{'keV':>4s} {'mrad':>5s} {'pixel Å':>8s} {'largest error pm':>17s} {'rms pm':>8s}   bar: 0.3 pm")
    rng = np.random.default_rng(0)
    for optics in (OpticsConfig(), OpticsConfig(energy_keV=200.0, convergence_semi_angle_mrad=32.0)):
        for size in (0.1, 0.13, 0.16, 0.19, 0.22, 0.25):
            shape, coarse = (int(12 / size),) * 2, 2.02 * band_limit(optics) * size > 1
            options = {"pixel_size_A": size, "optics": optics, "periodic": True, "device": device}
            errors = []
            for _ in range(count):
                place = shape[0] / 2 + rng.uniform(-0.5, 0.5, 2)
                image = render(place[None], np.ones(1), shape, **options).astype(float)
                off = shift_px(image, place, size, optics) if coarse else peak_px(image, np.rint(place)) - place
                errors.append(np.hypot(*off) * size * 100)
            row = f"{max(errors):17.4f} {np.sqrt(np.mean(np.square(errors))):8.4f}"
            note = "   coarser than the band limit" if coarse else ""
            print(f"{optics.energy_keV:4.0f} {optics.convergence_semi_angle_mrad:5.0f} {size:8.2f} {row}{note}")


def cross_sections() -> None:
    """(c) Molière cross-sections against the table; bar: 2 %, or half a digit of the table where that is more."""
    print(f"\n{'keV':>4s} {'mrad':>7s} {'largest % off':>14s} {'at':>3s} {'beyond half a digit %':>22s}   bar: 2 %")
    start, count = time.perf_counter(), 0
    for (energy, inner, outer), text in MOLIERE.items():
        table = [(float(v), 0.5 * 10.0 ** -len(v.split(".")[1])) for v in text.split()]
        ours = [1e3 * partial_cross_section_A2(e, energy, inner, outer) for e in ELEMENTS]
        off = np.array([100 * abs(o / t - 1) for o, (t, _) in zip(ours, table, strict=True)])
        beyond = np.array([100 * max(abs(o - t) - h, 0) / t for o, (t, h) in zip(ours, table, strict=True)])
        worst = int(off.argmax())
        angles = f"{inner:.0f}-{outer:.0f}"
        print(f"{energy:4.0f} {angles:>7s} {off[worst]:14.2f} {ELEMENTS[worst]:>3s} {beyond.max():22.2f}")
        count += len(ELEMENTS)
    print(f"{1e3 * (time.perf_counter() - start) / count:.1f} ms for one element and detector, once")


@dataclass(frozen=True)
class Cost:
    """Shortest of several warm runs: seconds on the clock, and of processor time where the clock is shared."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.3f} s ({self.cpu_s:.3f})"


def cost(work: Callable[[], object], repeats: int = 7) -> Cost:
    """Time a function."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return Cost(min(wall), min(cpu))


def scaling(device: str, *, quick: bool) -> None:
    """(d) Time of one clean image, and how it grows with atoms and pixels."""
    rng = np.random.default_rng(0)

    def rendered(atoms: int, side: int) -> Cost:
        places, weights = rng.uniform(0, side - 1, (atoms, 2)), np.full(atoms, 0.02)
        options = {"pixel_size_A": 0.2, "optics": OpticsConfig(), "device": device}
        return cost(lambda: render(places, weights, (side, side), **options), 3 if quick else 7)

    def used(costs: Sequence[Cost]) -> np.ndarray:
        return np.array([c.cpu_s if device == "cpu" else c.wall_s for c in costs])

    print(f"\n1024², 14,000 atoms, warm: {rendered(14_000, 1024)}   bar: 0.10 s   (in brackets: processor time)")
    counts = [10_000, 100_000, 300_000] if quick else [10_000, 100_000, 300_000, 1_000_000]
    costs = [rendered(n, 1024) for n in counts]
    print("atoms at 1024²:  " + "  ".join(f"{n:,}: {c}" for n, c in zip(counts, costs, strict=True)))
    per_atom = 1e6 * np.diff(used(costs)) / np.diff(counts)
    print("  µs for one atom more (constant: linear): " + "  ".join(f"{p:.2f}" for p in per_atom))
    sides = [512, 1024, 2048] if quick else [512, 1024, 2048, 4096]
    costs = [rendered(int(14_000 * (s / 1024) ** 2), s) for s in sides]
    print("pixels at one density:  " + "  ".join(f"{s}²: {c}" for s, c in zip(sides, costs, strict=True)))
    points = np.array(sides, float) ** 2
    slopes = [np.polyfit(np.log(points), np.log(y), 1)[0] for y in (used(costs), points * np.log(points))]
    print(f"  exponent in pixels {slopes[0]:.2f} (N log N: {slopes[1]:.2f})")


def session(device: str, batch: int) -> None:
    """(e) Labelled, degraded 1024² images, each with its own probe, and what 200 of them cost."""
    material = get_material("WSe2")
    vectors = lattice_vectors_px(material, 0.2, 7.0)
    field = Field(material=material, vectors_px=vectors, origin_px=(3.0, 4.0), shape=(1024, 1024), pixel_size_A=0.2)

    def make() -> None:
        scenes = [
            Scene(field=field, optics=OpticsConfig(C23=10.0 * i), defects=DefectConfig(), degradation=HEAVY)
            for i in range(batch)
        ]
        labelled_batch(scenes, [np.random.default_rng(i) for i in range(batch)], device=device)

    total = cost(make, 5)
    each = Cost(total.wall_s / batch, total.cpu_s / batch)
    print(f"\nlabelled, degraded 1024² in batches of {batch}: {each} an image, 200 images {200 * each.wall_s:.0f} s")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="fewer sizes")
    options = parser.parse_args()
    print(f"device {options.device}, {torch.get_num_threads()} threads\n")
    references(options.data, options.device)
    positions(options.device)
    cross_sections()
    scaling(options.device, quick=options.quick)
    session(options.device, 4 if options.device == "cpu" else 32)


if __name__ == "__main__":
    main()
