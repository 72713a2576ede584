"""How the annular dark field of thick crystals grows with thickness: multislice (abTEM) against the thickness factor.

    pip install "napari-stem-gan[multislice]"
    python benchmarks/thickness.py [--configurations 3] [SrTiO3 "Si [110]" "Au [001]"]

200 kV, 22 mrad, 80-180 mrad, frozen phonons (0.08 Å). Two measures: the mean over the cell, which is what all columns
scatter together, and the value on the brightest column. Both are over those of the thinnest crystal, per repeat.
abTEM is GPL-3 and used here only.
"""

from __future__ import annotations

import argparse
import time

import abtem
import dask
import numpy as np
from ase import Atoms

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.crystal.export import to_atoms
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.structure import fill_field, rotation_matrix
from napari_stem_gan.simulate.thickness import SATURATION_LAYERS, thickness_factor

ENERGY_EV, CONVERGENCE_MRAD, DETECTOR_MRAD = 200e3, 22.0, (80.0, 180.0)
PHONON_A, SAMPLING_A, SIDE_A = 0.08, 0.046, 11.0
PROBES = 8
PERFECT = DefectConfig(planted="", **dict.fromkeys(
    ("single_vacancy", "double_vacancy", "metal_vacancy", "anion_substitution", "metal_substitution", "jitter_A"), 0.0
))  # fmt: skip


def rectangle(material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Smallest rectangular cell (y, x) in Å, columns' stagger included, and the cell's rows turned to lie along it."""
    steps = [(i, j) for i in range(-4, 5) for j in range(-4, 5) if (i, j) != (0, 0)]
    rise = [np.dot(s, material.rise_A) / material.period_A for s in steps]
    whole = np.array([s for s, r in zip(steps, rise, strict=True) if abs(r - np.rint(r)) < 1e-6])
    vectors = whole @ material.cell
    area = np.abs(vectors[:, None, 0] * vectors[None, :, 1] - vectors[:, None, 1] * vectors[None, :, 0])
    along = np.abs(vectors @ vectors.T) < 1e-6
    first, second = np.unravel_index(np.where(along, area, np.inf).argmin(), area.shape)
    angle = np.degrees(np.arctan2(*vectors[first]))
    return np.array([np.linalg.norm(vectors[second]), np.linalg.norm(vectors[first])]), (
        material.cell @ rotation_matrix(-angle)
    )


def supercell(name: str, repeats: int) -> tuple[Atoms, np.ndarray]:
    """Rectangular crystal of at least `SIDE_A`, and one of its cells (y, x) in Å."""
    material = get_material(name).with_layers(repeats)
    cell, vectors = rectangle(material)
    number = np.ceil(SIDE_A / cell).astype(int)
    shape, side = (64, 64), number * cell
    pixels = np.array(shape) / side  # not square: sites are scaled back below
    sites = fill_field(material, vectors * pixels, shape, origin_px=(0.01, 0.01))
    made = plant_defects(sites, PERFECT, 1.0, np.random.default_rng(0))
    atoms = to_atoms(made, 1.0, shape, vacuum_A=0.0)
    atoms.set_cell([*side[::-1], material.period_A * repeats])
    atoms.positions[:, :2] = (atoms.positions[:, :2] - 0.51) / pixels[::-1]
    atoms.pbc = True
    return atoms, cell


def growth(name: str, repeats: int, configurations: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the cell and value on the brightest column after 1 to `repeats` repeats."""
    atoms, cell = supercell(name, repeats)
    period = get_material(name).period_A
    gpts = [int(2 * np.ceil(side / SAMPLING_A / 2)) for side in atoms.cell.lengths()[:2]]
    slices = 2 * repeats
    images = []
    for seed in range(configurations):
        start = time.perf_counter()
        potential = abtem.Potential(
            abtem.FrozenPhonons(atoms, 1, PHONON_A, seed=seed), gpts=gpts, slice_thickness=period / 2,
            projection="infinite", exit_planes=tuple(range(1, slices, 2)),
        )  # fmt: skip
        probe = abtem.Probe(energy=ENERGY_EV, semiangle_cutoff=CONVERGENCE_MRAD)
        scan = abtem.GridScan((0, 0), tuple(cell[::-1]), gpts=(PROBES, PROBES), endpoint=False)
        result = probe.scan(potential, scan=scan, detectors=abtem.AnnularDetector(*DETECTOR_MRAD), lazy=False)
        images.append(np.asarray(result.array, float).squeeze())
        print(f"  {name}, configuration {seed + 1}: {time.perf_counter() - start:.0f} s", flush=True)
    mean = np.mean(images, 0)  # (repeats, x, y)
    thin = mean[:3].mean(0)
    brightest = np.unravel_index(thin.argmax(), thin.shape)
    return mean.mean((1, 2)), mean[:, brightest[0], brightest[1]]


def best_saturation(values: np.ndarray) -> float:
    """Number of repeats n0 whose factor grows most like `values`."""
    n = np.arange(1, len(values) + 1)
    trials = np.geomspace(5, 2000, 200)
    curves = [(1 - np.exp(-n / t)) for t in trials]
    misfits = [np.linalg.norm(values - c * (values @ c) / (c @ c)) for c in curves]
    return float(trials[int(np.argmin(misfits))])


def main() -> None:
    """Print both growths and the factor for every crystal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("materials", nargs="*", default=["SrTiO3", "Si [110]", "Au [001]"])
    parser.add_argument("--configurations", type=int, default=3, help="frozen-phonon configurations")
    parser.add_argument("--repeats", type=int, default=40, help="thickest crystal in repeats")
    options = parser.parse_args()
    abtem.config.set({"device": "cpu", "precision": "float32"})
    dask.config.set(scheduler="single-threaded")
    for name in options.materials:
        mean, column = growth(name, options.repeats, options.configurations)
        period = get_material(name).period_A
        print(f"\n{name}: repeats, nm, mean over the cell, brightest column, factor (n0 = {SATURATION_LAYERS:g})")
        for n in (1, 2, 5, 10, 15, 20, 25, 30, 40):
            if n <= options.repeats:
                grown = mean[n - 1] / mean[0], column[n - 1] / column[0], thickness_factor(n)
                print(f"{n:4d} {n * period / 10:6.1f} " + " ".join(f"{g:8.2f}" for g in grown))
        print(f"best n0: mean {best_saturation(mean):.0f}, brightest column {best_saturation(column):.0f}")


if __name__ == "__main__":
    main()
