import pytest
import torch

from napari_stem_gan.restore.config import CGRDNConfig, CGRDNTrainingConfig
from napari_stem_gan.restore.trainer import CGRDNTrainer, one_cycle
from napari_stem_gan.restore.training_pairs import PairStream
from napari_stem_gan.training import TrainingConfig, train

TINY = CGRDNConfig(features=8, growth=4, layers=2, blocks=1, groups=2)
SMALL = CGRDNTrainingConfig(patch_px=32, batch_size=2, fresh_per_step=1, pool_size=4, learning_rate=3e-3)


def pair():
    generator = torch.Generator().manual_seed(0)
    target = torch.sin(torch.arange(32.0) / 2).view(1, 1, 1, -1).expand(2, 1, 32, 32)
    return target + torch.randn(target.shape, generator=generator), target


def test_the_rate_rises_then_falls():
    rates = [one_cycle(fraction, 0.1) for fraction in (0.0, 0.1, 0.5, 1.0)]
    assert rates[0] < 0.1
    assert rates[1] == pytest.approx(1.0)
    assert rates[1] > rates[2] > rates[3]
    assert rates[3] < 0.01


def test_the_network_overfits_one_batch():
    torch.manual_seed(0)
    trainer = CGRDNTrainer(TINY, SMALL, steps=120)
    losses = [float(trainer.train_step(pair())["l1"]) for _ in range(120)]
    assert losses[-1] < 0.35 * losses[0]


def test_the_discriminator_is_trained_when_its_loss_has_weight():
    config = CGRDNTrainingConfig(
        patch_px=64, batch_size=2, fresh_per_step=1, pool_size=2, adversarial_weight=5e-4, whitening_weight=0.1
    )
    trainer = CGRDNTrainer(TINY, config, steps=2)
    before = [p.clone() for p in trainer.discriminator.parameters()]
    losses = trainer.train_step(next(PairStream(config)))
    assert {"l1", "l2", "whitening", "adversarial", "discriminator"} == set(losses)
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters(), strict=True))


def test_training_resumes_exactly_from_its_checkpoint(tmp_path):
    def run(steps, checkpoint):
        torch.manual_seed(0)
        trainer = CGRDNTrainer(TINY, SMALL, steps=4)
        schedule = TrainingConfig(steps=steps, checkpoint=checkpoint, report_every=1)
        list(train(trainer, PairStream(SMALL), config=schedule))
        return trainer

    whole = run(4, tmp_path / "whole.pt")
    run(2, tmp_path / "halves.pt")
    halves = run(4, tmp_path / "halves.pt")
    assert halves.step == whole.step == 4
    for a, b in zip(whole.averaged.parameters(), halves.averaged.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_preview_shows_distorted_restored_and_true():
    trainer = CGRDNTrainer(TINY, SMALL, steps=2)
    assert trainer.preview() is None
    trainer.train_step(pair())
    assert trainer.preview().shape == (32, 96)


def test_a_schedule_needs_an_end():
    with pytest.raises(ValueError, match="steps or minutes"):
        CGRDNTrainer(TINY, SMALL)
