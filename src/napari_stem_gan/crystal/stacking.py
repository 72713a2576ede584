"""Layers of two-dimensional crystals on top of each other.

Layer distances are half the c axes of the bulk crystals: MoS2 and MoSe2 Bronsema et al. 1986
(doi:10.1002/zaac.19865400904), WS2 and WSe2 Schutte et al. 1987 (doi:10.1016/0022-4596(87)90057-0), MoTe2 c =
13.964 Å as tabulated (Puotinen and Newnham 1961 give 13.97), WTe2 Mar et al. 1992 (doi:10.1021/ja00049a029), graphite
Trucano and Chen 1975 (doi:10.1038/258136a0), BN Pease 1952. Other tables differ by up to 0.1 %.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import gcd

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import Stacking
from napari_stem_gan.crystal.materials import Material

LAYER_DISTANCE_A = {
    "MoS2": 6.148, "S2W": 6.162, "MoSe2": 6.464, "Se2W": 6.480, "MoTe2": 6.982, "Te2W": 7.009, "C": 3.356, "BN": 3.331,
}  # fmt: skip
SAME_FRACTION = 0.02


def layer_distance_A(material: Material) -> float:
    """Distance of neighbouring layers of a two-dimensional crystal.

    Raises
    ------
    ValueError
        If it is none of those listed.
    """
    counts = Counter(atom for column in material.columns for atom in column.atoms)
    divisor = gcd(*counts.values())
    formula = "".join(f"{e}{n // divisor if n > divisor else ''}" for e, n in sorted(counts.items()))
    if formula not in LAYER_DISTANCE_A:
        raise ValueError(
            f"layers of {material.label} must have a known distance (as have {', '.join(LAYER_DISTANCE_A)}), got none; "
            "give a structure file of the layered crystal"
        )
    return LAYER_DISTANCE_A[formula]


def layer_materials(material: Material, layers: int, stacking: Stacking) -> tuple[Material, ...]:
    """The crystal of each layer from the source down; they differ in the places of their columns.

    ``2H``: every second layer is turned by 180° so that each element lies over the other; graphene, which has one
    element, is shifted by a bond instead (graphite's ABAB). ``3R``: each layer is shifted by one bond against the last
    (graphite's ABC). ``AA``: all alike.

    Raises
    ------
    ValueError
        If 2H or 3R is asked of a crystal that is no honeycomb in projection.
    """
    if stacking == "AA" or layers == 1:
        return (material,) * layers
    first, second = _honeycomb(material, stacking)
    bond = second - first
    turned = stacking == "2H" and material.columns[0].atoms != material.columns[1].atoms
    if turned:
        return tuple(_placed(material, (second, first) if k % 2 else (first, second)) for k in range(layers))
    shifts = [bond * (k % 2 if stacking == "2H" else k) for k in range(layers)]
    return tuple(_placed(material, (first + s, second + s)) for s in shifts)


def _honeycomb(material: Material, stacking: Stacking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the two columns of a honeycomb cell."""
    fractions = np.array([c.fraction for c in material.columns])
    a1, a2 = material.cell
    hexagonal = abs(np.linalg.norm(a1) / np.linalg.norm(a2) - 1) < 0.01 and abs(a1 @ a2 / (a1 @ a1) - 0.5) < 0.02
    if hexagonal and len(fractions) == 2:
        bond = (fractions[1] - fractions[0]) % 1
        if min(np.abs(bond - 1 / 3).max(), np.abs(bond - 2 / 3).max()) < SAME_FRACTION:
            return fractions[0], fractions[1]
    raise ValueError(
        f"stacking of {material.label} must be AA, got {stacking!r}, which is for honeycombs; choose AA, or give a "
        "structure file of the layered crystal"
    )


def _placed(material: Material, fractions: tuple[NDArray[np.float64], ...]) -> Material:
    """The crystal with its columns elsewhere in the cell."""
    pairs = zip(material.columns, fractions, strict=True)
    return replace(material, columns=tuple(replace(c, fraction=(float(f[0]), float(f[1]))) for c, f in pairs))
