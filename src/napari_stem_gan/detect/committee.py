"""A committee of small perceptrons: what they say of features, and how they learn.

One perceptron bends where few images were drawn, each in its own way; the mean of several scatters less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MEMBERS, HIDDEN = 4, 16
LAYERS = (0, 2, 4)
NAMES = tuple(f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias"))


@dataclass(frozen=True)
class Descent:
    """How a fit goes: rate of Adam, pull to where it began, candidates in a batch; do members learn together?"""

    rate: float
    pull: float
    batch: int
    together: bool


def said(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """What each member makes of scaled features.

    Parameters
    ----------
    x
        Shape ``(N, features)``, each feature of mean 0 and spread 1.
    weights
        Tensors by `NAMES`: ``0.weight`` of shape ``(members, features, hidden)``, ``0.bias`` ``(members, 1, hidden)`` …

    Returns
    -------
    Tensor
        Logits ``(members, N, classes)``.
    """
    y = x.expand(len(weights["0.weight"]), *x.shape)
    for layer in LAYERS:
        y = torch.baddbmm(weights[f"{layer}.bias"], y, weights[f"{layer}.weight"])
        y = torch.tanh(y) if layer != LAYERS[-1] else y
    return y


def ignorant(features: int, outputs: int, generator: torch.Generator) -> dict[str, Tensor]:
    """A committee whose members differ and hardly say anything yet."""
    sizes, spreads = (features, HIDDEN, HIDDEN, outputs), (0.3, 0.3, 0.01)
    weights = {}
    for layer, spread, size, after in zip(LAYERS, spreads, sizes[:-1], sizes[1:], strict=True):
        weights[f"{layer}.weight"] = spread * torch.randn(MEMBERS, size, after, generator=generator)
        weights[f"{layer}.bias"] = torch.zeros(MEMBERS, 1, after)
    return weights


def descended(
    first: Mapping[str, Tensor],
    data: tuple[Tensor, Tensor, Tensor],
    iterations: int,
    generator: torch.Generator,
    how: Descent,
) -> dict[str, Tensor]:
    """A committee after Adam with a rate that falls to zero.

    Parameters
    ----------
    first
        Where it begins, and is pulled to.
    data
        Scaled features ``(N, features)``, known logits ``(N, classes)`` that are added to what is said, and true
        classes ``(N,)``.
    iterations
        Steps, each on a batch of the candidates.
    generator
        Draws the batches.
    how
        Rate, pull and batch.
    """
    weights = {name: tensor.clone().requires_grad_(True) for name, tensor in first.items()}
    optimizer = torch.optim.Adam(list(weights.values()), lr=how.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(iterations, 1))
    count = len(data[-1])
    for _ in range(iterations):
        batch = torch.randint(count, (how.batch,), generator=generator) if count > how.batch else torch.arange(count)
        loss = _loss(weights, tuple(values[batch] for values in data), together=how.together)
        loss = loss + how.pull * sum(((weights[n] - first[n]) ** 2).mean() for n in first)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return {name: tensor.detach() for name, tensor in weights.items()}


def _loss(weights: Mapping[str, Tensor], batch: tuple[Tensor, ...], *, together: bool) -> Tensor:
    """Cross-entropy of what the members say together, or sum over what each says by itself."""
    x, known, y = batch
    views = said(x, weights)
    if together:
        return nn.functional.cross_entropy(views.mean(0) + known, y)
    logits = (views + known).flatten(0, 1)  # (members · N, classes)
    return len(views) * nn.functional.cross_entropy(logits, y.repeat(len(views)))
