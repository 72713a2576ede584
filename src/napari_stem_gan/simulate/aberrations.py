"""Names of aberrations: the polar ones used here, Krivanek's components and those of CEOS correctors.

Numpy only, no torch: forms and the command line import it. CEOS: A1 = C12, B2 = C21 / 3, A2 = C23, S3 = C32 / 4,
A3 = C34 (SCIENCE 2.3); the angle of a CEOS aberration turns as that of the coefficient it stands for.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_stem_gan.simulate.config import OpticsConfig

ABERRATIONS = {  # name: (power of the angle, azimuthal order)
    "C10": (2, 0), "C12": (2, 2), "C21": (3, 1), "C23": (3, 3), "C30": (4, 0), "C32": (4, 2), "C34": (4, 4),
    "C41": (5, 1), "C43": (5, 3), "C45": (5, 5), "C50": (6, 0), "C52": (6, 2), "C54": (6, 4), "C56": (6, 6),
}  # fmt: skip
CEOS = {
    "C1": ("C10", 1.0), "A1": ("C12", 1.0), "B2": ("C21", 3.0), "A2": ("C23", 1.0), "C3": ("C30", 1.0),
    "S3": ("C32", 4.0), "A3": ("C34", 1.0),
}  # fmt: skip
LENGTHS_A = {"A": 1.0, "Å": 1.0, "pm": 0.01, "nm": 10.0, "um": 1e4, "μm": 1e4, "mm": 1e7}
ANGLES_RAD = {"rad": 1.0, "mrad": 1e-3, "deg": math.pi / 180, "°": math.pi / 180}
EXAMPLE = "C23=50 nm, phi23=0.3"
_TURNING = [name for name, (_, order) in ABERRATIONS.items() if order]
_KNOWN = (
    f"{', '.join(ABERRATIONS)}, their angles (phi12 …), the components C12a, C12b …, "
    f"{', '.join(CEOS)} with phiA1 …, and defocus"
)


def optics_with(optics: OpticsConfig, mapping: Mapping[str, float]) -> OpticsConfig:
    """Set aberrations from a dictionary as microscopes and other programs write it.

    Parameters
    ----------
    optics
        Where all that the dictionary does not name comes from.
    mapping
        Å and rad. Polar keys (``C12``, ``phi12`` … ``C56``), Krivanek's components (``C12a``, ``C12b``: a missing
        partner is 0), names of CEOS correctors (``C1, A1, B2, A2, C3, S3, A3``, angles ``phiA1`` …) and ``defocus``
        (= −C10).

    Returns
    -------
    OpticsConfig
        A new one.

    Raises
    ------
    ValueError
        If a key is unknown, a value is no finite number, or two keys speak of the same aberration.
    """
    found: dict[str, float] = {}
    for key, value in mapping.items():
        if not math.isfinite(value):
            raise ValueError(f"aberration {key} must be a finite number, got {value}; give Å, angles in rad")
        name, factor = _meaning(key)
        if name in found:
            raise ValueError(f"aberration {name} must be given once, got {key!r} beside another name; drop one")
        found[name] = factor * float(value)
    return replace(optics, **_polar(found))


def _meaning(key: str) -> tuple[str, float]:
    """Our name (``C12``, ``phi12``, ``C12a``) and factor of a key."""
    if key == "defocus":
        return "C10", -1.0
    if key in ABERRATIONS or (key.startswith("phi") and f"C{key[3:]}" in _TURNING):
        return key, 1.0
    if key[-1:] in ("a", "b") and key[:-1] in _TURNING:
        return key, 1.0
    if key in CEOS:
        return CEOS[key]
    if key.startswith("phi") and key[3:] in CEOS and CEOS[key[3:]][0] in _TURNING:
        return f"phi{CEOS[key[3:]][0][1:]}", 1.0
    raise ValueError(f"aberration must be one of {_KNOWN}, got {key!r}; rename it")


def _polar(found: Mapping[str, float]) -> dict[str, float]:
    """Replace pairs of components by length and angle."""
    result = {name: value for name, value in found.items() if name[-1] not in "ab"}
    for name in dict.fromkeys(n[:-1] for n in found if n[-1] in "ab"):
        angle = f"phi{name[1:]}"
        if name in result or angle in result:
            raise ValueError(f"aberration {name} must be given once, got {name}a or {name}b beside it; drop one")
        a, b = found.get(f"{name}a", 0.0), found.get(f"{name}b", 0.0)
        result[name], result[angle] = math.hypot(a, b), math.atan2(b, a) / ABERRATIONS[name][1]
    return result


def names_file(text: str) -> bool:
    """Whether a line of aberrations is the path of a JSON file."""
    return text.strip().lower().endswith(".json")


def read_aberrations(text: str) -> dict[str, float]:
    """Read a line of aberrations, or the JSON file that it names.

    Parameters
    ----------
    text
        ``C23=50 nm, phi23=0.3``: any names of `optics_with`, separated by commas or semicolons, lengths in pm, Å, nm,
        um or mm (none: Å), angles in rad, mrad or deg (none: rad); or a dictionary as JSON; or a file ``….json`` that
        holds one. Values in JSON are numbers in Å and rad, or texts with a unit.

    Returns
    -------
    dict
        Å and rad, as `optics_with` takes it; empty for an empty line.

    Raises
    ------
    ValueError
        If the line or the file cannot be read, a unit does not suit its aberration, or a name is said twice.
    """
    text = text.strip()
    if names_file(text):
        return _read_dictionary(_file_text(Path(text)), f"the file '{text}'")
    if text.startswith("{"):
        return _read_dictionary(text, "the line of aberrations")
    return _quantities(_pair(part) for part in re.split(r"[,;\n]", text) if part.strip())


def _file_text(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"aberrations must come from a readable file, got '{path}' ({why}); choose another") from error


def _read_dictionary(text: str, place: str) -> dict[str, float]:
    """Aberrations from JSON; `place` says where it stood."""
    try:
        found = json.loads(text, object_pairs_hook=_Pairs)
    except ValueError as error:
        raise ValueError(f"{place} must hold JSON such as {{\"C23\": 500}}, got {error}; correct it") from error
    if not isinstance(found, _Pairs):
        raise ValueError(f"{place} must hold one dictionary such as {{\"C23\": 500}}, got {text[:40]}; correct it")
    return _quantities(found)


class _Pairs(list[tuple[str, Any]]):
    """A JSON dictionary as it was written: two values of one name stay two."""


def _pair(part: str) -> tuple[str, str]:
    """Split ``C23 = 50 nm`` or ``C23: 50 nm``."""
    name, *value = re.split("[=:]", part.strip(), maxsplit=1)
    if not (value and name.strip()):
        got = part.strip()
        raise ValueError(f"aberrations must be written as {EXAMPLE}, or name a JSON file, got '{got}'; rewrite it")
    return name.strip(), value[0].strip()


def _quantities(pairs: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Values in Å and rad by name."""
    found: dict[str, float] = {}
    for name, value in pairs:
        _meaning(name)  # a wrong name is said before its value
        if name in found:
            raise ValueError(f"aberration {name} must be given once, got it twice; drop one")
        found[name] = _quantity(name, value)
    return found


def _quantity(name: str, value: Any) -> float:
    """A number in Å or rad from a number or a text with a unit."""
    is_angle = name.startswith("phi")
    units, example = (ANGLES_RAD, "0.3 rad") if is_angle else (LENGTHS_A, "50 nm")
    text = unicodedata.normalize("NFKC", str(value)).strip().replace("−", "-")  # one Å, one μ
    match = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", text)
    if match is None or isinstance(value, bool):
        raise ValueError(f"aberration {name} must be a number, got '{text}'; write it as {name}={example}")
    if match[2] and match[2] not in units:
        known = ", ".join(unit for unit in units if unit not in ("A", "μm", "°"))
        raise ValueError(f"the unit of {name} must be one of {known}, got '{match[2]}'; write {name}={example}")
    return float(match[1]) * units[match[2] or ("rad" if is_angle else "A")]
