"""The CycleGAN: training step, translation, saving."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_stem_gan.image import LabelledImage
from napari_stem_gan.models import ModelFileError
from napari_stem_gan.training import Stopped
from napari_stem_gan.translate.config import CycleGANConfig
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.translate.patches import Normaliser
from napari_stem_gan.translate.statistics import Target, fit_statistics
from napari_stem_gan.translate.translator import Translator

MakeCrystal = Callable[..., LabelledImage]
SMALL = CycleGANConfig(patch_px=64, batch_size=2)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of both domains: the real one is brighter."""
    generator = torch.Generator().manual_seed(seed)
    sim, exp = (0.2 * torch.randn(2, 1, 64, 64, generator=generator) for _ in range(2))
    return sim, exp + 0.5


def shaken(model: CycleGAN, size: float = 0.05) -> CycleGAN:
    """Return the model with a generator that does something."""
    for nets in (model.nets, model.ema):
        torch.nn.init.normal_(nets["sim_to_exp"].head.weight, 0.0, size)
    model.ema["sim_to_exp"].load_state_dict(model.nets["sim_to_exp"].state_dict())
    return model


def test_a_few_steps_make_simulations_brighter_like_the_real_ones() -> None:
    config = CycleGANConfig(patch_px=64, batch_size=2, learning_rate=1e-3, identity_weight=0.0, cycle_weight=1.0)
    model = CycleGAN(config, "cpu")
    for step in range(45):
        losses = model.train_step(batch(step))
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    sim = batch(99)[0]
    assert (model.nets["sim_to_exp"](sim) - sim).mean().item() > 0.05


def test_checkpoint_goes_on_exactly() -> None:
    first, second = CycleGAN(SMALL, "cpu"), CycleGAN(SMALL, "cpu")
    first.train_step(batch(0))
    second.load_state_dict(first.state_dict())
    a, b = first.train_step(batch(1)), second.train_step(batch(1))
    assert float(a["generator"]) == pytest.approx(float(b["generator"]), rel=1e-5)


def test_paused_discriminator_does_not_learn_and_is_reported() -> None:
    model = CycleGAN(SMALL, "cpu")
    model.trainer.watches["image_exp"].restore([1.0, 1000.0])
    before = [p.clone() for p in model.nets["image_exp"].parameters()]
    other = [p.clone() for p in model.nets["image_sim"].parameters()]
    model.train_step(batch())
    assert all(torch.equal(p, q) for p, q in zip(before, model.nets["image_exp"].parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(other, model.nets["image_sim"].parameters(), strict=True))
    model.trainer.watches["image_exp"].restore([1.0, 1000.0])
    assert "image_exp" in model.trainer.balance_note()


@pytest.mark.parametrize("shape", [(37, 221), (64, 64), (129, 96)])
def test_any_size_is_translated(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    out = shaken(CycleGAN(SMALL, "cpu")).translate(image)
    assert out.shape == shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_tiles_leave_no_seam(monkeypatch: pytest.MonkeyPatch, make_crystal: MakeCrystal) -> None:
    from napari_stem_gan.translate import translator

    image = make_crystal(side=320).image.data
    model = shaken(CycleGAN(SMALL, "cpu"))
    model.today = translator.Translator(sim_range=Normaliser.fit([image]), exp_range=Normaliser(mean=0, std=1))
    whole = model.translate(image)
    monkeypatch.setattr(translator, "TILE_PX", 256)
    monkeypatch.setattr(translator, "OVERLAP_PX", 64)
    tiled = model.translate(image)
    assert np.abs(whole - tiled)[16:-16, 16:-16].max() < 0.1 * whole.std()  # bfloat16 rounds


def test_another_seed_is_another_image_and_the_same_seed_the_same(make_crystal: MakeCrystal) -> None:
    image = make_crystal().image.data
    model = shaken(CycleGAN(SMALL, "cpu"))
    first, again, other = (model.translate(image, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_stop_ends_translation(make_crystal: MakeCrystal) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        CycleGAN(SMALL, "cpu").translate(make_crystal().image.data, stop=stop)


def test_translated_labels_are_those_of_the_simulation(make_crystal: MakeCrystal) -> None:
    labelled = make_crystal()
    out = CycleGAN(SMALL, "cpu").translate_labelled(labelled)
    assert np.array_equal(out.positions_px, labelled.positions_px)
    assert out.defects == labelled.defects
    assert out.image.pixel_size_A == labelled.image.pixel_size_A


def test_saved_model_translates_the_same(tmp_path: Path, make_crystal: MakeCrystal) -> None:
    image = make_crystal().image.data
    model = shaken(CycleGAN(SMALL, "cpu"))
    ranges = Normaliser.fit([image]), Normaliser(mean=60000.0, std=123.4)
    sims = [ranges[0].apply(image)]
    fitted = fit_statistics(sims, Target.measure([make_crystal(1, noise=0.2).image.data]), rounds=2)
    target = Target.measure([make_crystal(1, noise=0.2).image.data])
    model.today = Translator(None, *ranges, statistics=fitted, target=target)
    model.save(tmp_path / "today")
    loaded = CycleGAN.from_file(tmp_path / "today.safetensors", "cpu")
    assert np.abs(loaded.translate(image) - model.translate(image)).mean() < 0.02 * 123.4
    assert loaded.config == SMALL


def test_foreign_tensors_are_one_clear_error() -> None:
    with pytest.raises(ModelFileError, match="does not fit"):
        CycleGAN.from_state({"sim_to_exp.head.weight": torch.zeros(3)}, device="cpu")
