"""Simulated image against the outside reference images: normalised rms error and time.

    python benchmarks/simulation.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from napari_stem_gan.simulate.adf import atom_weights_A2, render
from napari_stem_gan.simulate.config import OpticsConfig


def optics_of(p: dict) -> OpticsConfig:
    """Optics of a reference file; its probe is mirrored, so odd aberrations turn by π."""
    found = {}
    for order, (power, turn) in {"12": (1e7, 0.0), "21": (1e7, np.pi), "23": (1e7, np.pi)}.items():
        a = p["aberrations_mm"].get(f"C{order}a", 0.0) * power
        b = p["aberrations_mm"].get(f"C{order}b", 0.0) * power
        m = int(order[1])
        found[f"C{order}"], found[f"phi{order}"] = float(np.hypot(a, b)), float((np.arctan2(b, a) + turn) / m)
    return OpticsConfig(
        energy_keV=p["energy_keV"], convergence_semi_angle_mrad=p["convergence_semi_angle_mrad"],
        adf_inner_mrad=p["adf_inner_mrad"], adf_outer_mrad=p["adf_outer_mrad"],
        source_size_fwhm_A=p["source_size_fwhm_A"], defocus_spread_fwhm_A=p["defocus_spread_fwhm_A"],
        thermal_rms_A=0.0, C10=-p["defocus_A"], C30=p["Cs3_mm"] * 1e7, **found,
    )  # fmt: skip


def main() -> None:
    """Print one line per reference image and the time of a 1024² field."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    print(f"{'case':16s} {'nrms %':>8s} {'best scale':>10s} {'nrms % scaled':>13s}")
    for path in sorted((data / "reference" / "incoherent").glob("*.npz")):
        file = np.load(path)
        p = json.loads(str(file["parameters"]))
        optics = optics_of(p)
        symbols = np.array([chemical_symbols[z] for z in file["atomic_number"]])
        weights = atom_weights_A2(symbols, np.ones(len(symbols), int), optics)
        truth = file["image"].astype(float)
        image = render(
            file["position_px"], weights, truth.shape, pixel_size_A=p["pixel_size_A"], optics=optics, periodic=True
        )
        error = np.sqrt(np.mean((image - truth) ** 2)) / np.sqrt(np.mean(truth**2))
        scale = (image * truth).sum() / (image * image).sum()
        scaled = np.sqrt(np.mean((scale * image - truth) ** 2)) / np.sqrt(np.mean(truth**2))
        print(f"{path.stem:16s} {100 * error:8.3f} {scale:10.4f} {100 * scaled:13.3f}")
    rng = np.random.default_rng(0)
    positions, weights = rng.uniform(0, 1023, (14000, 2)), np.full(14000, 0.02)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        render(positions, weights, (1024, 1024), pixel_size_A=0.2, optics=OpticsConfig())
        seconds.append(time.perf_counter() - start)
    print(f"1024², 14,000 atoms, warm: best {min(seconds[1:]):.3f} s, first {seconds[0]:.3f} s")


if __name__ == "__main__":
    main()
