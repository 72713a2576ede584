"""How columns of thick crystals brighten with their atoms: multislice (abTEM) against `simulate.thickness`.

    pip install "napari-stem-gan[multislice]"
    python benchmarks/thickness.py [--energy 200] [--configurations 8] [SrTiO3 "Si [110]" "Au [001]" ...]

Every column of at least a tenth of the strongest is measured, blurred by the source, over a crystal of one repeat; and
the point farthest from all columns, over the first column. Multislice: frozen phonons, as many repeats as make 16 nm.
The model is its own image of the same crystal, read in the same way. `before`: each repeat sees a 25th less of the beam
than the one above it, in every column. Errors are root mean squares of log ratios over all thicknesses, of the column
and of its height over the gap, which multislice fills with what leaves the columns and the model leaves dark. Half a
minute to three minutes a crystal on one thread.
abTEM is GPL-3 and used here only.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import abtem
import dask
import numpy as np
from ase import Atoms

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.crystal.export import to_atoms
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.structure import fill_field, rotation_matrix
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2, wavelength_A
from napari_stem_gan.simulate.probe import FWHM_PER_SIGMA, transfer_tensor
from napari_stem_gan.simulate.thickness import depth_factors

MATERIALS = ["SrTiO3", "Si [110]", "GaAs [110]", "CeO2 [110]", "CdTe [110]", "Au [001]", "Au [110]"]
ANGLES = {80: (25.0, 63.0, 200.0), 200: (22.0, 80.0, 180.0), 300: (25.0, 60.0, 200.0)}  # convergence, inner, outer
THICKNESS_A, SIDE_A, COARSEST_A = 160.0, 11.0, 0.06
LOW = 0.2  # of a repeat: keeps moving atoms off the faces between slices
FAINT = 0.1
LAYERS_BEFORE = 25.0
POINTS = (96, 96)  # of the model's image; holds the probe's band limit
PERFECT = DefectConfig(planted="", **dict.fromkeys(
    ("single_vacancy", "double_vacancy", "metal_vacancy", "anion_substitution", "metal_substitution", "jitter_A"), 0.0
))  # fmt: skip


@dataclass(frozen=True)
class Crystal:
    """A periodic piece of crystal: its columns, those that are measured, and the gap between them, (y, x) in Å."""

    material: Material
    atoms: Atoms
    columns_A: np.ndarray
    kind: np.ndarray
    measured: dict[int, int]  # index of a material's column: of the one that is measured
    gap_A: np.ndarray

    @property
    def cell_A(self) -> np.ndarray:
        return self.atoms.cell.lengths()[1::-1]


def optics_at(energy_keV: int, thermal_rms_A: float) -> OpticsConfig:
    """Probe and detector of the comparison."""
    names = ("convergence_semi_angle_mrad", "adf_inner_mrad", "adf_outer_mrad")
    angles = dict(zip(names, ANGLES[energy_keV], strict=True))
    return OpticsConfig(energy_keV=energy_keV, thermal_rms_A=thermal_rms_A, **angles)


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


def build(name: str, repeats: int) -> Crystal:
    """Rectangular crystal of at least `SIDE_A`."""
    material = get_material(name).with_layers(repeats)
    cell, vectors = rectangle(material)
    shape, side = (64, 64), np.ceil(SIDE_A / cell).astype(int) * cell
    pixels = np.array(shape) / side  # not square: sites are scaled back below
    sites = fill_field(material, vectors * pixels, shape, origin_px=(0.01, 0.01))
    atoms = to_atoms(plant_defects(sites, PERFECT, 1.0, np.random.default_rng(0)), 1.0, shape, vacuum_A=0.0)
    atoms.set_cell([*side[::-1], material.period_A * repeats])
    atoms.positions[:, :2] = (atoms.positions[:, :2] - 0.51) / pixels[::-1]
    atoms.positions[:, 2] += LOW * material.period_A
    atoms.pbc = True
    atoms.wrap()
    columns = (sites.positions_px - 0.01) / pixels
    bright = single_weights(material, OpticsConfig())
    from_middle = np.linalg.norm(columns - side / 2, axis=1)
    measured = {
        k: int(np.where(sites.column == k, from_middle, np.inf).argmin()) for k in range(len(bright))
        if bright[k] > FAINT * bright.max()
    }  # fmt: skip
    return Crystal(material, atoms, columns, sites.column, measured, farthest(columns, cell, side))


def farthest(columns: np.ndarray, cell: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Point of the middle cell farthest from every column, (y, x) in Å."""
    grid = np.stack(np.meshgrid(*(np.arange(40) / 40 * c for c in cell), indexing="ij"), -1).reshape(-1, 2) + cell
    apart = grid[:, None] - columns
    apart -= side * np.rint(apart / side)
    return grid[np.linalg.norm(apart, axis=-1).min(1).argmax()]


def single_weights(material: Material, optics: OpticsConfig) -> np.ndarray:
    """Weight in Å² of one repeat of every column, (columns,)."""
    angles = (optics.energy_keV, optics.adf_inner_mrad, optics.adf_outer_mrad)
    return np.array([sum(partial_cross_section_A2(a, *angles) for a in c.atoms) for c in material.columns])


def multislice(crystal: Crystal, optics: OpticsConfig, configurations: int) -> np.ndarray:
    """Brightness of the measured columns and the gap after each repeat, (repeats, columns + 1)."""
    period, repeats = crystal.material.period_A, crystal.material.layers
    outer = 1e-3 * optics.adf_outer_mrad / wavelength_A(1.0 * optics.energy_keV)
    sampling = min(COARSEST_A, 1 / (3 * outer))  # the outer angle at two thirds of the highest frequency
    gpts = [int(2 * np.ceil(side / sampling / 2)) for side in crystal.cell_A[::-1]]
    places = np.concatenate([crystal.columns_A[list(crystal.measured.values())], crystal.gap_A[None]])
    offsets, weights = source_points(optics)
    scan = abtem.CustomScan((places[:, None] + offsets).reshape(-1, 2)[:, ::-1])
    probe = abtem.Probe(energy=optics.energy_keV * 1e3, semiangle_cutoff=optics.convergence_semi_angle_mrad)
    detector = abtem.AnnularDetector(optics.adf_inner_mrad, optics.adf_outer_mrad)
    total = np.zeros((repeats, len(places)))
    for seed in range(configurations):
        potential = abtem.Potential(
            abtem.FrozenPhonons(crystal.atoms, 1, optics.thermal_rms_A, seed=seed), gpts=gpts,
            slice_thickness=period / 2, projection="infinite", exit_planes=tuple(range(1, 2 * repeats, 2)),
        )  # fmt: skip
        values = np.asarray(probe.scan(potential, scan=scan, detectors=detector, lazy=False).array, float)
        total += values.reshape(repeats, len(places), len(weights)) @ weights / configurations
    return total


def source_points(optics: OpticsConfig) -> tuple[np.ndarray, np.ndarray]:
    """Seven points and weights that stand for a Gaussian source, exact to the fifth order; (7, 2) in Å and (7,)."""
    angle, reach = np.arange(6) * np.pi / 3, 2 * optics.source_size_fwhm_A / FWHM_PER_SIGMA
    ring = reach * np.stack([np.sin(angle), np.cos(angle)], 1)
    return np.concatenate([np.zeros((1, 2)), ring]), np.array([0.5, *[1 / 12] * 6])


def model(crystal: Crystal, optics: OpticsConfig, factors: np.ndarray) -> np.ndarray:
    """Brightness of the measured columns and the gap in the package's image, (repeats, columns + 1)."""
    weights = (single_weights(crystal.material, optics)[:, None] * np.cumsum(factors, 1))[crystal.kind]  # (N, repeats)
    places = np.concatenate([crystal.columns_A[list(crystal.measured.values())], crystal.gap_A[None]])
    spread = np.fft.irfft2(transfer_tensor(optics, POINTS, tuple(crystal.cell_A)).numpy(), s=POINTS)
    ky, kx = (np.fft.fftfreq(n, 1 / n) for n in POINTS)
    transfer = np.fft.fft2(spread).real
    apart = (places[:, None] - crystal.columns_A) / crystal.cell_A  # (places, N, 2)
    turns = np.exp(2j * np.pi * ky * apart[..., :1]) @ transfer * np.exp(2j * np.pi * kx * apart[..., 1:])
    return (turns.sum(-1).real / crystal.cell_A.prod() @ weights).T


def log_error(found: np.ndarray, true: np.ndarray) -> float:
    """Root mean square of the log ratio in per cent."""
    return float(100 * np.sqrt(np.mean(np.log(np.maximum(found, 1e-9) / true) ** 2)))


def images(crystal: Crystal, optics: OpticsConfig, configurations: int) -> dict[str, np.ndarray]:
    """Brightness of the measured columns and the gap by title, (repeats, columns + 1)."""
    name, repeats = crystal.material.key, crystal.material.layers
    true = multislice(crystal, optics, configurations)
    true[:1] = multislice(build(name, 1), optics, 5 * configurations)  # one repeat alone is noisy, and quick
    before = np.exp(-np.arange(repeats) / LAYERS_BEFORE) * np.ones((len(crystal.material.columns), 1))
    now = depth_factors(crystal.material, repeats, optics)
    return {"multislice": true, "before": model(crystal, optics, before), "now": model(crystal, optics, now)}


def errors(found: dict[str, np.ndarray], column: int) -> list[float]:
    """Of the column before and now, and of its height over the gap before and now."""
    values = {title: v[:, column] for title, v in found.items()}
    heights = {title: v[:, column] - v[:, -1] for title, v in found.items()}
    grown = [{title: v[1:] / v[0] for title, v in kind.items()} for kind in (values, heights)]
    return [log_error(g[title], g["multislice"]) for g in grown for title in ("before", "now")]


def compare(name: str, optics: OpticsConfig, configurations: int) -> list[tuple[str, list[float]]]:
    """Print the growth of every column and the gap, and return every column's `errors`."""
    start = time.perf_counter()
    crystal = build(name, max(1, round(THICKNESS_A / get_material(name).period_A)))
    found = images(crystal, optics, configurations)
    shown = [n for n in (2, 5, 10, 15, 20, 25, 30, 40) if n <= crystal.material.layers]
    print(f"\n{name}, {optics.energy_keV:g} kV, {optics.thermal_rms_A:g} Å ({time.perf_counter() - start:.0f} s)")
    print(f"{'repeats':22s}" + "".join(f"{n:7d}" for n in shown))
    labels = [crystal.material.columns[k].sublattice for k in crystal.measured]
    for i, label in enumerate([*labels, "gap"]):
        for title, values in found.items():
            grown = values[:, i] / values[0, i if i < len(labels) else 0]
            print(f"{label:10s} {title:11s}" + "".join(f"{grown[n - 1]:7.2f}" for n in shown), flush=True)
    return [(f"{name} {label}", errors(found, i)) for i, label in enumerate(labels)]


def main() -> None:
    """Print the growth of every crystal, then errors before and now."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("materials", nargs="*", default=MATERIALS)
    parser.add_argument("--energy", type=int, choices=sorted(ANGLES), default=200, help="beam energy in kV")
    parser.add_argument("--thermal", type=float, default=0.08, help="thermal displacement (rms per axis) in Å")
    parser.add_argument("--configurations", type=int, default=8, help="frozen-phonon configurations")
    options = parser.parse_args()
    abtem.config.set({"device": "cpu", "precision": "float32"})
    dask.config.set(scheduler="single-threaded")
    optics = optics_at(options.energy, options.thermal)
    rows = [row for name in options.materials for row in compare(name, optics, options.configurations)]
    titles = ("column before", "now", "over gap before", "now")
    print(f"\n{'error over all thicknesses, %':30s}" + "".join(f"{t:>16s}" for t in titles))
    for label, values in [*rows, ("mean", np.mean([r[1] for r in rows], 0))]:
        print(f"{label:30s}" + "".join(f"{v:16.0f}" for v in values))


if __name__ == "__main__":
    main()
