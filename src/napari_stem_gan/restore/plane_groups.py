"""The 17 plane groups: cells and general positions, for random crystals in projection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# General positions (International Tables, volume A) as "x,y" in fractions; h = +1/2.
_P2 = "x,y -x,-y"
_P3 = "x,y -y,x-y y-x,-x"
_P4 = "x,y -x,-y -y,x y,-x"
_P6 = f"{_P3} -x,-y y,y-x x-y,x"
_M3M1 = "-y,-x y-x,y x,x-y"
_M31M = "y,x x-y,-y -x,y-x"
PLANE_GROUPS: dict[str, tuple[str, str]] = {
    "p1": ("oblique", "x,y"),
    "p2": ("oblique", _P2),
    "pm": ("rectangular", "x,y -x,y"),
    "pg": ("rectangular", "x,y -x,y+h"),
    "cm": ("rectangular", "x,y -x,y x+h,y+h h-x,y+h"),
    "p2mm": ("rectangular", f"{_P2} -x,y x,-y"),
    "p2mg": ("rectangular", f"{_P2} h-x,y x+h,-y"),
    "p2gg": ("rectangular", f"{_P2} h-x,y+h x+h,h-y"),
    "c2mm": ("rectangular", f"{_P2} -x,y x,-y x+h,y+h h-x,h-y h-x,y+h x+h,h-y"),
    "p4": ("square", _P4),
    "p4mm": ("square", f"{_P4} -x,y x,-y y,x -y,-x"),
    "p4gm": ("square", f"{_P4} h-x,y+h x+h,h-y y+h,x+h h-y,h-x"),
    "p3": ("hexagonal", _P3),
    "p3m1": ("hexagonal", f"{_P3} {_M3M1}"),
    "p31m": ("hexagonal", f"{_P3} {_M31M}"),
    "p6": ("hexagonal", _P6),
    "p6mm": ("hexagonal", f"{_P6} {_M3M1} {_M31M}"),
}
SPECIAL = np.array([0.0, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 5 / 6])


def _term(text: str) -> tuple[float, float, float]:
    """Coefficients of x, y and 1 in one coordinate such as ``h-x`` or ``y-x``."""
    parts = text.replace("-", "+-").strip("+").split("+")
    values = {"x": 0.0, "y": 0.0, "h": 0.0}
    for part in parts:
        values[part.lstrip("-")] += -1.0 if part.startswith("-") else 1.0
    return values["x"], values["y"], 0.5 * values["h"]


def operations(group: str) -> NDArray[np.float64]:
    """Symmetry operations of a plane group as affine matrices ``(n, 2, 3)`` on (x, y, 1) fractions."""
    return np.array([[_term(part) for part in operation.split(",")] for operation in PLANE_GROUPS[group][1].split()])


_OPERATIONS = {name: operations(name) for name in PLANE_GROUPS}


def orbit(group: str, fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """All positions in the cell that symmetry makes of one: ``(m, 2)`` fractions, each once."""
    images = (_OPERATIONS[group] @ np.array([*fraction, 1.0])) % 1.0
    keys = np.round(images * 48).astype(int) % 48  # special positions fall together
    return np.asarray(images[np.unique(keys, axis=0, return_index=True)[1]])


def random_cell(system: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Cell vectors in Å, rows (y, x), of a random cell; sides of 2.4 to 8 Å."""
    a, b = np.exp(rng.uniform(np.log(2.4), np.log(8.0), size=2))
    angle = np.pi / 2
    if system == "oblique":
        angle = np.deg2rad(rng.uniform(60, 120))
    elif system == "square":
        b = a
    elif system == "hexagonal":
        b, angle = a, 2 * np.pi / 3
    return np.array([[0.0, a], [b * np.sin(angle), b * np.cos(angle)]])


def random_motif(
    cell: NDArray[np.float64], group: str, rng: np.random.Generator, *, atoms: int, closest_A: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Random symmetric motif whose columns keep a distance.

    Parameters
    ----------
    cell
        Rows a1, a2 as (y, x) in Å.
    group
        Plane group.
    rng
        Source of randomness.
    atoms
        Independent atoms to try to place.
    closest_A
        Smallest distance of two columns in Å; atoms that come closer are left out.

    Returns
    -------
    tuple
        Fractions ``(m, 2)`` along a1, a2 and the kind (0, 1, ...) of each; at least one column.
    """
    places, kinds = np.zeros((0, 2)), np.zeros(0, np.intp)
    shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)], float)
    for kind in range(atoms):
        for _ in range(6):
            special = rng.random(2) < 0.6
            new = orbit(group, np.where(special, rng.choice(SPECIAL, 2), rng.random(2)))
            both = np.concatenate([places, new])
            vectors = (both[:, None, None] - new[None, :, None] + shifts) @ cell
            distance = np.hypot(vectors[..., 0], vectors[..., 1])
            itself = np.arange(len(new))
            distance[len(places) + itself, itself, 4] = np.inf  # shift (0, 0)
            if distance.min() > closest_A:
                places, kinds = both, np.concatenate([kinds, np.full(len(new), kind, np.intp)])
                break
    if len(places) == 0:
        return np.zeros((1, 2)), np.zeros(1, np.intp)
    return places, kinds
