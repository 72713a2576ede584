"""One training step of the restoration network, with or without its discriminator."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.restore.cgrdn import CGRDN
from napari_stem_gan.restore.config import CGRDNConfig, CGRDNTrainingConfig
from napari_stem_gan.restore.discriminator import PatchDiscriminator
from napari_stem_gan.restore.losses import adversarial_loss, discriminator_loss, pixel_losses
from napari_stem_gan.training import autocast

MAX_GRADIENT_NORM = 1.0
FINAL_RATE = 1e-3


def one_cycle(fraction: float, warm_up: float) -> float:
    """Learning rate, relative to the highest, after a fraction of the training: cosine up, cosine down."""
    if fraction < warm_up:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * fraction / warm_up))
    down = min(1.0, (fraction - warm_up) / (1 - warm_up))
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * down))


class CGRDNTrainer:
    """A `training.Trainable`: network, averaged network, optimiser and, with adversarial weight, discriminator.

    Parameters
    ----------
    network
        Size of the CGRDN.
    config
        Losses and schedule.
    steps
        Steps of the whole schedule, or None.
    minutes
        Minutes of the whole schedule, or None; the schedule follows whichever is nearer its end.
    device
        Where to train.
    """

    def __init__(
        self,
        network: CGRDNConfig,
        config: CGRDNTrainingConfig,
        *,
        steps: int | None = None,
        minutes: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if steps is None and minutes is None:
            raise ValueError("steps or minutes must be given for the learning rate's schedule; set one of them")
        self.config, self.steps, self.minutes = config, steps, minutes
        self.device = torch.device(device)
        self.network = CGRDN(network).to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate, weight_decay=1e-5)
        self.discriminator: PatchDiscriminator | None = None
        if config.adversarial_weight > 0:
            self.discriminator = PatchDiscriminator().to(self.device)
            self.optimiser_d = torch.optim.Adam(self.discriminator.parameters(), lr=1e-4, betas=(0.5, 0.999))
        self.step, self.seconds = 0, 0.0
        self._last: float | None = None
        self._example: tuple[Tensor, Tensor] | None = None

    @property
    def fraction(self) -> float:
        """How much of the schedule is done."""
        by_steps = self.step / self.steps if self.steps else 0.0
        by_time = self.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def train_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Update the weights once on standardised (distorted, target) images ``(B, 1, Y, X)``."""
        distorted, target = (part.to(self.device) for part in batch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * one_cycle(self.fraction, self.config.warm_up)
        with autocast(self.device):
            output = self.network(distorted.contiguous(memory_format=torch.channels_last)).float()
        losses = pixel_losses(output, target, self.config.loss_weights)
        if self.discriminator is not None:
            real, fake = self.discriminator(distorted, target), self.discriminator(distorted, output)
            losses["adversarial"] = self.config.adversarial_weight * adversarial_loss(real, fake)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        if self.discriminator is not None:
            losses["discriminator"] = self._discriminator_step(distorted, target, output.detach())
        self._average()
        self._clock()
        self._example = (distorted, target)
        return {name: value.detach() for name, value in losses.items()}

    def _discriminator_step(self, distorted: Tensor, target: Tensor, output: Tensor) -> Tensor:
        assert self.discriminator is not None
        loss = discriminator_loss(self.discriminator(distorted, target), self.discriminator(distorted, output))
        self.optimiser_d.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser_d.step()
        return loss

    @torch.no_grad()
    def _average(self) -> None:
        """Let the averaged weights follow; quickly at the start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _clock(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.seconds += now - self._last
        self._last = now
        self.step += 1

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Nothing to score: the one-cycle schedule ends at its best."""
        return {}

    @torch.no_grad()
    def preview(self) -> NDArray[np.float32] | None:
        """Distorted, restored and true image of the last batch, side by side."""
        if self._example is None:
            return None
        distorted, target = (part[:1] for part in self._example)
        restored = self.averaged(distorted).float()
        return np.asarray(torch.cat([distorted, restored, target], dim=-1)[0, 0].cpu().numpy(), np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        if self.discriminator is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["optimiser_d"] = self.optimiser_d.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self._last = int(state["step"]), float(state["seconds"]), None
        if self.discriminator is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.optimiser_d.load_state_dict(state["optimiser_d"])
