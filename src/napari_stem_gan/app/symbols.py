"""Symbols and colours of defect classes, told apart without colour vision.

Colours are those of Okabe and Ito (2008, "Color Universal Design"); every class also has its own symbol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

ORANGE, SKY, GREEN = "#E69F00", "#56B4E9", "#009E73"
YELLOW, VERMILION, PURPLE = "#F0E442", "#D55E00", "#CC79A7"


@dataclass(frozen=True)
class Look:
    """How one class of defects is drawn.

    Parameters
    ----------
    symbol
        napari's name of the symbol.
    sign
        A character that looks like it, for the legend.
    colour
        Edge colour as ``#RRGGBB``.
    """

    symbol: str
    sign: str
    colour: str


LOOKS = {
    "V_X": Look("disc", "○", ORANGE),
    "V_2X": Look("square", "□", SKY),
    "V_M": Look("triangle_up", "△", PURPLE),
    "S_X": Look("diamond", "◇", GREEN),
    "S_M": Look("star", "☆", YELLOW),
    "other": Look("triangle_down", "▽", VERMILION),
}


def look_of(defect: str) -> Look:
    """Look of a defect by its name, e.g. ``V_Se``, ``V_2Se``, ``V_W`` or ``Se_W``."""
    return LOOKS[class_of(defect)]


def class_of(defect: str) -> str:
    """Class of a defect name: vacancy (``V_X``, ``V_2X``, ``V_M``) or substitution (``S_X``, ``S_M``).

    Parameters
    ----------
    defect
        Name as in the table; an unknown name is of class ``other``.

    Returns
    -------
    str
        A key of `LOOKS`.
    """
    if defect in LOOKS:
        return defect
    kind, _, site = defect.partition("_")
    if not site:
        return "other"
    if site.startswith("2") and kind == "V":
        return "V_2X"
    return ("V_" if kind == "V" else "S_") + ("M" if site in metal_sublattices() else "X")


@cache
def metal_sublattices() -> frozenset[str]:
    """Names of all metal sublattices of the presets."""
    from napari_stem_gan.crystal.materials import MATERIALS

    columns = (column for material in MATERIALS.values() for column in material.columns)
    return frozenset(column.sublattice for column in columns if column.role == "metal")


def legend(defects: Iterable[str]) -> str:
    """One line of rich text per defect name: symbol, name and count.

    Parameters
    ----------
    defects
        Names of all points shown.

    Returns
    -------
    str
        HTML, most frequent first.
    """
    counts: dict[str, int] = {}
    for name in defects:
        counts[name] = counts.get(name, 0) + 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    marks = [(look_of(name), name, count) for name, count in rows]
    return " &nbsp; ".join(f'<font color="{m.colour}"><b>{m.sign}</b></font>&nbsp;{n}&nbsp;{c}' for m, n, c in marks)
