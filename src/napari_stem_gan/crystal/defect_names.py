"""Names of point defects: several conventions read, one written.

Canonical names are ASCII: ``V_Se`` (one Se missing), ``V_2Se`` (two Se missing together), ``Mo_W`` (Mo on a W site; an
antisite such as ``Se_W`` is the same thing with an element of the compound), ``Mo_2S`` (one Mo in the place of two S)
and ``ad_W`` (a W atom on top of the crystal). The lower index is the site, as in the notation of Kröger and Vink (1956,
doi:10.1016/S0081-1947(08)60135-6); its charges say nothing about an image and are dropped. ``V_W`` is always the
vacancy; vanadium on a tungsten site is ``vanadium_W``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ase.data import atomic_names, atomic_numbers

Change = Literal["vacancy", "substitution", "adatom"]
CLASS_NAMES = {
    "V_X": "V_X", "V_2X": "V_2X", "V_X2": "V_2X", "V_M": "V_M", "V_2M": "V_2M", "S_X": "S_X", "S_M": "S_M", "A": "A",
}  # fmt: skip
UNKNOWN_FOREIGN = "sub"
VACANCY_WORDS = {"v", "vac", "vacancy", "vacancies", "monovacancy", "monovacancies", "missing"}
DOUBLE_WORDS = {"2v", "divacancy", "divacancies", "divac", "double", "bivacancy", "pair"}
ADATOM_WORDS = {"ad", "adatom", "adatoms", "adsorbed", "adsorbate", "i", "int", "interstitial"}
FILLING_WORDS = {
    "single", "on", "at", "in", "of", "for", "a", "an", "the", "one", "atom", "atoms", "site", "sites", "defect",
    "substitution", "substitutional", "substituting", "replacing", "replaces", "dopant", "antisite", "antisites",
}  # fmt: skip
SYMBOL_OF = {str(name).lower(): str(symbol) for symbol, name in zip(atomic_numbers, atomic_names, strict=False)}
SYMBOL_OF |= {"sulphur": "S", "aluminum": "Al", "cesium": "Cs"}
_ATOM = re.compile(r"^(\d?)([A-Z][a-z]?)(\d?)$")
_JOINED_VACANCY = re.compile(r"^V(\d?)([A-Z][a-z]?)(\d?)$")
_JOINED_PAIR = re.compile(r"^([A-Z][a-z]?)([A-Z][a-z]?)$")
_JOINED_ADATOM = re.compile(r"^([A-Z][a-z]?)(?:ad|i)$")
_CHARGE = re.compile(r"\^(\{[^}]*\}|\S*)|[•·×'′⁰¹³⁴⁵⁶⁷⁸⁹⁺⁻]+|²[⁺⁻]|(?<=[a-z])[+*]+$")


@dataclass(frozen=True)
class Defect:
    """One kind of point defect.

    Parameters
    ----------
    change
        What was done: ``vacancy``, ``substitution`` or ``adatom``.
    site
        Element whose site is changed; '' for an adatom.
    count
        Atoms of the site that are gone: 1 or 2.
    foreign
        Element that was put there; '' for a vacancy.
    """

    change: Change
    site: str = ""
    count: int = 1
    foreign: str = ""

    @property
    def name(self) -> str:
        """Canonical name, e.g. ``V_2Se``."""
        site = f"{self.count if self.count > 1 else ''}{self.site}"
        if self.change == "adatom":
            return f"ad_{self.foreign}"
        foreign = {"": "V", "V": "vanadium"}.get(self.foreign, self.foreign)
        return f"{foreign}_{site}"


def normalise_defect(name: str) -> str:
    """Canonical name of a defect; classes of the finder (``V_X``, ``S_M`` …) and ``sub_Se`` stay what they are.

    Parameters
    ----------
    name
        E.g. ``VSe``, ``vac_Se``, ``Se vacancy``, ``V_Se2``, ``Se divacancy``, ``Mo@W``, ``Mo on W``, ``W adatom``,
        ``V_Se^x``.

    Raises
    ------
    ValueError
        If the name is not understood.
    """
    text = _clean(name)
    if text in CLASS_NAMES:
        return CLASS_NAMES[text]
    return parse_defect(name).name


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """Like `normalise_defect`, but a name that is not understood stays what it is; for comparing tables."""
    try:
        return normalise_defect(name)
    except ValueError:
        return name


def parse_defect(name: str) -> Defect:
    """Take a defect's name apart; see `normalise_defect` for the conventions that are read.

    Raises
    ------
    ValueError
        If the name is not understood.
    """
    text = _clean(name)
    explicit = bool(re.search(r"@|→|->|\bon\b", text))
    words = [w for w in re.split(r"[\s_\-–()@→>.]+", text) if w]
    found = _from_words(words, explicit) or (_from_joined(words[0]) if len(words) == 1 else None)
    if found is None or (found.change == "substitution" and found.foreign == found.site):
        raise ValueError(f"a defect must be named like V_Se, V_2Se, Mo_W or ad_W, got {name!r}; use one of these forms")
    return found


def _clean(name: str) -> str:
    """Drop charges, LaTeX and subscripts' forms; keep letters, digits and separators."""
    text = re.sub(r"\\(?:mathrm|text|rm)", "", str(name)).replace("$", "")
    text = _CHARGE.sub("", text)
    return unicodedata.normalize("NFKC", text).replace("{", "").replace("}", "").strip()


def _from_words(words: list[str], explicit: bool) -> Defect | None:
    """Read ``V_Se``, ``Se vacancy``, ``Mo on W``, ``W adatom``: one word each for what and where."""
    terms = {w.lower() for w in words if w not in atomic_numbers}  # "I" and "In" are elements, "i" and "in" are words
    adatom = bool(terms & ADATOM_WORDS)
    symbol_first = words[:1] in (["V"], ["v"], ["V2"]) and not (explicit or adatom)
    double = bool(terms & DOUBLE_WORDS) or (symbol_first and words[0] == "V2")
    vacancy = symbol_first or double or bool(terms & VACANCY_WORDS)
    known = VACANCY_WORDS | DOUBLE_WORDS | ADATOM_WORDS | FILLING_WORDS
    rest = [w for w in words[symbol_first:] if w in atomic_numbers or w.lower() not in known]
    if rest[:1] == [UNKNOWN_FOREIGN] and len(rest) == 2 and (site := _atom(rest[1])):
        return Defect("substitution", *site, UNKNOWN_FOREIGN)
    atoms = [_atom(w) for w in rest]
    if any(a is None for a in atoms):
        return None
    return _assemble([a for a in atoms if a is not None], vacancy=vacancy, double=double, adatom=adatom)


def _assemble(atoms: list[tuple[str, int]], *, vacancy: bool, double: bool, adatom: bool) -> Defect | None:
    """Put a defect together from the elements that were named, in order, and the words around them."""
    if vacancy and not adatom and len(atoms) == 1:
        return Defect("vacancy", atoms[0][0], 2 if double else atoms[0][1])
    if adatom and not vacancy and len(atoms) == 1 and atoms[0][1] == 1:
        return Defect("adatom", foreign=atoms[0][0])
    if not vacancy and not adatom and len(atoms) == 2 and atoms[0][1] == 1:
        return Defect("substitution", *atoms[1], atoms[0][0])
    return None


def _from_joined(word: str) -> Defect | None:
    """Read ``VSe``, ``VSe2``, ``MoW`` and ``Wad``. ``MoS2`` is a crystal and not Mo on S₂; write ``Mo_S2`` for that."""
    vacancy, pair, adatom = (p.match(word) for p in (_JOINED_VACANCY, _JOINED_PAIR, _JOINED_ADATOM))
    if vacancy and vacancy[2] in atomic_numbers:
        counts = {int(c) for c in (vacancy[1], vacancy[3]) if c} or {1}
        return Defect("vacancy", vacancy[2], max(counts)) if counts <= {1, 2} else None
    if adatom and adatom[1] in atomic_numbers:
        return Defect("adatom", foreign=adatom[1])
    if pair and pair[1] in atomic_numbers and pair[2] in atomic_numbers:
        return Defect("substitution", pair[2], 1, pair[1])
    return None


def _atom(word: str) -> tuple[str, int] | None:
    """Element and number of atoms of ``Se``, ``2Se``, ``Se2`` or ``selenium``."""
    word = SYMBOL_OF.get(word.lower(), word)
    found = _ATOM.match(word if word[:1].isdigit() or not word.islower() else word.capitalize())
    if found is None or found[2] not in atomic_numbers:
        return None
    counts = {int(c) for c in (found[1], found[3]) if c} or {1}
    return (found[2], max(counts)) if counts <= {1, 2} else None
