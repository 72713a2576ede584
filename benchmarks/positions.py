"""Positions of columns: ours, AtomAI's and atomap's on the same drawn image, beside the Cramér–Rao bound.

    pip install --no-deps --target others atomai atomap …    (what they import, without their torch)
    PYTHONPATH=others OMP_NUM_THREADS=2 python benchmarks/positions.py [--source_A 0.65] [--dose 1e5] [--crop 1024]

WSe2 with its usual defects and columns that lie 0.04 Å (rms) off their sites, 1024² at 0.205 Å a pixel (21 nm), perfect
scan, counting noise only. All three start from the sites of our Match. Scored: columns that are there, 16 pixels off
the rim. Errors are two-dimensional (root of the mean square distance). The bound: Fisher information of brightness and
place of all columns on a 96² part of the noise-free image, drawn by the simulation itself, the background known.
`--crop`: side of the middle part that AtomAI and atomap are run on (they take 1 and 10 ms a column); ours is scored on
it too. What is not installed is left out. Times are those of the processor, of all threads together: on a machine that
is busy with something else they still mean something.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import sys
import time
import types
import warnings

import numpy as np
import torch
from scipy.spatial import cKDTree

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.detect.positions import fit_columns
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.adf import render
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image
from napari_stem_gan.simulate.thickness import projected_weights

SIZE_A, SIDE_PX, RIM_PX = 0.205, 1024, 16
PART_PX, PART_RIM_PX, STEP_PX = 96, 14, 0.05
SIDES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
PM_PER_A = 100.0


def draw(optics: OpticsConfig, defects: DefectConfig, dose: float, seed: int) -> tuple[LabelledImage, LabelledImage]:
    """The same specimen without and with counting noise."""
    rng, material = np.random.default_rng(seed), get_material("WSe2")
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, SIZE_A, 7.0), origin_px=(1.3, 2.2),
        shape=(SIDE_PX, SIDE_PX), pixel_size_A=SIZE_A,
    )  # fmt: skip
    ideal = ideal_image(field, optics, defects, rng)
    return ideal, degrade(ideal, Degradation(detector=DetectorConfig(dose_e_per_A2=dose)), rng)


def bound_pm(ideal: LabelledImage, optics: OpticsConfig, dose: float) -> float:
    """Cramér–Rao bound of the two-dimensional error in pm, mean over the columns in the middle."""
    atoms, weights = projected_weights(ideal.structure, optics, stack_factor=ideal.parameters["stack_factor"])
    corner = np.round(np.array(ideal.image.shape) / 2 - PART_PX / 2)
    columns = ideal.columns_px - corner
    columns = columns[((columns > -6) & (columns < PART_PX + 6)).all(1)]
    distance, owner = cKDTree(columns).query(atoms - corner)
    own = distance < 1.5
    brightness = np.bincount(owner[own], weights[own], len(columns))

    def drawn(places: np.ndarray, values: np.ndarray) -> np.ndarray:
        image = render(places, values, (PART_PX, PART_PX), pixel_size_A=SIZE_A, optics=optics)
        return image.ravel().astype(float) * dose * SIZE_A**2

    derivatives = []
    for place, value in zip(columns, brightness, strict=True):
        sides = [drawn((place + s)[None], np.array([value])) for s in STEP_PX * SIDES]
        derivatives += [drawn(place[None], np.array([value])), sides[0] - sides[1], sides[2] - sides[3]]
    design = np.array(derivatives)
    design[np.arange(len(design)) % 3 > 0] /= 2 * STEP_PX
    fisher = (design / drawn(atoms - corner, weights)) @ design.T
    variance = np.diag(np.linalg.pinv(fisher)).reshape(-1, 3)[:, 1:].sum(1)
    inner = ((columns > PART_RIM_PX) & (columns < PART_PX - PART_RIM_PX)).all(1)
    return float(np.sqrt(variance[inner].mean()) * SIZE_A * PM_PER_A)


def atomai_positions(data: np.ndarray, sites: np.ndarray, half_px: int) -> np.ndarray:
    """AtomAI's peak refinement, from its file alone: the rest of AtomAI would need torchvision."""
    if "atomai" not in sys.modules:
        spec = importlib.util.find_spec("atomai")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("no atomai")
        folder = spec.submodule_search_locations[0]
        for name, path in (("atomai", folder), ("atomai.utils", f"{folder}/utils")):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [path]
    refine = importlib.import_module("atomai.utils.coords").peak_refinement
    return refine(data, np.column_stack([sites, np.zeros(len(sites))]), half_px)[:, :2]


def atomap_positions(data: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """atomap's two-dimensional Gaussians after centres of mass, as in its documentation."""
    atomap = importlib.import_module("atomap.api")
    lattice = atomap.Sublattice(sites[:, ::-1].copy(), image=data)
    lattice.find_nearest_neighbors()
    lattice.refine_atom_positions_using_center_of_mass(percent_to_nn=0.4, show_progressbar=False)
    lattice.refine_atom_positions_using_2d_gaussian(percent_to_nn=0.4, show_progressbar=False)
    return np.asarray(lattice.atom_positions)[:, ::-1]


def score(positions: np.ndarray, sites: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Errors ``(N, 2)`` in pixels of the columns that are there."""
    return positions[cKDTree(sites).query(true)[1]] - true


def rms_pm(error_px: np.ndarray) -> float:
    """Root of the mean square distance in pm."""
    return float(np.sqrt((error_px**2).sum(1).mean()) * SIZE_A * PM_PER_A)


def compare(name: str, data: np.ndarray, sites: np.ndarray, true: np.ndarray, method) -> None:
    """Run another program on sites of a part and print its line."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = method(data.astype(float), sites)
    except (ImportError, AttributeError) as error:
        print(f"| {name} | not installed ({error}) | | |")
        return
    seconds = time.process_time() - start
    error = score(found, sites, true)
    print(f"| {name} | {rms_pm(error):.2f} | {np.median(np.hypot(*error.T)) * SIZE_A * PM_PER_A:.2f} | "
          f"{seconds / len(sites) * 1e3:.2f} | {seconds / len(sites) * 9000:.1f} |", flush=True)  # fmt: skip


def main() -> None:
    """Print one line for each program, the bound, and the calibration of our errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source_A", type=float, default=0.65)
    parser.add_argument("--dose", type=float, default=1e5)
    parser.add_argument("--crop", type=int, default=SIDE_PX)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--perfect", action="store_true", help="no defects")
    args = parser.parse_args()
    optics = OpticsConfig(source_size_fwhm_A=args.source_A)
    defects = DefectConfig()
    if args.perfect:
        zero = {f.name: 0.0 for f in dataclasses.fields(DefectConfig) if f.name not in ("planted", "jitter_A")}
        defects = dataclasses.replace(defects, **zero)
    ideal, drawn = draw(optics, defects, args.dose, args.seed)
    found = match(drawn.image, MatchConfig(material="WSe2"))
    fwhm_px = found.fwhm_A / found.pixel_size_A
    sites = found.sites(drawn.image.shape, margin_px=2 * fwhm_px)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        fit = fit_columns(drawn.image.data, sites, fwhm_px)
        seconds.append(time.process_time() - start)
    low = (SIDE_PX - args.crop) // 2
    middle = ((drawn.columns_px > low + RIM_PX) & (drawn.columns_px < low + args.crop - 1 - RIM_PX)).all(1)
    inside = ((sites.positions_px > low) & (sites.positions_px < low + args.crop)).all(1)
    true = drawn.columns_px[middle]
    error = score(fit.positions_px, sites.positions_px, true)
    print(f"{len(sites)} sites, {len(true)} columns scored, {torch.get_num_threads()} threads")
    print("| program | rms, pm | median, pm | CPU ms a column | CPU s for 9,000 |\n|---|---|---|---|---|")
    print(f"| bound | {bound_pm(ideal, optics, args.dose):.2f} | | | |")
    print(f"| ours | {rms_pm(error):.2f} | {np.median(np.hypot(*error.T)) * SIZE_A * PM_PER_A:.2f} | "
          f"{min(seconds) / len(sites) * 1e3:.3f} | {min(seconds) / len(sites) * 9000:.2f} |", flush=True)  # fmt: skip
    pull = error / fit.errors_px[cKDTree(sites.positions_px).query(true)[1]]
    y, x = pull.std(0)
    print(f"our errors: standard deviation of error over stated error {y:.3f} (y), {x:.3f} (x)")
    data, places = drawn.image.data[low : low + args.crop, low : low + args.crop], sites.positions_px[inside] - low
    for half in (3, 4, 5):
        compare(f"AtomAI, d = {half}", data, places, true - low, lambda d, s, h=half: atomai_positions(d, s, h))
    compare("atomap", data, places, true - low, atomap_positions)


if __name__ == "__main__":
    main()
