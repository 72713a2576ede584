"""Do adapted simulations look like a session's images, and are their labels still true?

python benchmarks/adaptation.py FOLDER --material WSe2 [--minutes 2] [--model cyclegan-compact] [--like "adapt_*.tif"]

The CycleGAN is fine-tuned on the session's images; then simulations that it has never seen are
translated. Three kinds of images are compared with the session: the plain simulation (no
degradations), the matched simulation (with fitted noise and contamination) and the adapted one.
`set` compares all images of a kind with the whole session (each image standardised), `pairs` is the mean over
all pairs of one image with one of the session. Pairs cannot reach zero: `session itself` says how
far its own images are from each other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.image import LabelledImage, STEMImage
from napari_stem_gan.io import read_images
from napari_stem_gan.metrics import kl_divergence, radial_spectrum_distance
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.simulate.fit import fit_session
from napari_stem_gan.simulate.session import session_pairs
from napari_stem_gan.training import device_note
from napari_stem_gan.translate.audit import audit
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.translate.finetune import fine_tune
from napari_stem_gan.translate.similarity import Today

Images = Sequence[NDArray[np.float32]]


class Session:
    """The session's images with their matches and fits."""

    def __init__(self, images: list[STEMImage], material: str) -> None:
        self.images = images
        self.matches = [match(image, MatchConfig(material=material)) for image in images]
        self.fits = [fit_session(image, found) for image, found in zip(images, self.matches, strict=True)]
        self.today = Today([image.data for image in images])

    def simulate(self, count: int, side: int, seed: int, *, degrade: bool = True) -> list[LabelledImage]:
        """Draw simulations like the session."""
        config = SimulateConfig(count=count, size_px=side, seed=seed, degrade=degrade)
        return list(session_pairs(self.matches, self.fits, config))

    def row(self, name: str, images: Images) -> list[float]:
        """Print and return the four distances of one kind of images."""
        similarity, real = self.today.similarity(images), [image.data for image in self.images]
        kl = float(np.mean([kl_divergence(a, b) for a in images for b in real if a is not b]))
        radial = float(np.mean([radial_spectrum_distance(a, b) for a in images for b in real if a is not b]))
        values = [similarity.kl, similarity.radial, kl, radial, similarity.texture]
        print(f"{name:22s}" + "".join(f"{value:12.5f}" for value in values), flush=True)
        return values


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--material", default="WSe2")
    parser.add_argument("--like", default="adapt_*.tif", help="which images of the folder")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--model", default="cyclegan-compact", help="name, path, or 'new' for random weights")
    parser.add_argument("--count", type=int, default=6, help="simulations to judge with")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    images = [image for path in sorted(options.folder.glob(options.like)) for image in read_images(path)]
    session = Session(images, options.material)
    model = CycleGAN(device=options.device) if options.model == "new" else CycleGAN.from_file(options.model)
    print(f"{len(images)} images of {options.folder.name}, {options.model}, {device_note(model.device)}")
    started = time.perf_counter()
    for step in fine_tune(model, session.simulate(8, 512, 0), images, minutes=options.minutes):
        if step.note:
            print(f"  {time.perf_counter() - started:5.0f} s, step {step.step}: {step.note}", flush=True)
    print(f"fine-tuned in {time.perf_counter() - started:.0f} s; kept: {model.report['kept']}")
    plain = session.simulate(options.count, options.side, 1000, degrade=False)
    matched = session.simulate(options.count, options.side, 1000)
    started = time.perf_counter()
    adapted = [model.translate(item.image.data, seed=i) for i, item in enumerate(matched)]
    seconds = (time.perf_counter() - started) / len(adapted)
    print(f"translated {options.side}² in {seconds:.2f} s each, {torch.get_num_threads()} threads\n")
    print(f"{'':22s}" + "".join(f"{t:>12s}" for t in ("KL set", "radial set", "KL pairs", "rad. pairs", "texture")))
    session.row("session itself", [image.data for image in images])
    rows = [
        session.row("plain simulation", [item.image.data for item in plain]),
        session.row("matched simulation", [item.image.data for item in matched]),
        session.row("adapted simulation", adapted),
    ]
    for name, row in zip(("plain", "matched"), rows[:2], strict=True):
        print(f"{'adapted / ' + name:22s}" + "".join(f"{a / b:12.3f}" for a, b in zip(rows[2], row, strict=True)))
    found = audit(matched, adapted)
    print(f"\naudit: {found.reason}; erased {found.erased_fraction:.2%}, invented {found.invented_per_nm2:.4f} per nm²")


if __name__ == "__main__":
    main()
