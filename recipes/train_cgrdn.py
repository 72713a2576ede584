"""Train the compact CGRDN that is shipped for HR-STEM; resumes from its checkpoint.

THP_MEM_ALLOC_ENABLE=1 OMP_NUM_THREADS=1 python recipes/train_cgrdn.py --minutes 38 --checkpoint cgrdn.pt \
    --out src/napari_stem_gan/weights/cgrdn-compact-hr-stem.safetensors
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch

from napari_stem_gan.io import to_jsonable
from napari_stem_gan.models import save_model
from napari_stem_gan.restore.cgrdn import parameter_count
from napari_stem_gan.restore.config import COMPACT, PAPER, CGRDNTrainingConfig
from napari_stem_gan.restore.trainer import CGRDNTrainer
from napari_stem_gan.restore.training_pairs import DOSE_E_PER_A2, PIXEL_SIZE_A, SIGNAL_FRACTION, PairStream
from napari_stem_gan.training import TrainingConfig, best_device, device_note, seed_everything, train


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("compact", "paper"), default="compact")
    parser.add_argument("--minutes", type=float, default=38.0, help="time of the whole schedule")
    parser.add_argument("--steps", type=int, default=None, help="steps of the whole schedule, if fewer")
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--adversarial", type=float, default=0.0, help="weight of the adversarial loss (paper: 5e-4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    device = best_device(options.device)
    seed_everything(options.seed)
    network = COMPACT if options.size == "compact" else PAPER
    config = CGRDNTrainingConfig(
        patch_px=options.patch, batch_size=options.batch, adversarial_weight=options.adversarial, seed=options.seed
    )
    trainer = CGRDNTrainer(network, config, steps=options.steps, minutes=options.minutes, device=device)
    print(device_note(device), parameter_count(trainer.network), "parameters", flush=True)
    schedule = TrainingConfig(
        steps=options.steps,
        minutes=options.minutes,
        report_every=50,
        checkpoint=options.checkpoint,
        checkpoint_every=500,
    )
    for step in train(trainer, PairStream(config), config=schedule):
        losses = " ".join(f"{name} {value:.4f}" for name, value in step.losses.items())
        print(f"{step.step} {trainer.fraction:.3f} {losses} {step.steps_per_s:.2f}/s {step.note}", flush=True)
        if trainer.fraction >= 1:
            break
    card = {
        "network": to_jsonable(network),
        "training": to_jsonable(config),
        "mode": "hr-stem",
        "normalisation": "mean and standard deviation of the whole image",
        "data": {
            "specimens": "random, restore.specimens",
            "pixel_size_A": PIXEL_SIZE_A,
            "dose_e_per_A2": DOSE_E_PER_A2,
            "signal_fraction": SIGNAL_FRACTION,
        },
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "device": device_note(device),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    model = save_model(options.out, trainer.averaged.state_dict(), kind="cgrdn", card=card)
    print(model.path, model.sha256)


if __name__ == "__main__":
    main()
