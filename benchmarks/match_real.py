"""Match on every real image: the right lattice, or a refusal with its reason; and the time it takes.

    OMP_NUM_THREADS=2 python benchmarks/match_real.py [--data ../shared/data]

"hint" is what the images' README read off the lattice by hand. Images that show no lattice of a preset are offered with
the material "auto" and must be refused. Time: the better of two runs, after all presets were built.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch, match
from napari_stem_gan.crystal.materials import MATERIALS
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images

CASES = {  # file: material (empty: nothing to be found), what is known of its pixel size in nm
    "MoS2_stem_Exp-001-5.npy": ("MoS2", "0.0128"),
    "MoS2_stem_Exp-002-5.npy": ("MoS2", "0.0130"),
    "graphene_flower_raw.tif": ("graphene", "0.0219"),
    "16_STOimage_1.ser": ("SrTiO3", "0.0096 to 0.0097"),
    "Acquisition_18.emd": ("SrTiO3", "0.0115 to 0.0118"),
    "BTO_crystal_2.dm4": ("BaTiO3", "file: 0.0356"),
    "HAADF26.dm3": ("CdTe [110]", "file: 0.0202, twin"),
    "Au_NP_Atom_Lattice.hdf5": ("Au [110]", "weakly resolved"),
    "moo3_particles_test.tiff": ("", "particles"),
    "spot2_0d_0.tif": ("", "SEM of an alloy"),
    "After LAABF 1.5m_1.ser": ("", "bright field, dust"),
}


def timed(image: STEMImage, material: str) -> tuple[LatticeMatch, float]:
    """The match and the better time of two runs."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        found = match(image, MatchConfig(material=material))
        seconds.append(time.perf_counter() - start)
    return found, min(seconds)


def row(name: str, image: STEMImage, material: str, hint: str) -> str:
    """One line of the table."""
    found, seconds = timed(image, material or "auto")
    given = f"{image.pixel_size_nm:.5f}" if image.pixel_size_nm else "none"
    if not found.accepted:
        return f"| {name} | {material or 'auto'} | {given} | {hint} | refused: {found.reason} | | | {seconds:.2f} |"
    size, error = found.pixel_size_A / 10, found.errors["pixel_size_A"] / 10
    turns = "; ".join(
        f"{g.rotation_deg:.2f} ± {g.errors['rotation_deg']:.2f}" for g in (found, *found.other_grains)
    )
    drift = f"{100 * found.shear:+.1f} / {100 * found.stretch:+.1f}"
    measured = f"{size:.5f} ± {error:.5f} | {turns} | {drift} | {seconds:.2f} |"
    return f"| {name} | {material or 'auto'} | {given} | {hint} | {measured}"


def main() -> None:
    """Print the table, with the file's pixel size and again without it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data / "real"
    list(MATERIALS.values())
    print("| file | material | nm/px, file | hint | nm/px, lattice | rotation °, each grain | shear / stretch % | s |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*/*")):
        if path.name not in CASES:
            continue
        image, (material, hint) = read_images(path)[0], CASES[path.name]
        print(row(path.name, image, material, hint), flush=True)
        if image.pixel_size_nm and material:
            blind = dataclasses.replace(image, pixel_size_A=None)
            print(row(path.name, blind, material, hint), flush=True)


if __name__ == "__main__":
    main()
