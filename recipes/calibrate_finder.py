"""Fit the fusion of network and lattice evidence on randomised simulations, and write the shipped finder.

    THP_MEM_ALLOC_ENABLE=1 python recipes/calibrate_finder.py --images 160

Second half of `train_finder.py`, which leaves the network in its checkpoint.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_stem_gan.detect.calibrate import calibrated, collect, score
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import Fusion
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.models import save_model, weights_folder
from napari_stem_gan.simulate.random_images import random_labelled


def draw(rng: np.random.Generator) -> LabelledImage:
    """One randomised image of 512² pixels with at most an ordinary share of defects."""
    return random_labelled(rng, shape=(512, 512))


def main() -> None:
    """Collect sites, fit, score on a fifth of the images, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/finder-tmd.pt"))
    parser.add_argument("--out", type=Path, default=weights_folder() / "finder-tmd.safetensors")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps-before", type=int, default=0, help="steps of the cycles before this checkpoint's")
    args = parser.parse_args()
    state = torch.load(args.checkpoint, weights_only=True)
    model = state.get("model", state)
    finder = Finder(model["average"], Fusion({}))
    rng, start, data, alone = np.random.default_rng(args.seed), time.perf_counter(), [], []
    for index in range(args.images):
        labelled = draw(rng)
        data.append(collect(finder, labelled))
        if index % 3 == 0 and not len(data[-1].targets["alone"]):
            alone.append(collect(finder, labelled, alone=True))
        if index % 10 == 9:
            lost = sum(not len(d.targets["anion"]) for d in data)
            print(f"{index + 1} images, {lost} without a lattice, {time.perf_counter() - start:.0f} s", flush=True)
    held, fit = data[::5], [d for i, d in enumerate(data) if i % 5]
    fusion = calibrated(None, fit + alone, iterations=600)
    f1 = score(fusion, held)
    print(f"F1 of single vacancies on {len(held)} held-out images: {f1:.4f}")
    card = {
        "data": "random_labelled: MoS2 WS2 MoSe2 WSe2 MoTe2, randomised (simulate/random_images.py)",
        "network_steps": int(model["done"]) + args.steps_before,
        "calibration_images": args.images,
        "held_out_f1": round(f1, 4),
        "recipe": "recipes/train_finder.py, then recipes/calibrate_finder.py",
    }
    finder = finder.with_fusion(calibrated(None, data + alone, iterations=600))
    saved = save_model(args.out, finder.state(), kind="finder", card=card)
    print("saved", saved.path.name, saved.sha256)


if __name__ == "__main__":
    main()
