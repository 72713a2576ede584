"""Symbols and colours of defect classes, told apart without colour vision.

Colours are those of Okabe and Ito (2008, "Color Universal Design"); every class also has its own symbol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_stem_gan.crystal.materials import Material

ORANGE, SKY, GREEN = "#E69F00", "#56B4E9", "#009E73"
YELLOW, VERMILION, PURPLE, BLUE = "#F0E442", "#D55E00", "#CC79A7", "#0072B2"


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

    @property
    def rgba(self) -> tuple[float, float, float, float]:
        """The colour as napari keeps it, opaque; names of colours take napari long for many points."""
        red, green, blue = (int(self.colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return red, green, blue, 1.0


LOOKS = {
    "V_X": Look("disc", "○", ORANGE),
    "V_2X": Look("square", "□", SKY),
    "V_M": Look("triangle_up", "△", PURPLE),
    "S_X": Look("diamond", "◇", GREEN),
    "S_M": Look("star", "☆", YELLOW),
    "A": Look("clobber", "♣", BLUE),
    "other": Look("triangle_down", "▽", VERMILION),
}

LATTICE_LOOKS = (
    Look("disc", "○", SKY),
    Look("square", "□", ORANGE),
    Look("diamond", "◇", GREEN),
    Look("triangle_up", "△", YELLOW),
    Look("triangle_down", "▽", PURPLE),
    Look("star", "☆", VERMILION),
)
REJECTED_SYMBOL, GREY = "x", (0.75, 0.75, 0.75, 1.0)
GRAIN_LOOK = Look("cross", "+", VERMILION)


def look_of(defect: str) -> Look:
    """Look of a defect by its name, e.g. ``V_Se``, ``V_2Se``, ``V_W`` or ``Se_W``."""
    return LOOKS[class_of(defect)]


def class_of(defect: str) -> str:
    """Class of a defect name: vacancy (``V_X``, ``V_2X``, ``V_M``), substitution (``S_X``, ``S_M``) or adatom (``A``).

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
    if kind == "ad":
        return "A"
    if site.startswith("2") and kind == "V":
        return "V_2X"
    return ("V_" if kind == "V" else "S_") + ("M" if is_metal(site) else "X")


@cache
def is_metal(site: str) -> bool:
    """Whether a sublattice is a metal's, in most compounds; ``W``, ``Ti`` and the numbered ``W2`` are."""
    from napari_stem_gan.crystal.roles import usual_role

    return usual_role(site.strip("0123456789")) == "metal"


def sublattice_looks(material: Material) -> dict[str, Look]:
    """How the sites of each sublattice of a crystal are drawn, in the order of its columns."""
    names = list(dict.fromkeys(column.sublattice for column in material.columns))
    return {name: LATTICE_LOOKS[i % len(LATTICE_LOOKS)] for i, name in enumerate(names)}


def lattice_legend(material: Material, *, grains: bool = False) -> str:
    """One line of rich text: symbol and name of each sublattice, and of other grains where there are any."""
    looks = sublattice_looks(material) | ({"another grain": GRAIN_LOOK} if grains else {})
    marks = (f'<font color="{one.colour}"><b>{one.sign}</b></font>&nbsp;{name}' for name, one in looks.items())
    return " &nbsp; ".join(marks)


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
