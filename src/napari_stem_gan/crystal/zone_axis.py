"""Zone axes as users write them: ``[110]``, ``[1 -1 0]``, ``[1-10]``, ``[11-20]``."""

from __future__ import annotations

import math
import re
import unicodedata

from napari_stem_gan.crystal.materials import StructureError

ZoneAxis = tuple[int, int, int]
ADVICE = "write it as [110] or [1 -1 0]"
LARGEST_INDEX = 30


def parse_zone_axis(text: str, *, hexagonal: bool = False) -> ZoneAxis:
    """Read a zone axis.

    Parameters
    ----------
    text
        Indices in square brackets, with or without blanks, minus signs or bars. Four indices [uvtw] are taken for a
        hexagonal crystal and turned into three.
    hexagonal
        True: the crystal's cell is hexagonal.

    Returns
    -------
    tuple of int
        Three indices without a common factor.

    Raises
    ------
    StructureError
        If it is not three (or four) whole numbers, or all of them are zero.
    """
    indices = _indices(text)
    if len(indices) == 4:
        indices = _three(indices, text, hexagonal)
    if len(indices) != 3:
        raise StructureError(f"zone axis must be three whole numbers, got {text!r}; {ADVICE}")
    if max(abs(i) for i in indices) > LARGEST_INDEX:
        raise StructureError(f"zone axis must have indices of at most {LARGEST_INDEX}, got {text!r}; {ADVICE}")
    factor = math.gcd(*indices)
    if factor == 0:
        raise StructureError(f"zone axis must not be zero, got {text!r}; {ADVICE}")
    u, v, w = (i // factor for i in indices)
    return u, v, w


def zone_axis_text(axis: ZoneAxis) -> str:
    """``[1-10]``, with blanks where an index has two digits."""
    return f"[{(' ' if max(map(abs, axis)) > 9 else '').join(map(str, axis))}]"


def split_zone_axis(spec: str) -> tuple[str, str]:
    """Split ``CdTe.cif [110]`` into the name and the zone axis, '' where there is none."""
    found = re.fullmatch(r"\s*(.*?)\s*(\[[^\[\]]*\])?\s*", spec, re.DOTALL)
    return (spec, "") if found is None else (found[1], found[2] or "")


def _indices(text: str) -> list[int]:
    """Signed whole numbers; digits without blanks between them are one index each."""
    plain = unicodedata.normalize("NFKD", text).strip().strip("[]").replace("\u2212", "-").replace("\u2013", "-")
    plain = re.sub(r"(\d)[\u0304\u0305]", r"-\1", plain)  # a bar over the digit
    if not re.fullmatch(r"[-\s\d,]+", plain) or not re.search(r"\d", plain):
        raise StructureError(f"zone axis must be three whole numbers, got {text!r}; {ADVICE}")
    apart = re.search(r"[\s,]", plain.strip())
    found = re.findall(r"-?\d+" if apart else r"-?\d", plain)
    if sum(map(len, found)) != len(re.sub(r"[\s,]", "", plain)) or any(len(i) > 4 for i in found):
        raise StructureError(f"zone axis must be three whole numbers, got {text!r}; {ADVICE}")
    return [int(i) for i in found]


def _three(indices: list[int], text: str, hexagonal: bool) -> list[int]:
    """Three-index axis of [uvtw]: [u − t, v − t, w]."""
    u, v, t, w = indices
    if not hexagonal:
        raise StructureError(f"zone axis must have three indices in a crystal of this kind, got {text!r}; {ADVICE}")
    if u + v + t:
        raise StructureError(f"zone axis [uvtw] must have t = -(u + v), got {text!r}; write e.g. [11-20] or [0001]")
    return [u - t, v - t, w]
