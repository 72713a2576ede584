"""Fuse network and lattice evidence into one calibrated probability per candidate.

A small perceptron for each role of a candidate (see `candidates`), fitted by cross-entropy on simulated candidates,
whose share of defects is that of the simulation: so its outputs are probabilities there.
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
HIDDEN = 16
SITES = ("anion", "metal")
DOUBT, ROUNDS, LARGEST_ODDS = 100.0, 50, 2.0
RAREST = 3e-4  # a class with a smaller share was hardly seen


@dataclass(frozen=True)
class Fusion:
    """The fitted perceptrons.

    Parameters
    ----------
    weights
        Tensors ``anion.0.weight`` … ``metal.4.bias``, ``anion.mean``, ``anion.std``, and ``anion.share``, the share of
        each class where it was fitted.
    """

    weights: Mapping[str, Tensor]

    def probabilities(
        self, features: NDArray[np.float64], role: str, odds: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities ``(N, classes)`` of candidates with features ``(N, FEATURES)``; see `CLASSES`.

        A role that was fitted to nothing has no defects. `odds`, from `Fusion.odds`, make them those of one image.
        """
        if f"{role}.mean" not in self.weights:
            return np.eye(len(CLASSES[role]))[np.zeros(len(features), int)]
        x = torch.as_tensor(features, dtype=torch.float32)
        x = (x - self.weights[f"{role}.mean"]) / self.weights[f"{role}.std"]
        for layer in (0, 2, 4):
            x = nn.functional.linear(x, self.weights[f"{role}.{layer}.weight"], self.weights[f"{role}.{layer}.bias"])
            x = torch.tanh(x) if layer < 4 else x
        found = np.asarray(torch.softmax(x, -1).double().numpy())
        return found if odds is None else _normalised(found * odds)

    def odds(self, features: NDArray[np.float64], role: str) -> NDArray[np.float64]:
        """How much commoner each class is among these candidates of one image than where the fusion was fitted.

        Expectation maximisation of the shares, from all sites of the image together; so a crystal without defects is
        not given the share of those that were simulated. The simulated share counts as `DOUBT` sites, and no class may
        be more than `LARGEST_ODDS` times as common: where the lattice is not the crystal's, everything would become a
        defect. 1 for classes that were hardly simulated, for candidates that are no sites, and for a fusion that does
        not know its shares.

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
        Steps of Adam on all sites at once.
    seed
        Seed of the first weights.
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
    mean = weights[f"{role}.mean"] if warm else x.mean(0)
    std = weights[f"{role}.std"] if warm else x.std(0) + 1e-3
    x = (x - mean) / std
    outputs = len(CLASSES[role])
    network = nn.Sequential(
        nn.Linear(FEATURES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, outputs)
    )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fresh = torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.ndim > 1 else 0.0)
            parameter.copy_(weights[f"{role}.{name}"] if warm else fresh)
    first = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3 if warm else 1e-2)
    pull = 1e-2 if warm else 1e-5
    for _ in range(iterations):
        loss = nn.functional.cross_entropy(network(x), y)
        loss = loss + pull * sum(((p - q) ** 2).mean() for p, q in zip(network.parameters(), first, strict=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    fitted = {f"{role}.{name}": p.detach().clone() for name, p in network.named_parameters()}
    share = torch.bincount(y, minlength=outputs) / len(y)
    return {**fitted, f"{role}.mean": mean, f"{role}.std": std, f"{role}.share": share}
