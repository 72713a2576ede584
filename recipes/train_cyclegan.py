"""Pretrain the compact CycleGAN that fine-tuning starts from; resumes from its checkpoint.

OMP_NUM_THREADS=1 python recipes/train_cyclegan.py --minutes 20 --checkpoint cyclegan.pt \
    --out src/napari_stem_gan/weights/cyclegan-compact.safetensors

Simulations: random crystals, probes and defects, nearly free of noise. Experiments: other random
crystals with strong random contamination, scan distortions and detector noise, all drawn by this
package. Every image is normalised by its own mean and spread, as a session is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.image import FloatImage, LabelledImage
from napari_stem_gan.simulate.draws import TMD, draw_degradation, draw_field, draw_optics
from napari_stem_gan.simulate.pairs import Degradation, degrade, ideal_image
from napari_stem_gan.training import TrainingConfig, device_note, train
from napari_stem_gan.translate.config import CycleGANConfig
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.translate.patches import Normaliser, PatchSampler
from napari_stem_gan.translate.similarity import Today

SIDE_PX = 192
POOL_IMAGES = 40
REFRESH_STEPS = 8
HELD_OUT = 12


def draw(rng: np.random.Generator, *, experiment: bool) -> LabelledImage:
    """Draw one image of a domain."""
    material = TMD[rng.integers(len(TMD))]
    field = draw_field(rng, material, (SIDE_PX, SIDE_PX))
    ideal = ideal_image(field, draw_optics(rng), DefectConfig(), rng, stack_factor=float(rng.uniform(0.98, 1.25)))
    if experiment:
        return degrade(ideal, draw_degradation(rng, field.pixel_size_A, jitter_strength=0.6), rng)
    mild = Degradation(
        contamination=ContaminationConfig(amount=float(rng.uniform(0, 0.1))),
        scan=ScanConfig(jitter_x_px=float(rng.uniform(0, 0.2))),
        detector=DetectorConfig(dose_e_per_A2=float(np.exp(rng.uniform(np.log(5e4), np.log(1e6))))),
    )
    return degrade(ideal, mild, rng)


def normalised(labelled: LabelledImage) -> FloatImage:
    """Return the pixels, normalised as a session of one image."""
    data = labelled.image.data
    return Normaliser.fit([data]).apply(data)


class Batches:
    """Endless batches from two pools of images that are slowly renewed."""

    def __init__(self, config: CycleGANConfig, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        pools = [[normalised(draw(self.rng, experiment=e)) for _ in range(POOL_IMAGES)] for e in (False, True)]
        self.sampler = PatchSampler(
            pools[0], pools[1], patch_px=config.patch_px, batch_size=config.batch_size, rng=self.rng
        )
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        self.count += 1
        if self.count % REFRESH_STEPS == 0:
            place = self.count // REFRESH_STEPS % POOL_IMAGES
            self.sampler.simulated[place] = normalised(draw(self.rng, experiment=False))
            self.sampler.real[place] = normalised(draw(self.rng, experiment=True))
        return next(self.sampler)


def score(model: CycleGAN, seed: int) -> dict[str, float]:
    """Distances of held-out images from held-out experiments, before and after the bare network."""
    rng = np.random.default_rng(seed)
    sims = [draw(rng, experiment=False).image.data for _ in range(HELD_OUT)]
    exps = [draw(rng, experiment=True).image.data for _ in range(HELD_OUT)]
    today, out = Today(exps), {}
    translated = [_translate(model, image, i) for i, image in enumerate(sims)]
    for name, images in (("before", sims), ("after", translated)):
        distances = today.similarity(images).to_dict()
        out |= {f"{key}_{name}": round(value, 4) for key, value in distances.items()}
    return out


def _translate(model: CycleGAN, image: FloatImage, seed: int) -> FloatImage:
    return model.translator.network_output(Normaliser.fit([image]).apply(image), seed=seed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("compact", "paper"), default="compact")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    options, started = arguments(), time.perf_counter()
    patch = 256 if options.preset == "paper" else 128
    config = CycleGANConfig(
        preset=options.preset,
        patch_px=patch,
        batch_size=options.batch,
        learning_rate=options.learning_rate,
        discriminator_learning_rate=options.learning_rate,
        seed=options.seed,
    )
    model = CycleGAN(config, options.device)
    schedule = TrainingConfig(
        steps=None, minutes=options.minutes, report_every=50, checkpoint=options.checkpoint, checkpoint_every=200
    )
    for step in train(model, Batches(config, options.seed), config=schedule):
        model.trainer.set_learning_rate(min(1.0, 2.0 - 2.0 * step.fraction))
        losses = " ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
        note = " ".join(filter(None, [step.note, model.trainer.balance_note()]))
        print(f"{step.step} {step.fraction:.2f} {losses} {step.steps_per_s:.2f}/s {note}", flush=True)
    card = {
        "data": "random TMD images drawn by this package (see recipes/train_cyclegan.py); 0.11 to 0.26 Å per pixel",
        "normalisation": "mean and standard deviation of the session, 3.5 standard deviations = 1",
        "steps": model.trainer.steps,
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "device": device_note(model.device),
        "score": score(model, options.seed + 1),
        "versions": {"torch": torch.__version__},
    }
    file = model.save(options.out, card=card)
    print(card["score"], file.path, file.sha256)


if __name__ == "__main__":
    main()
