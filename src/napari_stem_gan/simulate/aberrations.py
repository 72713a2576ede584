"""Names of aberrations: the polar ones used here, Krivanek's components and those of CEOS correctors.

Numpy only, no torch: forms and the command line import it. CEOS: A1 = C12, B2 = C21 / 3, A2 = C23, S3 = C32 / 4,
A3 = C34 (SCIENCE 2.3); the angle of a CEOS aberration turns as that of the coefficient it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from napari_stem_gan.simulate.config import OpticsConfig

ABERRATIONS = {  # name: (power of the angle, azimuthal order)
    "C10": (2, 0), "C12": (2, 2), "C21": (3, 1), "C23": (3, 3), "C30": (4, 0), "C32": (4, 2), "C34": (4, 4),
    "C41": (5, 1), "C43": (5, 3), "C45": (5, 5), "C50": (6, 0), "C52": (6, 2), "C54": (6, 4), "C56": (6, 6),
}  # fmt: skip
CEOS = {
    "C1": ("C10", 1.0), "A1": ("C12", 1.0), "B2": ("C21", 3.0), "A2": ("C23", 1.0), "C3": ("C30", 1.0),
    "S3": ("C32", 4.0), "A3": ("C34", 1.0),
}  # fmt: skip
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
