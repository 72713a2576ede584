"""What Match found, in words: numbers with their standard errors, and the reason where it refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from napari_stem_gan.image import A_PER_NM

CONFIRMED_PERCENT = 0.3


def match_text(match: Any) -> str:
    """A match as rich text: what was found in the first line, the scan, the columns and other grains below."""
    if not match.accepted:
        return refusal_text(match)
    lines = [f"{match.label}, goodness {match.goodness:.2f}", _pixel_size(match), _scan(match), _columns(match)]
    lines += [_grain(match, other) for other in match.other_grains]
    lines += [f"<i>{escape(doubt[:1].upper() + doubt[1:])}.</i>" for doubt in _doubts(match)]
    return "<br>".join(line for line in lines if line)


def refusal_text(match: Any) -> str:
    """Why nothing was matched, and the best other candidate."""
    text = f"not matched as {match.label}: {match.reason}"
    if match.best_other and match.best_other not in match.reason:
        text += f"; best other candidate: {match.best_other}"
    return text


def with_error(value: float, error: float | None, unit: str = "", *, digits: int = 2) -> str:
    """A number with its standard error to one digit; with `digits` after the point where there is no error."""
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{value:.{digits}f}{unit}"
    places = max(0, -math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}{unit}"


def _pixel_size(match: Any) -> str:
    text, error = f"{match.pixel_size_A / A_PER_NM:.5f} nm", match.errors.get("pixel_size_A")
    text += f" ± {100 * error / match.pixel_size_A:.1g} %" if error else ""
    if not match.nominal_pixel_size_A:
        return f"Pixel size {text}, from the lattice alone"
    percent = 100 * (match.nominal_pixel_size_A / match.pixel_size_A - 1)
    if abs(percent) < CONFIRMED_PERCENT:
        return f"Pixel size {text}, confirmed"
    return f"Pixel size is {abs(percent):.1f} % off: {text}, not {match.nominal_pixel_size_A / A_PER_NM:.5f} nm"


def _scan(match: Any) -> str:
    errors: Mapping[str, float] = match.errors
    shear, stretch = errors.get("shear"), errors.get("stretch")
    skew = with_error(math.degrees(match.shear), None if shear is None else math.degrees(shear), "°", digits=1)
    wide = with_error(100 * match.stretch, None if stretch is None else 100 * stretch, " %", digits=1)
    turned = with_error(match.rotation_deg, errors.get("rotation_deg"), "°", digits=1)
    return f"Rotated {turned}, scan shear {skew}, y/x stretch {wide}"


def _columns(match: Any) -> str:
    width = f"Columns {with_error(match.fwhm_A, match.errors.get('fwhm_A'), ' Å')} wide" if match.fwhm_A > 0 else ""
    ratios = ", ".join(f"{name} {value:.2f}" for name, value in match.column_ratios.items())
    bright = f"brightness {ratios}" if ratios else ""
    return ", ".join(part for part in (width, bright) if part)


def _doubts(match: Any) -> list[str]:
    """What the reason says beside crystal and pixel size, which have lines of their own: crystals that fit as well."""
    parts = [part for part in match.reason.split("; ") if part]
    return [part for part in parts if not (part.endswith("lattice found") or part.startswith("pixel size"))]


def _grain(match: Any, other: Any) -> str:
    turned = with_error(other.rotation_deg, other.errors.get("rotation_deg"), "°", digits=1)
    return f"Another grain, rotated {turned} ({other.rotation_deg - match.rotation_deg:+.1f}° against the first)"
