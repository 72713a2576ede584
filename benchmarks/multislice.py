"""Column intensities of the incoherent model against multislice (abTEM): a WSe2 monolayer with one Se missing.

    pip install "napari-stem-gan[multislice]"
    python benchmarks/multislice.py [--phonons 10] [--save images.npz] [--load images.npz]

A cell of 2 × 2 nm from this package's crystal, 80 kV, 25 mrad, 63-200 mrad, atoms displaced by 0.06 Å (rms per axis) or
at rest. Multislice and model are measured in the same two ways: the weight of every column by least squares with the
model's probe (strict), and the mean intensity of every column's Voronoi cell (what one does with an experiment).
One to three minutes a configuration on one thread of a shared machine. abTEM is GPL-3 and used here only.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.cross_sections import partial_cross_section_A2
from napari_stem_gan.simulate.probe import transfer_tensor
from napari_stem_gan.simulate.scene import PAIR_STACK_FACTOR

REPEATS = (6, 4)  # orthogonal cells along x and y: 1.97 × 2.27 nm
GRID = (800, 920)  # points of the potential: 0.025 Å; at 0.06 Å W comes out 9 % too bright and Se 7 % too dark
SCAN = (48, 56)  # probe positions along x and y: 0.41 Å, just finer than the band limit asks for
SLICE_A = 1.68  # half of the Se-Se distance: one atomic plane in each of three slices
OPTICS = OpticsConfig(source_size_fwhm_A=0.0, thermal_rms_A=0.06)


def columns_of(material_name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (N, 2) as (y, x) in Å, index of each in the material, and height and width of the cell in Å."""
    material = get_material(material_name)
    vectors = lattice_vectors_px(material, 1.0, 0.0)
    nx, ny = REPEATS
    cell = np.array([2 * ny * vectors[1, 0], nx * vectors[0, 1]])
    i, j = np.meshgrid(np.arange(nx), np.arange(2 * ny), indexing="ij")
    basis = np.array([c.fraction for c in material.columns])
    fractions = (np.stack([i.ravel(), j.ravel()], 1)[:, None] + basis).reshape(-1, 2)
    return (fractions @ vectors) % cell, np.tile(np.arange(len(basis)), i.size), cell


def vacancy_site(positions: np.ndarray, kind: np.ndarray, cell: np.ndarray) -> int:
    """The anion column nearest the middle of the cell."""
    return int(np.argmin(np.hypot(*(positions - cell / 2).T) + 1e9 * (kind != 1)))


def structure(material_name: str) -> Atoms:
    """The cell with one Se of the entrance face missing, three slices thick."""
    material = get_material(material_name)
    positions, kind, cell = columns_of(material_name)
    hole = vacancy_site(positions, kind, cell)
    symbols, places = [], []
    for n, ((y, x), k) in enumerate(zip(positions, kind, strict=True)):
        column = material.columns[k]
        for m, (symbol, height) in enumerate(zip(column.atoms, column.heights_A, strict=True)):
            if not (n == hole and m == 0):
                symbols.append(symbol)
                places.append((x, y, 1.5 * SLICE_A - height))  # the beam enters at z = 0 and meets the top atom first
    return Atoms(symbols, places, cell=(cell[1], cell[0], 3 * SLICE_A), pbc=True)


def multislice(atoms: Atoms, phonons: int) -> np.ndarray:
    """Mean image over `phonons` configurations (0: atoms at rest), (Y, X), as a fraction of the beam."""
    import abtem
    import dask

    abtem.config.set({"device": "cpu", "precision": "float32"})
    dask.config.set(scheduler="single-threaded")
    images = []
    for n in range(max(phonons, 1)):
        start = time.perf_counter()
        images.append(one_image(abtem.FrozenPhonons(atoms, 1, OPTICS.thermal_rms_A, seed=n) if phonons else atoms))
        print(f"  configuration {n + 1} of {max(phonons, 1)}: {time.perf_counter() - start:.0f} s", flush=True)
    return np.mean(images, 0)


def one_image(atoms: object) -> np.ndarray:
    """One configuration, (Y, X); PRISM with every second beam, which keeps means to 0.3 % and is five times faster."""
    import abtem

    potential = abtem.Potential(
        atoms, gpts=GRID, slice_thickness=SLICE_A, projection="infinite", parametrization="lobato"
    ).build(lazy=False)
    matrix = abtem.SMatrix(
        potential=potential, energy=OPTICS.energy_keV * 1e3, semiangle_cutoff=OPTICS.convergence_semi_angle_mrad,
        interpolation=2,
    )  # fmt: skip
    scan = abtem.GridScan(start=(0, 0), end=tuple(potential.extent), gpts=SCAN, endpoint=False)
    detector = abtem.AnnularDetector(OPTICS.adf_inner_mrad, OPTICS.adf_outer_mrad)
    return np.asarray(matrix.scan(scan=scan, detectors=detector, lazy=False).array, float).squeeze().T


def column_images(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Image of one Å² at every column, (N, Y, X): the model, atom by atom."""
    shape = SCAN[::-1]
    ky, kx = np.fft.fftfreq(shape[0], 1 / shape[0]), np.fft.rfftfreq(shape[1], 1 / shape[1])
    turns = (positions[:, :1] / cell[0] * ky)[:, :, None] + (positions[:, 1:] / cell[1] * kx)[:, None]
    transfer = transfer_tensor(OPTICS, shape, tuple(cell)).numpy()
    return np.fft.irfft2(np.exp(-2j * np.pi * turns) * transfer, s=shape) * shape[0] * shape[1] / cell.prod()


def cell_means(image: np.ndarray, positions: np.ndarray, cell: np.ndarray, fine: int = 8) -> np.ndarray:
    """Mean of the band-limited image over every column's Voronoi cell, (N,)."""
    shape = [n * fine for n in image.shape]
    spectrum = np.zeros(shape, complex)
    index = np.ix_(*(np.rint(np.fft.fftfreq(n, 1 / n)).astype(int) for n in image.shape))
    spectrum[index] = np.fft.fft2(image) * fine**2
    dense = np.fft.ifft2(spectrum).real
    y, x = np.meshgrid(*(np.arange(n) * side / n for n, side in zip(shape, cell, strict=True)), indexing="ij")
    nearest = cKDTree(positions % cell, boxsize=cell).query(np.stack([y.ravel(), x.ravel()], 1))[1]
    return np.bincount(nearest, dense.ravel(), len(positions)) / np.bincount(nearest, minlength=len(positions))


def model_weights(kind: np.ndarray, hole: int, *, convergence_mrad: float) -> np.ndarray:
    """Weight of every column in Å² in the model, with the stack factor on two-atom columns."""
    angles = (OPTICS.energy_keV, OPTICS.adf_inner_mrad, OPTICS.adf_outer_mrad)
    metal, anion = (partial_cross_section_A2(e, *angles, convergence_mrad=convergence_mrad) for e in ("W", "Se"))
    weights = np.where(kind == 0, metal, 2 * PAIR_STACK_FACTOR * anion)
    weights[hole] = anion
    return weights


def row(values: np.ndarray, kind: np.ndarray, hole: int) -> np.ndarray:
    """W, Se2, V_Se, Se2 / W and V_Se / Se2 of values per column (N,)."""
    full = np.arange(len(kind)) != hole
    metal, anion = values[kind == 0].mean(), values[(kind == 1) & full].mean()
    return np.array([metal, anion, values[hole], anion / metal, values[hole] / anion])


def report(images: dict[str, np.ndarray]) -> None:
    """Print the columns of every image in both measures, and how far the model's ratios are from multislice."""
    positions, kind, cell = columns_of("WSe2")
    hole = vacancy_site(positions, kind, cell)
    basis = column_images(positions, cell)
    angle = OPTICS.convergence_semi_angle_mrad
    models = {
        "model": np.tensordot(model_weights(kind, hole, convergence_mrad=0.0), basis, 1),
        "convergent model": np.tensordot(model_weights(kind, hole, convergence_mrad=angle), basis, 1),
    }
    flat = basis.reshape(len(basis), -1).T
    measures = {
        "least squares, 1e-3 Å²": lambda im: 1e3 * np.linalg.lstsq(flat, im.ravel(), rcond=None)[0],
        "Voronoi means, 1e-3": lambda im: 1e3 * cell_means(im, positions, cell),
    }
    for title, measure in measures.items():
        print(f"\n{title:26s} {'W':>7s} {'Se2':>7s} {'V_Se':>7s} {'Se2/W':>7s} {'V_Se/Se2':>9s}")
        rows = {name: row(measure(im), kind, hole) for name, im in {**images, **models}.items()}
        for name, r in rows.items():
            print(f"{name:26s} {r[0]:7.2f} {r[1]:7.2f} {r[2]:7.2f} {r[3]:7.3f} {r[4]:9.3f}")
        for name in models:
            off = 100 * (rows[name] / rows["multislice, phonons"] - 1)
            print(f"{name + ' − phonons, %':26s} {off[0]:7.1f} {off[1]:7.1f} {off[2]:7.1f} {off[3]:7.1f} {off[4]:9.1f}")


def main() -> None:
    """Run or load the multislice images and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phonons", type=int, default=10, help="frozen-phonon configurations")
    parser.add_argument("--save", type=Path, help="where to keep the multislice images")
    parser.add_argument("--load", type=Path, help="images kept before")
    options = parser.parse_args()
    if options.load:
        images = dict(np.load(options.load))
    else:
        atoms = structure("WSe2")
        print(f"{len(atoms)} atoms, {GRID[0]} × {GRID[1]} points, {SCAN[0] * SCAN[1]} probes")
        runs = {"multislice, at rest": 0, "multislice, phonons": options.phonons}
        images = {name: multislice(atoms, phonons) for name, phonons in runs.items()}
    if options.save:
        np.savez(options.save, **images)
    report(images)


if __name__ == "__main__":
    main()
