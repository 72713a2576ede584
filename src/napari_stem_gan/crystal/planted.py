"""The short language of planted defects: ``V_Se 1.5 %, Mo_W 0.3 at.%, V_2Se 0.02 /nm2, adatom W 0.05 nm^-2``.

A percentage is relative to the sites that a defect can take: of the atoms of the element for one missing or exchanged
atom (1 % of Se in WSe₂ is 2.1·10¹³ cm⁻²), of the two-atom places for ``V_2Se`` and ``Mo_2S``, of the unit cells for
adatoms. A density is per projected area of the crystal, all layers together.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_stem_gan.crystal.defect_names import UNKNOWN_FOREIGN, Defect, parse_defect

if TYPE_CHECKING:
    from napari_stem_gan.crystal.materials import Material

PERCENT_UNITS = {"%", "at%", "atomic%", "percent", "atpercent", "atomicpercent", "pct"}
DENSITY_UNITS = {"nm": 1.0, "cm": 1e-14}
EXAMPLE = "V_Se 1.5 %, Mo_W 0.02 /nm2"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ENTRY = re.compile(rf"^(?P<name>.*?[^\s:=])[\s:=]+(?P<amount>{_NUMBER})\s*(?P<unit>\D.*)?$")
_DENSITY = re.compile(r"^(?:1/|/|per)(nm|cm)2$|^(nm|cm)-2$")


@dataclass(frozen=True)
class PlantedDefect:
    """One kind of defect and how much of it.

    Parameters
    ----------
    defect
        What it is.
    fraction
        Of the sites it can take, 0 to 1; 0 where a density is given.
    density_per_nm2
        Per projected area of the crystal; 0 where a fraction is given.
    text
        The words it was read from, for messages.
    """

    defect: Defect
    fraction: float = 0.0
    density_per_nm2: float = 0.0
    text: str = ""


def parse_planted(text: str) -> tuple[PlantedDefect, ...]:
    """Read the language of this module; entries are separated by commas, semicolons or lines.

    Parameters
    ----------
    text
        E.g. ``V_Se 1.5 %, Mo_W 0.3 at.%, V_2Se 0.02 /nm²``; empty: nothing.

    Raises
    ------
    ValueError
        If an entry is not understood, an amount is negative, or percentages on one element sum past 100.
    """
    parts = [p.strip() for p in re.split(r"[,;\n]", text) if p.strip()]
    planted = tuple(_entry(part) for part in parts)
    for site in {p.defect.site for p in planted if p.defect.site}:
        total = sum(p.fraction for p in planted if p.defect.site == site)
        if total > 1 + 1e-9:
            raise ValueError(
                f"planted concentrations must sum to at most 100 % on one sublattice, got {100 * total:g} % on {site}; "
                "lower them"
            )
    return planted


def _entry(part: str) -> PlantedDefect:
    """Read one entry, e.g. ``V_Se 1.5 %``."""
    found = _ENTRY.match(part)
    if found is None:
        raise ValueError(f"planted must be names with amounts like {EXAMPLE!r}, got {part!r}; write it in this form")
    try:
        defect = parse_defect(found["name"])
    except ValueError as error:
        raise ValueError(f"planted: {error}") from None
    if defect.foreign == UNKNOWN_FOREIGN:
        raise ValueError(f"planted must say which element is put there, got {part!r}; write e.g. Mo_{defect.site}")
    amount, unit = float(found["amount"]), _unit(found["unit"] or "")
    if not 0 <= amount < float("inf"):
        raise ValueError(f"planted amounts must not be negative, got {part!r}; give 0 or more")
    if unit == "%":
        return PlantedDefect(defect, fraction=amount / 100, text=part)
    if unit in DENSITY_UNITS:
        return PlantedDefect(defect, density_per_nm2=amount * DENSITY_UNITS[unit], text=part)
    raise ValueError(
        f"planted amounts must end in %, at.%, /nm2 or /cm2, got {part!r}; write e.g. {found['name']} 1.5 % "
        "(with a decimal point)"
    )


def _unit(text: str) -> str:
    """``%``, ``nm`` or ``cm`` (to the power −2); '' for anything else."""
    plain = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").lower()
    plain = re.sub(r"[\s.^{}·*]", "", plain)
    density = _DENSITY.match(plain)
    if density:
        return density[1] or density[2]
    return "%" if plain in PERCENT_UNITS else ""


def check_planted(planted: tuple[PlantedDefect, ...], material: Material) -> None:
    """Raise a ValueError unless `material` has the sites that the defects need.

    Raises
    ------
    ValueError
        If an element is not in the crystal, or more is asked for than fits.
    """
    elements = sorted({atom for column in material.columns for atom in column.atoms})
    for one in planted:
        if one.defect.site and one.defect.site not in elements:
            raise ValueError(
                f"planted defects of {material.label} must lie on its elements, {', '.join(elements)}, got "
                f"{one.text!r}; choose one of them"
            )
    for site in {p.defect.site for p in planted if p.defect.site}:
        total = sum(_share(p, material) for p in planted if p.defect.site == site)
        if total > 1 + 1e-9:
            raise ValueError(
                f"planted concentrations must sum to at most 100 % on one sublattice, got {100 * total:.4g} % of what "
                f"fits on the {site} sites of {material.label}; lower them"
            )


def _share(planted: PlantedDefect, material: Material) -> float:
    """Share of an element's places (columns, one repeat of each) that a defect takes; each place holds one defect."""
    site = planted.defect.site
    if not site:
        return 0.0
    held = [column.atoms.count(site) for column in material.columns if site in column.atoms]
    if planted.defect.count == 1:
        fitting, places = float(sum(held)), 1
    elif max(held) > 1:
        fitting, places = float(sum(n > 1 for n in held)), 1
    else:  # two neighbouring columns
        fitting, places = sum(held) / 2, 2
    cell_nm2 = abs(float(np.linalg.det(material.cell))) / 100
    per_cell = planted.fraction * fitting + planted.density_per_nm2 * cell_nm2 / material.layers
    return places * per_cell / len(held)


def scale_planted(text: str, factor: float) -> str:
    """The same defects with all amounts times `factor`, e.g. ``V_Se 1.5 %`` ↦ ``V_Se 3 %`` for 2."""
    scaled = []
    for one in parse_planted(text):
        percent, density = 100 * factor * one.fraction, factor * one.density_per_nm2
        amount = f"{density:.10g} /nm2" if one.density_per_nm2 else f"{percent:.10g} %"
        scaled.append(f"{one.defect.name} {amount}")
    return ", ".join(scaled)
