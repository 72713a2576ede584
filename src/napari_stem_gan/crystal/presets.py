"""Crystals that need no file: cells and atoms, built by ASE when one is asked for.

Constants: SCIENCE section 2.6 (two independent tables agree on those of the dichalcogenides); SrTiO3 from Schmidbauer
et al., Acta Cryst. B68 (2012) 8, doi:10.1107/S0108768111046738; WTe2 from Mar, Jobic and Ibers, J. Am. Chem. Soc. 114
(1992) 8963, doi:10.1021/ja00049a029; Si Hubbard et al. 1975, GaAs Baker et al. 1976.

Checked against what others publish: WTe2's coordinates are those of other programs to two or three digits, and relaxed
layers have the same columns within 0.005 b; the reference cell of the IUCr's ceria round robin is 5.41134 Å; CdTe is
tabulated with 6.48 to 6.482 Å; tetragonal BaTiO3 with a = 3.994 to 4.000 and c = 4.018 to 4.038 Å, where c counts for
the thickness along [001] only; 2H-MoTe2 with a = 3.519, c = 13.964 Å.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Preset:
    """A crystal and the views of it that are offered.

    Parameters
    ----------
    build
        Makes the structure.
    zone_axes
        Views with a name of their own, e.g. ``("[110]",)``; empty for a layer.
    aliases
        Other names, in lower case, letters and digits only.
    layers
        Repeats along the beam; None: about 10 nm.
    """

    build: Callable[[], Atoms]
    zone_axes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    layers: int | None = None


def dichalcogenide(formula: str, a: float, thickness: float) -> Atoms:
    """2H monolayer; lattice constant and distance of the two chalcogen planes in Å."""
    from ase.build import mx2

    return mx2(formula, kind="2H", a=a, thickness=thickness)


def honeycomb(formula: str, a: float) -> Atoms:
    """One layer of graphene or of boron nitride; `formula` has two atoms."""
    from ase.build import graphene

    return graphene(formula, a=a)


def cubic(formula: str, structure: str, a: float) -> Atoms:
    """Conventional cell of a cubic crystal, so that zone axes are the usual ones."""
    from ase.build import bulk

    return bulk(formula, structure, a=a, cubic=True)


def perovskite(a_site: str, b_site: str, a: float, c: float) -> Atoms:
    """ABO3 with every atom on its ideal place; ferroelectric shifts along c do not show along [001]."""
    from ase.spacegroup import crystal

    basis = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return crystal([a_site, b_site, "O", "O", "O"], basis, cellpar=[a, a, c, 90, 90, 90])


def tungsten_ditelluride() -> Atoms:
    """One layer (1T') of the bulk crystal, space group Pmn2_1."""
    from ase.spacegroup import crystal

    basis = [
        (0, 0.60062, 0.5), (0, 0.03980, 0.01522),
        (0, 0.85761, 0.65525), (0, 0.64631, 0.11112), (0, 0.29845, 0.85983), (0, 0.20722, 0.40387),
    ]  # fmt: skip
    elements, cell = ["W", "W", "Te", "Te", "Te", "Te"], [3.477, 6.249, 14.018, 90, 90, 90]
    stack = crystal(elements, basis, spacegroup=31, cellpar=cell)
    height = stack.get_scaled_positions()[:, 2]
    layer = stack[(height > 0.25) & (height < 0.75)]
    layer.pbc = (True, True, False)
    return layer


PRESETS: dict[str, Preset] = {
    "MoS2": Preset(partial(dichalcogenide, "MoS2", 3.160, 3.13)),
    "WS2": Preset(partial(dichalcogenide, "WS2", 3.153, 3.14)),
    "MoSe2": Preset(partial(dichalcogenide, "MoSe2", 3.289, 3.33)),
    "WSe2": Preset(partial(dichalcogenide, "WSe2", 3.282, 3.36)),
    "MoTe2": Preset(partial(dichalcogenide, "MoTe2", 3.520, 3.60)),
    "WTe2 1T'": Preset(tungsten_ditelluride, aliases=("wte2", "1twte2", "tdwte2")),
    "graphene": Preset(partial(honeycomb, "C2", 2.46)),
    "hBN": Preset(partial(honeycomb, "BN", 2.504), aliases=("bn",)),
    "SrTiO3": Preset(partial(perovskite, "Sr", "Ti", 3.905, 3.905), ("[001]",), ("sto",), layers=25),
    "BaTiO3": Preset(partial(perovskite, "Ba", "Ti", 3.994, 4.034), ("[001]",), ("bto",), layers=25),
    "Si": Preset(partial(cubic, "Si", "diamond", 5.431), ("[110]",), ("silicon",)),
    "GaAs": Preset(partial(cubic, "GaAs", "zincblende", 5.653), ("[110]",)),
    "CdTe": Preset(partial(cubic, "CdTe", "zincblende", 6.482), ("[110]",)),
    "Au": Preset(partial(cubic, "Au", "fcc", 4.078), ("[001]", "[110]"), ("gold",)),
    "CeO2": Preset(partial(cubic, "CeO2", "fluorite", 5.411), ("[110]",), ("ceria",)),
}
SHORT_KEYS = ("SrTiO3", "BaTiO3")  # named without their zone axis since the first version


def preset_keys() -> dict[str, tuple[str, str]]:
    """Key of every named view, with the preset's name and its zone axis ('' for a layer)."""
    keys = {}
    for name, preset in PRESETS.items():
        for axis in preset.zone_axes or ("",):
            keys[name if name in SHORT_KEYS or not axis else f"{name} {axis}"] = (name, axis)
    return keys
