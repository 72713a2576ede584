"""Pretrain the finder on randomised simulations of monolayer 2H dichalcogenides.

    THP_MEM_ALLOC_ENABLE=1 OMP_NUM_THREADS=1 python recipes/train_finder.py --steps 2400

Resumes from the checkpoint; on a GPU raise --steps and --batch. Saves the averaged weights with a card.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from napari_stem_gan.detect.fcn import FinderTraining
from napari_stem_gan.detect.patches import PatchPool
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.models import save_model, weights_folder
from napari_stem_gan.simulate.draws import random_labelled
from napari_stem_gan.training import TrainingConfig, best_device, seed_everything, train


def draw(rng: np.random.Generator) -> LabelledImage:
    """One randomised image of 448² pixels."""
    return random_labelled(rng, shape=(448, 448))


def main() -> None:
    """Train, print the loss, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/finder-tmd.pt"))
    parser.add_argument("--out", type=Path, default=weights_folder() / "finder-tmd.safetensors")
    args = parser.parse_args()
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    seed_everything(args.seed)
    device = best_device(args.device)
    model = FinderTraining(device, steps=args.steps)
    pool = PatchPool(draw, size=120, fresh_every=3, batch_size=args.batch, seed=args.seed)
    config = TrainingConfig(
        steps=args.steps, minutes=args.minutes, report_every=50, checkpoint=args.checkpoint, checkpoint_every=200
    )
    start = time.perf_counter()
    for step in train(model, pool, config=config):
        pace = f"{step.steps_per_s:.2f} steps/s ETA {step.eta_s}"
        print(f"{step.step:6d} loss {step.losses['loss']:.4f} {pace}", flush=True)
    card = {
        "data": "random_labelled, 448² px, MoS2 WS2 MoSe2 WSe2, randomised optics, defects and degradations",
        "steps": model.done,
        "batch": args.batch,
        "seconds": round(time.perf_counter() - start),
        "device": str(device),
        "recipe": "recipes/train_finder.py",
    }
    saved = save_model(args.out, model.average, kind="finder", card=card)
    print("saved", saved.name, saved.sha256)


if __name__ == "__main__":
    main()
