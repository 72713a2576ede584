"""What a form needs to know about a config: labels, sentences, which field is wrong."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, get_type_hints

UNITS = {
    "nm": "nm",
    "A": "Å",
    "px": "px",
    "mrad": "mrad",
    "rad": "rad",
    "keV": "keV",
    "deg": "°",
    "s": "s",
    "A2": "Å²",
    "e/A2": "e/Å²",
    "percent": "%",
    "hz": "Hz",
    "e": "e⁻",
    "/100 nm2": "/100 nm²",
}


@cache
def field_sentences(config_type: type) -> dict[str, str]:
    """The sentence written under each field of a config dataclass.

    Parameters
    ----------
    config_type
        A dataclass whose source can be read.

    Returns
    -------
    dict
        Field name to sentence; fields without a sentence are left out.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(config_type)))
    except (OSError, TypeError, SyntaxError):  # source not shipped: the form works without tooltips
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    sentences = {}
    for statement, follower in zip(body, body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = _string(follower)
            if text is not None:
                sentences[statement.target.id] = inspect.cleandoc(text)
    return sentences


def _string(statement: ast.stmt) -> str | None:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


@cache
def field_types(config_type: type) -> dict[str, Any]:
    """Resolved type of each field of a config dataclass."""
    hints = get_type_hints(config_type)
    return {field.name: hints[field.name] for field in fields(config_type)}


def field_label(name: str) -> str:
    """Turn ``pixel_size_nm`` into ``Pixel size (nm)``.

    Parameters
    ----------
    name
        Field name; a known unit at its end goes into brackets.

    Returns
    -------
    str
        The label that the form shows.
    """
    if is_aberration(name):
        return f"{name.replace('phi', 'φ')} ({'rad' if name.startswith('phi') else 'Å'})"
    stem, _, last = name.replace("_e_per_A2", "_e/A2").replace("_per_100nm2", "_/100 nm2").rpartition("_")
    if stem and last in UNITS:
        name, unit = stem, f" ({UNITS[last]})"
    else:
        unit = ""
    words = name.replace("_", " ").replace("pmt", "PMT")
    return words[:1].upper() + words[1:] + unit


def short_number(value: float) -> str:
    """A number with four digits, as one would type it: ``3210``, ``0.4127``, ``5.2e-05``."""
    return repr(float(f"{value:.4g}")).removesuffix(".0")


def is_aberration(name: str) -> bool:
    """Whether a field is a coefficient or an angle of the probe's aberrations, ``C12`` or ``phi12``."""
    return re.fullmatch(r"(C|phi)\d\d", name) is not None


def wrong_fields(config_type: type, values: dict[str, Any]) -> tuple[list[str], str]:
    """Which fields keep `values` from being a config, and why.

    Parameters
    ----------
    config_type
        The config dataclass; all its fields have defaults.
    values
        Field name to value.

    Returns
    -------
    tuple
        Names of the fields to mark (empty if all is well) and the config's own sentence.
    """
    try:
        config_type(**values)
    except (ValueError, TypeError) as error:
        reason = str(error)
    else:
        return [], ""
    default = config_type()
    guilty = [name for name, value in values.items() if not _accepted(default, name, value)]
    return guilty or [n for n, v in values.items() if v != getattr(default, n)], reason


def _accepted(default: Any, name: str, value: Any) -> bool:
    try:
        replace(default, **{name: value})
    except (ValueError, TypeError):
        return False
    return True


def is_config(kind: Any) -> bool:
    """Whether a field's type is itself a config dataclass."""
    return isinstance(kind, type) and is_dataclass(kind)
