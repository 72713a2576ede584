"""The chain on real images: two monolayer MoS2 images as one session, and match, simulate, restore on the oxides.

    python benchmarks/real_images.py [--data ../shared/data] [--minutes 5] [--out benchmarks/out/real]

There is no truth for these images; the table says what came out, the overlays in OUT are there to be looked at.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from napari_stem_gan import workflow
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.io import prepare_folder, read_images, write_image
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.translate.config import AdaptConfig

MONOLAYER = ("SciLink/MoS2_stem_Exp-001-5.npy", "SciLink/MoS2_stem_Exp-002-5.npy")
OXIDES = {
    "openNCEM/16_STOimage_1.ser": "SrTiO3",
    "openNCEM/Acquisition_18.emd": "SrTiO3",
    "atomic-displacement-STEM/BTO_crystal_2.dm4": "BaTiO3",
}


def session(real: Path, folder: Path, minutes: float) -> None:
    """Run everything on the two MoS2 images and print matches, counts and the time."""
    images = [image for name in MONOLAYER for image in read_images(real / name)]
    print(f"## MoS2 session: {workflow.describe(images)}\n")
    start = time.perf_counter()
    config = workflow.RunConfig(match=MatchConfig(material="MoS2"), adapt=AdaptConfig(minutes=minutes))
    done = workflow.consume(workflow.run(images, config, folder=prepare_folder(folder)))
    print("| image | accepted | nm/px | rotation ° | defects |\n|---|---|---|---|---|")
    for image, found in zip(done.images, done.matches, strict=True):
        counts = Counter(map(str, done.table["defect"][done.table["image"] == image.name]))
        size = "unknown" if found.pixel_size_A is None else f"{found.pixel_size_A / 10:.5f}"
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print(f"| {image.name} | {found.accepted} | {size} | {found.rotation_deg:.2f} | {told} |")
    print(f"\nwhole run: {time.perf_counter() - start:.0f} s with --minutes {minutes:g}; files in {folder}\n")


def oxide(path: Path, material: str, folder: Path) -> str:
    """Match, simulate one image like it, and restore; one row of the table."""
    images = read_images(path)[:1]
    start = time.perf_counter()
    (found,) = workflow.consume(workflow.match_images(images, MatchConfig(material=material)))
    cells = [path.name, material, "yes" if found.accepted else f"no: {found.reason}"]
    cells.append("unknown" if found.pixel_size_A is None else f"{found.pixel_size_A / 10:.5f}")
    if found.accepted:
        drawn = workflow.consume(workflow.simulate(images, [found], SimulateConfig(count=1)))
        write_image(folder / f"{path.stem}_simulated.tif", drawn[0].image)
    (restored,) = workflow.consume(workflow.restore(images, RestoreConfig()))
    write_image(folder / f"{path.stem}_restored.tif", restored.image)
    cells += [str(len(restored.invented_px)), str(len(restored.erased_px)), f"{time.perf_counter() - start:.0f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/real"))
    options = parser.parse_args()
    session(options.data / "real", options.out / "mos2", options.minutes)
    folder = prepare_folder(options.out / "oxides")
    print("## Oxides\n\n| file | material | accepted | nm/px | invented | erased | s |\n|---|---|---|---|---|---|---|")
    for name, material in OXIDES.items():
        print(oxide(options.data / "real" / name, material, folder), flush=True)


if __name__ == "__main__":
    main()
