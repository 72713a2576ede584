"""Restoration against BM3D with the Anscombe transform, on drawn pairs that neither has seen.

python benchmarks/restoration.py [--model NAME_OR_PATH] [--signal physical|normalised] [--count 2] [--pictures DIR]

Specimens are made by the physical simulation (Molière cross-sections, aberrated probe), not by the
training distribution: MoS2 and WSe2 with vacancies, SrTiO3 and BaTiO3 [001], gold particles on carbon. Each is
scanned with jitter and a detector tail and counted at 5e2, 5e3 and 5e4 electrons per Å². `physical`
takes the detected fraction of the simulation; `normalised` sets the brightest pixel to 0.35 of the beam.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.detector import apply_detector
from napari_stem_gan.degrade.scan import apply_scan
from napari_stem_gan.image import STEMImage
from napari_stem_gan.metrics import psnr
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.restore.restorer import Restorer
from napari_stem_gan.simulate.adf import atom_weights_A2, render
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.draws import draw_field
from napari_stem_gan.simulate.pairs import ideal_image

SIDE_PX = 256
DOSES = (5e2, 5e3, 5e4)
SPECIMENS = ("2D crystal", "oxide", "nanoparticle")
NORMALISED_FRACTION = 0.35
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """Truth in electrons per pixel, the recorded image and what BM3D may know about the noise."""

    truth: Image
    raw: Image
    pixel_size_A: float
    read_noise_e: float


def optics(rng: np.random.Generator, energy_keV: float) -> OpticsConfig:
    return OpticsConfig(
        energy_keV=energy_keV,
        convergence_semi_angle_mrad=float(rng.uniform(21, 28)),
        adf_inner_mrad=60.0,
        source_size_fwhm_A=float(rng.uniform(0.6, 1.0)),
        C12=float(rng.uniform(0, 20)),
        phi12=float(rng.uniform(0, np.pi)),
        C21=float(rng.uniform(0, 400)),
        phi21=float(rng.uniform(0, 6.28)),
    )


def crystal(rng: np.random.Generator, name: str, energy_keV: float) -> tuple[Image, float]:
    shape = (SIDE_PX, SIDE_PX)
    field = draw_field(rng, get_material(name), shape, pixel_size_A=(0.13, 0.24), strain=0.0)
    made = ideal_image(field, optics(rng, energy_keV), DefectConfig(), rng)
    return made.image.data, field.pixel_size_A


def nanoparticle(rng: np.random.Generator) -> tuple[Image, float]:
    """Gold seen along [110], a cut sphere counted atom by atom, on amorphous carbon."""
    pixel, a = float(rng.uniform(0.15, 0.24)), 4.0782
    extent = SIDE_PX * pixel
    steps = np.arange(-20, 21)
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 1, 3)
    atoms = ((cells + base) * a).reshape(-1, 3)
    axes = np.array([[0, 0, 1], [1, -1, 0], [1, 1, 0]]) / np.array([[1.0], [2**0.5], [2**0.5]])
    atoms = atoms @ axes.T  # z along [110]
    atoms = atoms[np.linalg.norm(atoms, axis=1) < rng.uniform(0.28, 0.42) * extent]
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    gold = atoms[:, :2] @ rotation + extent * (0.5 + rng.uniform(-0.1, 0.1, 2))
    carbon = rng.uniform(-8, extent + 8, (int(0.09 * 60 * (extent + 16) ** 2), 2))  # 6 nm of carbon
    positions = np.concatenate([gold, carbon]) / pixel
    elements = np.array(["Au"] * len(gold) + ["C"] * len(carbon))
    probe = optics(rng, 200.0)
    weights = atom_weights_A2(elements, np.ones(len(elements), np.intp), probe)
    return render(positions, weights, (SIDE_PX, SIDE_PX), pixel_size_A=pixel, optics=probe), pixel


def clean_image(rng: np.random.Generator, specimen: str, number: int) -> tuple[Image, float]:
    if specimen == "2D crystal":
        return crystal(rng, ("MoS2", "WSe2")[number % 2], 80.0)
    if specimen == "oxide":
        return crystal(rng, ("SrTiO3", "BaTiO3")[number % 2], 200.0)
    return nanoparticle(rng)


def draw_pair(rng: np.random.Generator, specimen: str, number: int, dose: float, signal: str) -> Pair:
    fraction, pixel = clean_image(rng, specimen, number)
    if signal == "normalised":
        fraction = fraction * (NORMALISED_FRACTION / float(fraction.max()))
    fraction = np.minimum(fraction, 1.0)
    jitter = rng.uniform(0.03, 0.2, 2) / pixel
    scan = ScanConfig(
        jitter_x_px=jitter[0],
        jitter_y_px=jitter[1] / 2,
        jitter_correlation=float(rng.uniform(0, 0.6)),
        smear_px=float(rng.uniform(0.2, 0.7)),
        smear_lorentzian=0.3,
    )
    read = float(rng.uniform(0.1, 0.5))
    detector = DetectorConfig(dose_e_per_A2=dose, read_noise_e=read)
    moved = np.maximum(apply_scan(fraction, scan, rng), 0)
    raw = apply_detector(moved, pixel, detector, rng)
    return Pair(fraction * dose * pixel**2, raw, pixel, read)


def anscombe(x: Image, read: float) -> Image:
    """Generalised Anscombe transform for unit gain and no offset."""
    return 2 * np.sqrt(np.maximum(x + 3 / 8 + read**2, 0))


def exact_inverse(d: Image, read: float) -> Image:
    """Exact unbiased inverse in closed form (Mäkitalo and Foi, doi:10.1109/TIP.2012.2202675)."""
    d = np.maximum(d, 2 * np.sqrt(3 / 8))
    root = np.sqrt(1.5)
    value = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8 - read**2
    return np.maximum(value, 0)


def bm3d_anscombe(pair: Pair) -> Image:
    from bm3d import bm3d

    stable = anscombe(pair.raw, pair.read_noise_e)
    low, span = float(stable.min()), float(np.ptp(stable))
    denoised = bm3d((stable - low) / span, sigma_psd=1 / span)
    return exact_inverse(denoised * span + low, pair.read_noise_e).astype(np.float32)


def measure(
    pairs: list[Pair], restorer: Restorer, pictures: Path | None, label: str
) -> tuple[NDArray[np.float64], ...]:
    """PSNR (raw, BM3D, ours) of each pair and columns invented and erased."""
    scores, audits = [], []
    for number, pair in enumerate(pairs):
        ours = restorer.restore(STEMImage(data=pair.raw, pixel_size_A=pair.pixel_size_A), RestoreConfig())
        reference = bm3d_anscombe(pair)
        scores.append([psnr(pair.truth, image) for image in (pair.raw, reference, ours.image.data)])
        audits.append([len(ours.invented_px), len(ours.erased_px)])
        if pictures is not None and number == 0:
            save_row(pictures / f"{label}.png", [pair.raw, reference, ours.image.data, pair.truth])
    return np.array(scores), np.array(audits)


def save_row(path: Path, images: list[Image]) -> None:
    from PIL import Image as Picture

    path.parent.mkdir(parents=True, exist_ok=True)
    low, high = float(images[-1].min()), float(images[-1].max())
    row = np.concatenate([np.clip((image - low) / (high - low), 0, 1) for image in images], axis=1)
    Picture.fromarray((255 * row).astype(np.uint8)).save(path)


def flat_check(restorer: Restorer, rng: np.random.Generator) -> None:
    print("\npure noise: standard deviation left after restoration, relative to the noise")
    for mean in (1.0, 10.0, 100.0):
        noise = rng.poisson(mean, (SIDE_PX, SIDE_PX)).astype(np.float32)
        result = restorer.restore(STEMImage(data=noise, pixel_size_A=0.2))
        left = float(result.image.data.std() / noise.std())
        print(f"  {mean:6.0f} e/px: {left:.3f}, invented columns {len(result.invented_px)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="hr-stem")
    parser.add_argument("--signal", choices=("physical", "normalised"), default="physical")
    parser.add_argument("--count", type=int, default=2, help="pairs per specimen and dose")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--pictures", type=Path, default=None)
    options = parser.parse_args()
    restorer = Restorer.load(options.model, "cpu")
    rng = np.random.default_rng(options.seed)
    print(f"model {options.model}, signal {options.signal}, {options.count} pairs of {SIDE_PX}² per cell, PSNR in dB")
    print(f"{'specimen':14}{'e/Å²':>8}{'raw':>8}{'BM3D+A':>8}{'ours':>8}{'gain':>8}{'invented':>10}{'erased':>8}")
    cells = []
    for specimen in SPECIMENS:
        for dose in DOSES:
            pairs = [draw_pair(rng, specimen, number, dose, options.signal) for number in range(options.count)]
            scores, audits = measure(pairs, restorer, options.pictures, f"{specimen}-{dose:.0e}".replace(" ", "-"))
            cells.append(scores.mean(axis=0))
            raw, reference, ours = cells[-1]
            line = f"{specimen:14}{dose:8.0e}{raw:8.2f}{reference:8.2f}{ours:8.2f}{ours - reference:+8.2f}"
            print(f"{line}{audits[:, 0].sum():10d}{audits[:, 1].sum():8d}", flush=True)
    raw, reference, ours = np.mean(cells, axis=0)
    worst = min(cell[2] - cell[1] for cell in cells)
    print(f"{'mean':22}{raw:8.2f}{reference:8.2f}{ours:8.2f}{ours - reference:+8.2f}   worst cell {worst:+.2f}")
    flat_check(restorer, rng)
    large = rng.poisson(20, (1024, 1024)).astype(np.float32)
    started = time.perf_counter()
    restorer.restore_array(large)
    print(f"\n1024² in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
