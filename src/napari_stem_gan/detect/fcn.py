"""The finder's network and its training step."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.frame import CHANNELS
from napari_stem_gan.detect.losses import heat_map_loss
from napari_stem_gan.networks import UNet
from napari_stem_gan.training import autocast

FEATURES = (16, 32, 64, 96)
SITE_DROPOUT = 0.15
EMA_DECAY = 0.995


def make_network() -> nn.Module:
    """A U-Net from ``(B, 4, y, x)`` to logits ``(B, classes, y, x)``; sides are multiples of 8."""
    network = UNet(CHANNELS, len(FINDER_CLASSES), FEATURES)
    nn.init.constant_(network.head.bias, -4.0)  # type: ignore[arg-type]
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class FinderTraining:
    """Trainable finder: AdamW with a one-cycle learning rate, averaged weights, dropped site channels.

    Parameters
    ----------
    device
        Where to train.
    learning_rate
        Peak of the cycle.
    steps
        Length of the cycle; None: the learning rate stays at its peak, for fine-tuning.
    state
        Weights to start from.
    site_dropout
        Probability that a patch's site channels are set to 0.
    """

    def __init__(
        self,
        device: torch.device | str,
        *,
        learning_rate: float = 2e-3,
        steps: int | None = 2000,
        state: dict[str, Tensor] | None = None,
        site_dropout: float = SITE_DROPOUT,
    ) -> None:
        self.device = torch.device(device)
        self.network = make_network().to(self.device)
        if state is not None:
            self.network.load_state_dict(state)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=learning_rate, weight_decay=1e-3)
        self.schedule = None
        if steps is not None:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, learning_rate, total_steps=steps + 1)
        self.steps, self.done, self.site_dropout = steps, 0, site_dropout

    def train_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Update on ``(input, target)``."""
        inputs, target = (b.to(self.device, non_blocking=True) for b in batch)
        sites = inputs[:, 2:4].clone()
        drop = torch.rand(len(inputs), device=self.device) < self.site_dropout
        inputs = inputs.clone()
        inputs[drop, 2:4] = 0
        inputs = inputs.to(memory_format=torch.channels_last)
        self.network.train()
        with autocast(self.device):
            logits = self.network(inputs)
        loss = heat_map_loss(logits.float(), target, sites)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        if self.schedule is not None and self.steps is not None and self.done < self.steps:
            self.schedule.step()
        self.done += 1
        self._update_average()
        return {"loss": loss.detach()}

    def _update_average(self) -> None:
        decay = min(EMA_DECAY, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self.average[key].lerp_(value.to(self.average[key].dtype), 1 - decay)

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Nothing to score: the averaged weights of the last step are the result."""
        return {}

    def preview(self) -> NDArray[Any] | None:
        """No preview."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Everything to resume exactly."""
        return {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "schedule": {} if self.schedule is None else self.schedule.state_dict(),
            "done": self.done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.average = {k: v.clone() for k, v in state["average"].items()}
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.done = int(state["done"])
