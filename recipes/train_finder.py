"""Pretrain the finder on randomised simulations of monolayer 2H dichalcogenides.

    THP_MEM_ALLOC_ENABLE=1 OMP_NUM_THREADS=1 python recipes/train_finder.py --steps 2400

Resumes from the checkpoint; on a GPU raise --steps and --batch. `calibrate_finder.py` then writes the shipped file.
A further cycle: --start finder-tmd.pt --checkpoint finder-tmd-2.pt --learning-rate 1e-3 --seed 2
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_stem_gan.detect.fcn import FinderTraining, make_network
from napari_stem_gan.detect.patches import PatchPool
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.models import load_model
from napari_stem_gan.simulate.random_images import random_labelled
from napari_stem_gan.training import TrainingConfig, best_device, seed_everything, train


def draw(rng: np.random.Generator) -> LabelledImage:
    """One randomised image of 448² pixels."""
    return random_labelled(rng, shape=(448, 448))


def start_state(path: Path) -> dict[str, torch.Tensor]:
    """Averaged weights of a checkpoint, or the network of a finder that was shipped."""
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)["model"]["average"]
    state, _ = load_model(path, kind="finder")
    return {k.removeprefix("network."): v.float() for k, v in state.items() if k.startswith("network.")}


def widened(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add outputs of classes that the finder did not have; they begin where a fresh network does."""
    fresh = make_network().state_dict()
    for name in ("head.weight", "head.bias"):
        old = state[name]
        state[name] = torch.cat([old, fresh[name][len(old) :]])
    return state


def main() -> None:
    """Train, print the loss, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path, default=None, help="begin with these weights (.pt or .safetensors)")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/finder-tmd.pt"))
    args = parser.parse_args()
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    seed_everything(args.seed)
    device = best_device(args.device)
    state = None if args.start is None else widened(start_state(args.start))
    model = FinderTraining(device, learning_rate=args.learning_rate, steps=args.steps, state=state)
    pool = PatchPool(draw, size=120, fresh_every=3, batch_size=args.batch, seed=args.seed)
    config = TrainingConfig(
        steps=args.steps, minutes=args.minutes, report_every=50, checkpoint=args.checkpoint, checkpoint_every=200
    )
    start = time.perf_counter()
    for step in train(model, pool, config=config):
        pace = f"{step.steps_per_s:.2f} steps/s ETA {step.eta_s}"
        print(f"{step.step:6d} loss {step.losses['loss']:.4f} {pace}", flush=True)
    print(f"{model.done} steps in {time.perf_counter() - start:.0f} s on {device}; now run recipes/calibrate_finder.py")


if __name__ == "__main__":
    main()
