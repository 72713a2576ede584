"""Names of crystals in file names and metadata, told from words that only look like them.

``rows 2`` is no WS2, ``Silicon Drift Detector`` no Si and ``August`` no Au.
"""

from __future__ import annotations

import re
import unicodedata

from napari_stem_gan.crystal.presets import PRESETS, preset_keys

LONG = {"graphene": "graphene", "srtio3": "SrTiO3", "batio3": "BaTiO3"}  # nothing else contains these letters
ELEMENTS = ("Au", "Si")
COMPOUNDS = {"hBN": "h-?BN", "GaAs": "GaAs", "CdTe": "CdTe", "CeO2": "CeO2"}
NOT_SPECIMEN = r"(?![\s_-]*(?:detector|sensor|diode|drift))"


def mentioned(text: str) -> str:
    """Key of the preset that `text` names, or ''.

    Parameters
    ----------
    text
        A file name, or a value of a file's metadata. Formulas may have subscripts, blanks or underscores, and may
        stand right behind a small letter if written as in ``20nmWSe2``. Elements count only with their zone axis:
        ``Au [001]`` or ``Si110``.
    """
    plain = unicodedata.normalize("NFKC", text)
    squeezed = "".join(c for c in plain.lower() if c.isalnum())
    for letters, key in LONG.items():
        if letters in squeezed:
            return key
    patterns = {**_dichalcogenides(), **_others()}
    return next((key for key, pattern in patterns.items() if pattern.search(plain)), "")


def _dichalcogenides() -> dict[str, re.Pattern[str]]:
    """Formulas at the start of a word in any case, or anywhere in their own."""
    found = {}
    for key in sorted(PRESETS, key=len, reverse=True):
        formula = key.split()[0]
        if parts := re.fullmatch(r"(Mo|W)(S|Se|Te)2", formula):
            loose = rf"(?<![a-z]){parts[1]}[\s_-]?{parts[2]}[\s_-]?2"
            found[key] = re.compile(rf"(?i:{loose})|{formula}")
    return found


def _others() -> dict[str, re.Pattern[str]]:
    """Whole words; an element needs its zone axis."""
    found = {}
    for key, (name, axis) in preset_keys().items():
        digits = axis.strip("[]")
        view = rf"(?:[\s_-]*[\[(<]{digits}[\])>]|{digits}(?!\d))" if digits else r"(?!)"
        if name in ELEMENTS:
            found[key] = re.compile(rf"(?<![A-Za-z0-9]){name}{view}")
        elif name in COMPOUNDS:
            word = rf"(?<![A-Za-z0-9]){COMPOUNDS[name]}(?:{view}|(?![A-Za-z0-9]){NOT_SPECIMEN})"
            found[key] = re.compile(word, re.IGNORECASE)
    return found
