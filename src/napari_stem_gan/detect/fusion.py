"""Fuse network and lattice evidence into one calibrated probability per candidate.

Bayes' theorem with a learnt remainder: the logit of a class is the logarithm of its share, plus the log likelihood
ratio that the brightness of the column gives it (limited: far out it is no bell curve), plus what a small perceptron
for each role of a candidate (see `candidates`) makes of all features. It is fitted by cross-entropy on simulated
candidates, whose share of defects is that of the simulation: so its outputs are probabilities there. Faint images, of
which few are drawn, keep the odds that their stated errors allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_stem_gan.crystal.adatoms import ADATOM_KIND
from napari_stem_gan.crystal.defects import FINDER_CLASSES

ANION_CLASSES = ("none", "V_X", "V_2X", "S_X", ADATOM_KIND)
METAL_CLASSES = ("none", "V_M", "S_M", ADATOM_KIND)
CLASSES = {
    "anion": ANION_CLASSES,
    "metal": METAL_CLASSES,
    "between": ("none", ADATOM_KIND),
    "alone": ("none", *FINDER_CLASSES),
}
FEATURES = len(FINDER_CLASSES) + 11
HALF_ODDS, EMPTY_ODDS = len(FINDER_CLASSES) + 7, len(FINDER_CLASSES) + 8  # features: log likelihood ratios
EVIDENCE = {"anion": {"V_X": HALF_ODDS, "V_2X": EMPTY_ODDS}, "metal": {"V_M": EMPTY_ODDS}}
LIMIT = 6.0  # of a log likelihood ratio
HIDDEN, BATCH = 16, 16384
SITES = ("anion", "metal")
DOUBT, ROUNDS, LARGEST_ODDS = 400.0, 50, 2.0
RAREST = 3e-4  # a class with a smaller share was hardly seen
COLD, WARM = (1e-2, 1e-5), (3e-3, 30.0)  # rate of Adam, and pull to where it began: a session has few sites


@dataclass(frozen=True)
class Fusion:
    """The fitted perceptrons.

    Parameters
    ----------
    weights
        Tensors ``anion.0.weight`` … ``metal.4.bias``, ``anion.mean``, ``anion.std``, ``anion.share``, the share of
        each class where it was fitted, and ``anion.limit`` of its log likelihood ratios.
    """

    weights: Mapping[str, Tensor]

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor]) -> Fusion:
        """The fusion of a model file.

        Raises
        ------
        KeyError
            If it is of another version, whose features were others.
        """
        for role in CLASSES:
            if f"{role}.mean" in weights and f"{role}.limit" not in weights:
                raise KeyError(f"a fusion must have a tensor '{role}.limit', got one of another version; fit it again")
        return cls(weights)

    def probabilities(
        self, features: NDArray[np.float64], role: str, odds: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities ``(N, classes)`` of candidates with features ``(N, FEATURES)``; see `CLASSES`.

        A role that was fitted to nothing has no defects. `odds`, from `Fusion.odds`, make them those of one image.
        """
        if f"{role}.mean" not in self.weights:
            return np.eye(len(CLASSES[role]))[np.zeros(len(features), int)]
        x = torch.as_tensor(features, dtype=torch.float32)
        known = _bayes(x, role, self.weights[f"{role}.share"], self.weights[f"{role}.limit"])
        x = (x - self.weights[f"{role}.mean"]) / self.weights[f"{role}.std"]
        for layer in (0, 2, 4):
            x = nn.functional.linear(x, self.weights[f"{role}.{layer}.weight"], self.weights[f"{role}.{layer}.bias"])
            x = torch.tanh(x) if layer < 4 else x
        found = np.asarray(torch.softmax(x + known, -1).double().numpy())
        return found if odds is None else _normalised(found * odds)

    def odds(self, features: NDArray[np.float64], role: str) -> NDArray[np.float64]:
        """How much commoner each class is among these candidates of one image than where the fusion was fitted.

        Expectation maximisation of the shares, from all sites of the image together; so a crystal without defects is
        not given the share of those that were simulated. The simulated share counts as `DOUBT` sites, and no class may
        be more than `LARGEST_ODDS` times as common: where the lattice is not the crystal's, everything would become a
        defect. 1 for classes that were hardly simulated and for candidates that are no sites.

        References
        ----------
        Saerens, Latinne and Decaestecker, Neural Computation 14 (2002) 21, doi:10.1162/089976602753284446.
        """
        if f"{role}.share" not in self.weights or role not in SITES:
            return np.ones(len(CLASSES[role]))
        usual = self.weights[f"{role}.share"].double().numpy().clip(RAREST)
        known, odds = usual > RAREST, np.ones(len(usual))
        found = self.probabilities(features, role)
        for _ in range(ROUNDS):
            share = (_normalised(found * odds).sum(0) + DOUBT * usual) / (len(found) + DOUBT)
            odds = np.where(known, np.minimum(share / usual, LARGEST_ODDS), 1.0)
        return odds


def _bayes(features: Tensor, role: str, share: Tensor, limit: Tensor) -> Tensor:
    """Logits ``(N, classes)`` by the share of each class and the brightness of the column."""
    logits = torch.log(share.clamp_min(RAREST)).repeat(len(features), 1)
    for name, feature in EVIDENCE.get(role, {}).items():
        logits[:, CLASSES[role].index(name)] += limit * torch.tanh(features[:, feature] / limit)
    return logits


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / values.sum(1, keepdims=True))


def fit_fusion(
    data: Mapping[str, tuple[NDArray[np.float64], NDArray[np.intp]]],
    *,
    start: Fusion | None = None,
    iterations: int = 500,
    seed: int = 0,
) -> Fusion:
    """Fit the perceptrons.

    Parameters
    ----------
    data
        Role ↦ features ``(N, FEATURES)`` and class index ``(N,)`` into `CLASSES`.
    start
        Fusion to start from, and to stay close to.
    iterations
        Steps of Adam, each on at most `BATCH` of the candidates.
    seed
        Seed of the first weights and of the batches.
    """
    weights: dict[str, Tensor] = {} if start is None else dict(start.weights)
    generator = torch.Generator().manual_seed(seed)
    for role, (features, target) in data.items():
        if len(target) and (start is None or len(np.unique(target)) > 1):
            weights.update(_fit_role(role, features, target, weights, iterations, generator))
    return Fusion(weights)


def _fit_role(
    role: str,
    features: NDArray[np.float64],
    target: NDArray[np.intp],
    weights: Mapping[str, Tensor],
    iterations: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    x, y = torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(target)
    warm = f"{role}.mean" in weights
    outputs = len(CLASSES[role])
    fixed = {
        f"{role}.mean": weights[f"{role}.mean"] if warm else x.mean(0),
        f"{role}.std": weights[f"{role}.std"] if warm else x.std(0) + 1e-3,
        f"{role}.share": torch.bincount(y, minlength=outputs) / len(y),
        f"{role}.limit": torch.tensor(LIMIT),
    }
    known = _bayes(x, role, fixed[f"{role}.share"], fixed[f"{role}.limit"])
    network = _perceptron(role, outputs, weights, generator)
    x = (x - fixed[f"{role}.mean"]) / fixed[f"{role}.std"]
    _descend(network, (x, known, y), iterations, generator, *(WARM if warm else COLD))
    return {**fixed, **{f"{role}.{name}": p.detach().clone() for name, p in network.named_parameters()}}


def _perceptron(
    role: str, outputs: int, weights: Mapping[str, Tensor], generator: torch.Generator
) -> nn.Sequential:
    """The perceptron of `weights`, or one that hardly says anything yet."""
    network = nn.Sequential(
        nn.Linear(FEATURES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, outputs)
    )
    spread = {"0.weight": 0.3, "2.weight": 0.3, "4.weight": 0.01}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fresh = torch.randn(parameter.shape, generator=generator) * spread.get(name, 0.0)
            parameter.copy_(weights.get(f"{role}.{name}", fresh))
    return network


def _descend(
    network: nn.Sequential,
    data: tuple[Tensor, Tensor, Tensor],
    iterations: int,
    generator: torch.Generator,
    rate: float,
    pull: float,
) -> None:
    """Adam with a rate that falls to zero, on inputs, known logits and classes; `pull` holds it where it began."""
    first = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(iterations, 1))
    count = len(data[-1])
    for _ in range(iterations):
        batch = torch.randint(count, (BATCH,), generator=generator) if count > BATCH else torch.arange(count)
        x, known, y = (values[batch] for values in data)
        loss = nn.functional.cross_entropy(network(x) + known, y)
        loss = loss + pull * sum(((p - q) ** 2).mean() for p, q in zip(network.parameters(), first, strict=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
