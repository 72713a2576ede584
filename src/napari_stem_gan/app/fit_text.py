"""What was fitted to today's images, in words."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from napari_stem_gan.app.fields import field_label, short_number
from napari_stem_gan.app.match_text import with_error
from napari_stem_gan.simulate.instrument import fitted_values

DIGITS = 3


def fits_text(fits: Sequence[Mapping[str, Any]]) -> str:
    """The fitted numbers with their standard errors as rich text; of several images the middle ones.

    Parameters
    ----------
    fits
        `SessionFit.to_dict` of each image that was fitted; empty gives an empty string.

    Returns
    -------
    str
        HTML; numbers that no error is known of are left out, because they were given and not fitted.
    """
    if not fits:
        return ""
    names = list(dict.fromkeys(name for fit in fits for name in fit.get("errors", {})))
    values = [dict(numbers(fit)) for fit in fits]
    lines = [_line(name, values, fits) for name in names if any(name in one for one in values)]
    head = "Measured on this image" if len(fits) == 1 else f"Measured on {len(fits)} images, the middle values"
    return "<br>".join([f"<b>{head}</b>", *lines]) if lines else ""


def by_hand_text(by_hand: Mapping[str, float]) -> str:
    """The numbers that took the place of fitted ones; empty where there are none."""
    parts = [f"{field_label(name)} {short_number(value)}" for name, value in by_hand.items()]
    return f"<b>By hand</b> {', '.join(parts)}" if parts else ""


def middle_values(fits: Sequence[Mapping[str, Any] | None]) -> dict[str, float]:
    """What stands for the empty fields of the instrument: of several fitted images the middle ones."""
    values = [fitted_values(fit) for fit in fits if fit is not None]
    names = dict.fromkeys(name for one in values for name in one)
    return {name: statistics.median(one[name] for one in values if name in one) for name in names}


def numbers(fit: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and values of all numbers of a fit, those of its optics, detector and scan among them."""
    for name, value in fit.items():
        if isinstance(value, Mapping) and name != "errors":
            yield from numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def _line(name: str, values: Sequence[Mapping[str, float]], fits: Sequence[Mapping[str, Any]]) -> str:
    middle = statistics.median(one[name] for one in values if name in one)
    errors = [float(fit["errors"][name]) for fit in fits if name in fit.get("errors", {})]
    return f"{field_label(name)}: {with_error(middle, statistics.median(errors), digits=DIGITS)}"
