"""One training step of the CycleGAN: two generators, four discriminators, their optimisers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_stem_gan.training import autocast, best_device
from napari_stem_gan.translate import losses
from napari_stem_gan.translate.config import CycleGANConfig
from napari_stem_gan.translate.discriminators import FFTDiscriminator, build_discriminator
from napari_stem_gan.translate.generators import build_generator

GENERATORS = ("sim_to_exp", "exp_to_sim")
DISCRIMINATORS = ("image_exp", "fft_exp", "image_sim", "fft_sim")
READ_EVERY_STEPS = 5


class CycleGANTrainer:
    """Two generators and four discriminators with their optimisers: what `CycleGAN` trains with.

    Parameters
    ----------
    config
        Networks, loss weights and optimiser.
    device
        Where it runs; "auto" takes the best device.

    """

    def __init__(self, config: CycleGANConfig, device: str | torch.device = "auto") -> None:
        self.config = config
        self.device = best_device(device) if isinstance(device, str) else device
        torch.manual_seed(self.config.seed)
        self.rng = torch.Generator().manual_seed(self.config.seed)
        nets: dict[str, nn.Module] = {name: build_generator(self.config) for name in GENERATORS}
        nets |= {name: build_discriminator(self.config, fft=name.startswith("fft")) for name in DISCRIMINATORS}
        self.nets = nn.ModuleDict(nets).to(self.device)
        self.nets.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = nn.ModuleDict({name: copy.deepcopy(self.nets[name]) for name in GENERATORS}).eval()
        self.ema.requires_grad_(False)
        self._build_optimisers()

    def _build_optimisers(self) -> None:
        config, betas = self.config, (self.config.beta1, self.config.beta2)
        parameters = [p for name in GENERATORS for p in self.nets[name].parameters()]
        self.generator_optimiser = torch.optim.Adam(parameters, config.learning_rate, betas=betas)
        self.discriminator_optimisers = {
            name: torch.optim.Adam(self.nets[name].parameters(), config.discriminator_learning_rate, betas=betas)
            for name in DISCRIMINATORS
        }
        self.watches = {name: losses.BalanceWatch(config.balance_accuracy) for name in DISCRIMINATORS}
        self.steps = 0

    def set_learning_rate(self, share: float) -> None:
        """Set all learning rates to `share` (0 to 1) of their configured value."""
        for group in self.generator_optimiser.param_groups:
            group["lr"] = self.config.learning_rate * share
        for optimiser in self.discriminator_optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.config.discriminator_learning_rate * share

    # one training step

    def train_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Update all networks with one unpaired batch.

        Parameters
        ----------
        batch
            Simulated and real patches, each ``(B, 1, Y, X)``, normalised.

        Returns
        -------
            Losses by name, as scalar tensors on the device.
        """
        sim, exp = (x.to(self.device, memory_format=torch.channels_last) for x in batch)
        self.nets.train()
        for name in DISCRIMINATORS:
            self.nets[name].requires_grad_(False)
        with autocast(self.device):
            fakes, generator_losses = self._generator_losses(sim, exp)
        total = torch.stack(list(generator_losses.values())).sum()
        self.generator_optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.generator_optimiser.param_groups[0]["params"], 10.0)
        self.generator_optimiser.step()
        self._update_ema()
        reals = {"exp": exp, "sim": sim}
        scores = {name: self._discriminator_step(name, reals, fakes) for name in DISCRIMINATORS}
        self.steps += 1
        return {"generator": total.detach(), **{k: v.detach() for k, v in generator_losses.items()}, **scores}

    def _generator_losses(self, sim: Tensor, exp: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        config, count = self.config, sim.shape[0]
        forward, backward = self.nets["sim_to_exp"], self.nets["exp_to_sim"]
        # one pass for both inputs: the translation of one half, the identity of the other
        to_exp = forward(torch.cat([sim, exp]), self._noise(torch.cat([sim, exp])))
        to_sim = backward(torch.cat([exp, sim]), self._noise(torch.cat([exp, sim])))
        fakes = {"exp": to_exp[:count], "sim": to_sim[: exp.shape[0]]}
        sim_again = backward(fakes["exp"], self._noise(sim))
        exp_again = forward(fakes["sim"], self._noise(exp))
        pool_px = config.cycle_pool_px
        cycle = losses.cycle_loss(sim_again, sim, pool_px=pool_px) + losses.cycle_loss(exp_again, exp, pool_px=pool_px)
        identity = losses.identity_loss(to_exp[count:], exp) + losses.identity_loss(to_sim[exp.shape[0] :], sim)
        out = {"cycle": config.cycle_weight * cycle, "identity": config.identity_weight * identity}
        for name in DISCRIMINATORS:
            kind, domain = name.split("_")
            weight = config.fft_adversarial_weight if kind == "fft" else config.adversarial_weight
            out[f"fool_{name}"] = weight * losses.real_loss(self.nets[name](self._augmented(fakes[domain])))
        return {domain: fake.detach() for domain, fake in fakes.items()}, out

    def _discriminator_step(self, name: str, reals: Mapping[str, Tensor], fakes: Mapping[str, Tensor]) -> Tensor:
        net, watch, domain = self.nets[name], self.watches[name], name.split("_")[1]
        paused = watch.paused
        net.requires_grad_(not paused)
        with torch.set_grad_enabled(not paused), autocast(self.device):
            real, fake = self._augmented(reals[domain]), self._augmented(fakes[domain])
            if isinstance(net, FFTDiscriminator):
                net.calibrate(real)
            real_scores, fake_scores = net(real), net(fake)
            loss = losses.discriminator_loss(real_scores, fake_scores)
        if not paused:
            optimiser = self.discriminator_optimisers[name]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if self.steps % READ_EVERY_STEPS == 0:  # reading waits for the device
            watch.observe(float(losses.accuracy(real_scores, fake_scores)), steps=READ_EVERY_STEPS)
        return loss.detach()

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.rng).to(like.device, memory_format=torch.channels_last)

    def _augmented(self, images: Tensor) -> Tensor:
        return losses.augment(images, self.rng) if self.config.augment else images

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.steps) / (10 + self.steps))
        for name in GENERATORS:
            for mean, new in zip(self.ema[name].parameters(), self.nets[name].parameters(), strict=True):
                mean.lerp_(new, 1 - decay)

    def balance_note(self) -> str:
        """Return a sentence about paused discriminators, or an empty string."""
        paused = [name for name, watch in self.watches.items() if watch.paused]
        if not paused:
            return ""
        return (
            f"{', '.join(paused)} right above {self.config.balance_accuracy:.0%} for long: paused until it errs again"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is needed to go on exactly."""
        return {
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "discriminator_optimisers": {k: v.state_dict() for k, v in self.discriminator_optimisers.items()},
            "watches": {name: watch.state() for name, watch in self.watches.items()},
            "rng": self.rng.get_state(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the result of `state_dict`."""
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])
        for name, optimiser in self.discriminator_optimisers.items():
            optimiser.load_state_dict(state["discriminator_optimisers"][name])
            self.watches[name].restore(state["watches"][name])
        self.rng.set_state(state["rng"].cpu())
        self.steps = int(state["steps"])
