"""Fine-tuning on a session within a time budget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from napari_stem_gan.image import LabelledImage, STEMImage
from napari_stem_gan.translate.config import CycleGANConfig
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.translate.finetune import fine_tune

MakeCrystal = Callable[..., LabelledImage]
SMALL = CycleGANConfig(patch_px=64, batch_size=2)


def session(make_crystal: MakeCrystal) -> tuple[list[LabelledImage], list[STEMImage]]:
    """Return clean simulations and a noisier, cloudier day."""
    sims = [make_crystal(i, noise=0.03) for i in range(2)]
    return sims, [make_crystal(10 + i, noise=0.08, clouds=0.1).image for i in range(2)]


def test_fine_tuning_is_never_worse_and_keeps_the_labels(make_crystal: MakeCrystal) -> None:
    sims, real = session(make_crystal)
    model = CycleGAN(SMALL, "cpu")
    steps = list(fine_tune(model, sims, real, minutes=0.12))
    report = model.report
    assert steps[-1].fraction == 1.0
    assert report["after"]["kl"] + report["after"]["radial"] < report["before"]["kl"] + report["before"]["radial"]
    assert report["audit"]["passed"]
    assert report["audit"]["erased_fraction"] <= 0.02
    out = model.translate_labelled(sims[0]).image.data
    assert abs(out.mean() - real[0].data.mean()) < real[0].data.std()


def test_stop_leaves_a_usable_model(make_crystal: MakeCrystal) -> None:
    sims, real = session(make_crystal)
    stop, model = threading.Event(), CycleGAN(SMALL, "cpu")
    stop.set()
    steps = list(fine_tune(model, sims, real, minutes=5, stop=stop))
    assert len(steps) <= 3
    assert model.report["kept"]
    assert np.isfinite(model.translate(sims[0].image.data)).all()


def test_closing_the_generator_leaves_a_usable_model(make_crystal: MakeCrystal) -> None:
    sims, real = session(make_crystal)
    model = CycleGAN(SMALL, "cpu")
    steps = fine_tune(model, sims, real, minutes=5)
    next(steps)
    steps.close()
    assert model.report["kept"]


def test_a_hot_pixel_is_no_part_of_today(make_crystal: MakeCrystal) -> None:
    sims, real = session(make_crystal)
    hot = real[0].data.copy()
    hot[20, 30] = 1e7
    stop, models = threading.Event(), [CycleGAN(SMALL, "cpu") for _ in range(2)]
    stop.set()
    for model, first in zip(models, (real[0], replace(real[0], data=hot)), strict=True):
        list(fine_tune(model, sims, [first, real[1]], minutes=5, stop=stop))
    right, found = (model.today.exp_range for model in models)
    np.testing.assert_allclose([found.mean, found.std], [right.mean, right.std], rtol=1e-3)
    assert models[1].translate(sims[0].image.data).max() < 2 * max(image.data.max() for image in real)
