"""Fit the fusion of network and lattice evidence on randomised simulations, and write the shipped finder.

    THP_MEM_ALLOC_ENABLE=1 python recipes/calibrate_finder.py --images 1000 --seeds 21 41

Second half of `train_finder.py`, which leaves the network in its checkpoint; a finder's model file will do as well, to
fit its fusion again (`--checkpoint src/napari_stem_gan/weights/finder-tmd.safetensors`). Of ten images three are
ordinary, five are faint, where probabilities matter most, and two are full of what is no defect: rims, holes and second
layers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.detect.calibrate import SiteData, calibrated, collect, score
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import Fusion
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.models import load_model, save_model, weights_folder
from napari_stem_gan.simulate.random_images import random_labelled

ITERATIONS = 4000
FAINT: Mapping[str, Any] = {"dose_e_per_A2": (8e3, 5e4)}
CUT: Mapping[str, Any] = {"edges": 0.5, "islands": 0.25, "amorphous": 0.02}
KINDS: tuple[Mapping[str, Any], ...] = (*({},) * 3, *(FAINT,) * 5, *(CUT,) * 2)


def draw(seed: int, index: int) -> LabelledImage:
    """One randomised image of 512² pixels with at most an ordinary share of defects."""
    rng = np.random.default_rng([seed, index])
    return random_labelled(rng, shape=(512, 512), **KINDS[index % len(KINDS)])


def gather(finder: Finder, images: int, seeds: Sequence[int]) -> tuple[list[SiteData], list[SiteData]]:
    """Candidates of all images, and of every third one with a lattice as if it had none."""
    start, data, alone = time.perf_counter(), [], []
    for seed, index in product(seeds, range(images)):
        labelled = draw(seed, index)
        data.append(collect(finder, labelled))
        if index % 3 == 0 and not len(data[-1].targets["alone"]):
            alone.append(collect(finder, labelled, alone=True))
        if index % 10 == 9:
            lost = sum(not len(d.targets["anion"]) for d in data)
            print(f"{len(data)} images, {lost} without a lattice, {time.perf_counter() - start:.0f} s", flush=True)
    return data, alone


def network_of(path: Path) -> tuple[dict[str, Tensor], int]:
    """Weights of the network in a checkpoint or a finder's model file, and its steps."""
    if path.suffix == ".safetensors":
        tensors, file = load_model(path, kind="finder")
        network = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
        return network, int(file.card["network_steps"])
    state = torch.load(path, weights_only=True)
    model = state.get("model", state)
    return model["average"], int(model["done"])


def main() -> None:
    """Collect sites, fit, score on a seventh of the images, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="of each seed")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/finder-tmd.pt"))
    parser.add_argument("--out", type=Path, default=weights_folder() / "finder-tmd.safetensors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 41])
    parser.add_argument("--steps-before", type=int, default=0, help="steps of the cycles before this checkpoint's")
    args = parser.parse_args()
    network, steps = network_of(args.checkpoint)
    finder = Finder(network, Fusion({}))
    data, alone = gather(finder, args.images, args.seeds)
    held, fit = data[::7], [d for i, d in enumerate(data) if i % 7]
    fusion = calibrated(None, fit + alone, iterations=ITERATIONS)
    f1 = score(fusion, held)
    print(f"F1 of single vacancies on {len(held)} held-out images: {f1:.4f}")
    card = {
        "data": "random_labelled: MoS2 WS2 MoSe2 WSe2 MoTe2, randomised (simulate/random_images.py)",
        "network_steps": steps + args.steps_before,
        "calibration_images": args.images * len(args.seeds),
        "held_out_f1": round(f1, 4),
        "recipe": "recipes/train_finder.py, then recipes/calibrate_finder.py",
    }
    finder = finder.with_fusion(calibrated(None, data + alone, iterations=ITERATIONS))
    saved = save_model(args.out, finder.state(), kind="finder", card=card)
    print("saved", saved.path.name, saved.sha256)


if __name__ == "__main__":
    main()
