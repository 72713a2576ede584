"""Does every real file open, and with which pixel size? And what does Match find on it?

    python benchmarks/formats.py [--data ../shared/data] [--match]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images, readable_suffixes

# What is on the files whose crystal is known; the rest are only opened.
MATERIALS = {
    "MoS2_stem_Exp-001-5": "MoS2",
    "MoS2_stem_Exp-002-5": "MoS2",
    "16_STOimage_1": "SrTiO3",
    "Acquisition_18": "SrTiO3",
    "BTO_crystal_2": "BaTiO3",
}


def opened(path: Path) -> tuple[str, list[STEMImage]]:
    """One cell of the table: what was read, or the sentence that says why not."""
    start = time.perf_counter()
    try:
        images = read_images(path)
    except ValueError as error:
        return f"| {path.name} | {path.suffix} | refused: {error} | | {time.perf_counter() - start:.2f} |", []
    size = images[0].pixel_size_nm
    read = f"{len(images)} × {images[0].shape[0]}×{images[0].shape[1]}"
    nm = "none in the file" if size is None else f"{size:.5f}"
    return f"| {path.name} | {path.suffix} | {read} | {nm} | {time.perf_counter() - start:.2f} |", images


def matched(path: Path, image: STEMImage) -> str:
    """What Match says of the first frame of a file."""
    start = time.perf_counter()
    found = match(image, MatchConfig(material=MATERIALS[path.stem]))
    size = "unknown" if found.pixel_size_A is None else f"{found.pixel_size_A / 10:.5f}"
    verdict = f"{'yes' if found.accepted else 'no'} | {size} | {found.scale_error:+.3f} | {found.rotation_deg:.2f}"
    return f"| {path.name} | {found.material} | {verdict} | {found.goodness:.2f} | {time.perf_counter() - start:.1f} |"


def main() -> None:
    """Print a table of files, and with ``--match`` one of lattices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--match", action="store_true", help="also match the files whose crystal is known")
    options = parser.parse_args()
    suffixes = set(readable_suffixes())
    files = sorted(p for p in (options.data / "real").rglob("*") if p.suffix in suffixes)
    print("| file | format | frames | nm/px | s |\n|---|---|---|---|---|")
    rows = []
    for path in files:
        line, images = opened(path)
        print(line, flush=True)
        if images and path.stem in MATERIALS:
            rows.append((path, images[0]))
    if options.match:
        print("\n| file | material | accepted | nm/px | file's error | rotation ° | goodness | s |")
        print("|---|---|---|---|---|---|---|---|")
        for path, image in rows:
            print(matched(path, image), flush=True)


if __name__ == "__main__":
    main()
