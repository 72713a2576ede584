"""Fuse network and lattice evidence into one calibrated probability per candidate.

Bayes' theorem with a learnt remainder: the logit of a class is the logarithm of its share, plus the log likelihood
ratio that the brightness of the column gives it (limited: far out it is no bell curve), plus what a
committee of small perceptrons for each role of a candidate (see `candidates`) makes of all features: the mean of what
they say, as each alone bends where few images were drawn. It is fitted by cross-entropy on simulated
candidates, whose share of defects is that of the simulation: so its outputs are probabilities there. Faint images, of
which few are drawn, keep the odds that their stated errors allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.crystal.adatoms import ADATOM_KIND
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.detect.committee import NAMES, Descent, descended, ignorant, said

ANION_CLASSES = ("none", "V_X", "V_2X", "S_X", ADATOM_KIND)
METAL_CLASSES = ("none", "V_M", "S_M", ADATOM_KIND)
CLASSES = {
    "anion": ANION_CLASSES,
    "metal": METAL_CLASSES,
    "between": ("none", ADATOM_KIND),
    "alone": ("none", *FINDER_CLASSES),
}
FEATURES = len(FINDER_CLASSES) + 13
HALF_ODDS, EMPTY_ODDS, FOREIGN_ODDS, ADATOM_ODDS = (len(FINDER_CLASSES) + n for n in (7, 8, 11, 12))
"""Features that are log likelihood ratios of the column's brightness."""
EVIDENCE = {
    "anion": {"V_X": HALF_ODDS, "V_2X": EMPTY_ODDS, "S_X": FOREIGN_ODDS, ADATOM_KIND: ADATOM_ODDS},
    "metal": {"V_M": EMPTY_ODDS, "S_M": FOREIGN_ODDS, ADATOM_KIND: ADATOM_ODDS},
}
LIMIT = 6.0  # of a log likelihood ratio
SITES = ("anion", "metal")
DOUBT, ROUNDS, LARGEST_ODDS = 400.0, 50, 2.0
RAREST, SELDOM = 3e-4, 2e-3  # a class with a smaller share was hardly seen; and is too seldom to be counted on an image


COLD = Descent(1e-2, 1e-5, 16384, together=False)
WARM = Descent(3e-3, 30.0, 4096, together=True)  # on a session, which has few sites


@dataclass(frozen=True)
class Fusion:
    """The fitted committees.

    Parameters
    ----------
    weights
        Tensors ``anion.0.weight`` ``(members, in, out)`` … ``metal.4.bias`` ``(members, 1, out)``, ``anion.mean``,
        ``anion.std``, ``anion.share``, the share of each class where it was fitted, and ``anion.limit`` of its log
        likelihood ratios.
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
            if any(name.startswith(f"{role}.") for name in weights):
                _check(role, weights)
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
        learnt = said(x, {name: self.weights[f"{role}.{name}"] for name in NAMES}).mean(0)
        found = np.asarray(torch.softmax(learnt + known, -1).double().numpy())
        return found if odds is None else _normalised(found * odds)

    def odds(self, features: NDArray[np.float64], role: str) -> NDArray[np.float64]:
        """How much commoner each class is among these candidates of one image than where the fusion was fitted.

        Expectation maximisation of the shares, from all sites of the image together; so a crystal without defects is
        not given the share of those that were simulated. The simulated share counts as `DOUBT` sites, and no class may
        be more than `LARGEST_ODDS` times as common: where the lattice is not the crystal's, everything would become a
        defect. 1 for classes that are seldom (adatoms on sites would take what looks alike from substitutions) and for
        candidates that are no sites.

        References
        ----------
        Saerens, Latinne and Decaestecker, Neural Computation 14 (2002) 21, doi:10.1162/089976602753284446.
        """
        if f"{role}.share" not in self.weights or role not in SITES:
            return np.ones(len(CLASSES[role]))
        usual = self.weights[f"{role}.share"].double().numpy().clip(RAREST)
        known, odds = usual > SELDOM, np.ones(len(usual))
        found = self.probabilities(features, role)
        for _ in range(ROUNDS):
            share = (_normalised(found * odds).sum(0) + DOUBT * usual) / (len(found) + DOUBT)
            odds = np.where(known, np.minimum(share / usual, LARGEST_ODDS), 1.0)
        return odds


def _check(role: str, weights: Mapping[str, Tensor]) -> None:
    """Raise KeyError unless a role's tensors are those of this version."""
    missing = [name for name in (*NAMES, "mean", "std", "share", "limit") if f"{role}.{name}" not in weights]
    if missing:
        raise KeyError(f"a fusion must have a tensor '{role}.{missing[0]}', got one of another version; fit it again")
    if weights[f"{role}.mean"].shape != (FEATURES,):
        shape = tuple(weights[f"{role}.mean"].shape)
        raise KeyError(f"'{role}.mean' must be of {FEATURES} features, got {shape} of another version; fit it again")


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
    """Fit the committees: each member by itself from nothing, together from `start`.

    Parameters
    ----------
    data
        Role ↦ features ``(N, FEATURES)`` and class index ``(N,)`` into `CLASSES`.
    start
        Fusion to start from, and to stay close to.
    iterations
        Steps of Adam, each on a batch of the candidates.
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
    x = (x - fixed[f"{role}.mean"]) / fixed[f"{role}.std"]
    first = {n: weights[f"{role}.{n}"] for n in NAMES} if warm else ignorant(FEATURES, outputs, generator)
    fitted = descended(first, (x, known, y), iterations, generator, WARM if warm else COLD)
    return {**fixed, **{f"{role}.{name}": tensor for name, tensor in fitted.items()}}
