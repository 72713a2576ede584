"""How bright a thick column is: each repeat sees less of the beam than the one above it.

The image is incoherent: every atom scatters its cross-section of the beam that reaches it. In a bulk crystal the beam
that runs along a column is weakened with depth, here by the same share ``1/n₀`` in each repeat, so that repeat k (0 at
the entrance) counts ``exp(−k/n₀)`` and n repeats count

    f(n) = Σ exp(−k/n₀) = (1 − exp(−n/n₀)) / (1 − exp(−1/n₀)) → n for n ≪ n₀,   n₀ = 25.

What this stands for: the high-angle signal of a column grows with its atoms, which is how they are counted (Van Aert
et al. 2013, doi:10.1103/PhysRevB.87.064107), and less and less so in thick crystals. Against frozen-phonon multislice
(``benchmarks/thickness.py``: 200 kV, 22 mrad, 80-180 mrad, up to 16 nm) the brightness of the strongest column
saturates as with n₀ = 25 for Si [110], 23 for SrTiO₃ [001] and 8 for Au [001].

What it leaves out: channelling, which lifts the signal per atom in the first nanometres (up to 1.5 times that of one
layer in SrTiO₃ and Au), oscillates, and differs from element to element and with tilt; and what leaves a column and
scatters from others, a smooth background that makes the mean over the field grow in proportion to thickness or faster.
Ratios of different columns in crystals thicker than a few nanometres are indicative only, and n₀ is one round number
for all crystals and detectors; use multislice where the ratio matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.defects import DefectiveStructure
from napari_stem_gan.simulate.adf import atom_weights_A2
from napari_stem_gan.simulate.config import OpticsConfig

SATURATION_LAYERS = 25.0


def depth_factor(depth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Share of the beam that reaches an atom with `depth` repeats or layers above it: ``exp(−depth / 25)``."""
    return np.asarray(np.exp(-np.asarray(depth) / SATURATION_LAYERS), float)


def thickness_factor(layers: int) -> float:
    """Intensity of a column of `layers` repeats over that of one, the sum of `depth_factor`; about 25 at most."""
    return float(depth_factor(np.arange(layers)).sum())


def projected_weights(
    structure: DefectiveStructure, optics: OpticsConfig, *, stack_factor: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points to render: positions ``(P, 2)`` in px and their weights in Å², ``(P,)``.

    Parameters
    ----------
    structure
        The atoms; those of one column that lie at the same place become one point.
    optics
        Beam energy and detector angles.
    stack_factor
        See `adf.atom_weights_A2`.
    """
    weights = atom_weights_A2(structure.elements, structure.column_size, optics, stack_factor=stack_factor)
    weights = weights * depth_factor(structure.depth)
    if not len(weights):
        return structure.atoms_px, weights
    moves = (np.diff(structure.atoms_px, axis=0) != 0).any(1) | (np.diff(structure.site) != 0)
    first = np.flatnonzero(np.concatenate([[True], moves]))
    return structure.atoms_px[first], np.add.reduceat(weights, first)
