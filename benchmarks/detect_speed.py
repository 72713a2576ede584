"""Time and memory of detect on one image; bars on two CPU cores: 1024² in 3 s and 1.5 GiB, 4096² in 2 GiB.

    OMP_NUM_THREADS=2 python benchmarks/detect_speed.py [--side 1024] [--repeats 3] [--flips both]

Runs in a process of its own, so that the peak is that of detect and of what it imports; the image is read anew after it
was drawn in another process, as drawing one takes more memory than finding its defects. Seconds of the wall clock count
only on a machine that does nothing else: seconds of the processor, which do not depend on that, stand beside them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from napari_stem_gan import workflow
from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.image import STEMImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image

PIXEL_SIZE_A = 0.2


def specimen(side: int) -> STEMImage:
    """A noisy WSe2 image of our own, `side` × `side` pixels."""
    rng = np.random.default_rng(0)
    material = get_material("WSe2")
    field = Field(
        material=material, vectors_px=lattice_vectors_px(material, PIXEL_SIZE_A, 7.0), origin_px=(0.0, 0.0),
        shape=(side, side), pixel_size_A=PIXEL_SIZE_A,
    )  # fmt: skip
    ideal = ideal_image(field, OpticsConfig(), DefectConfig(), rng)
    dirt = ContaminationConfig(amount=0.2)
    return degrade(ideal, Degradation(contamination=dirt, detector=DetectorConfig(dose_e_per_A2=5e4)), rng).image


def peak_gib() -> float:
    """Largest resident memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def drawn_elsewhere(side: int) -> STEMImage:
    """`specimen`, drawn in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(specimen, side).result()


def main() -> None:
    """Print time and peak memory with and without averaging over flips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--flips", choices=("no", "yes", "both"), default="both")
    options = parser.parse_args()
    image = drawn_elsewhere(options.side)
    matches = workflow.consume(workflow.match_images([image], MatchConfig(material="WSe2")))
    print(f"match: {matches[0].reason or 'accepted'}; peak so far {peak_gib():.2f} GiB", flush=True)
    print("| average_flips | first, s | best of the rest, s | processor, s | points | peak, GiB |")
    print("|---|---|---|---|---|---|", flush=True)
    for flips in {"no": (False,), "yes": (True,), "both": (False, True)}[options.flips]:
        seconds, busy = [], []
        for _ in range(options.repeats):
            start, worked = time.perf_counter(), time.process_time()
            config = DetectConfig(average_flips=flips)
            (found,) = workflow.consume(workflow.detect([image], matches, config, device="cpu"))
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - worked)
        best = min(seconds[1:], default=seconds[0])
        text = f"| {flips} | {seconds[0]:.2f} | {best:.2f} | {min(busy):.2f} | {len(found.points)} | {peak_gib():.2f} |"
        print(text, flush=True)


if __name__ == "__main__":
    main()
