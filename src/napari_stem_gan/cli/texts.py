"""What commands say for people; the JSON holds the same and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from napari_stem_gan.detect.config import BALANCED, Threshold
from napari_stem_gan.detect.threshold import balanced_threshold, expected_scores, session_probabilities

if TYPE_CHECKING:
    from napari_stem_gan.detect.session_statistics import Statistics
    from napari_stem_gan.detect.table import PointTable


def match_text(values: Mapping[str, Any]) -> str:
    """Lattice and instrument of one image, or why there is none."""
    where = f"{values['image']} [{values['frame']}]"
    if not values["accepted"]:
        return f"{where}: no lattice accepted: {values['reason']}"
    error, fit = values["standard_errors"], values["fit"]
    lines = [
        f"{where}: {values['reason']}",
        f"  pixel size {values['pixel_size_nm']:.5f} ± {error['pixel_size_nm']:.5f} nm, "
        f"rotation {values['rotation_deg']:.2f} ± {error['rotation_deg']:.2f}°, "
        f"scan shear {100 * values['shear']:+.2f} %, stretch {100 * values['stretch']:+.2f} %",
        f"  columns {values['fwhm_nm']:.4f} nm wide, dose {fit['detector']['dose_e_per_A2']:.3g} e/Å², "
        f"jitter {fit['scan']['jitter_x_px']:.2f} and {fit['scan']['jitter_y_px']:.2f} px (x, y), "
        f"row noise {100 * fit['detector']['row_noise']:.2f} %",
    ]
    lines += [f"  another grain, rotated by {grain['rotation_deg']:.2f}°" for grain in values["other_grains"]]
    return "\n".join(lines)


def with_warning(text: str, report: Mapping[str, Any]) -> str:
    """A text, and below it the warning of an adaptation if there is one."""
    return "\n".join([text, *warning_lines([report["warning"]] if report.get("warning") else [])])


def warning_lines(sentences: Iterable[str]) -> list[str]:
    """A line for each thing that speaks against a result."""
    return [f"warning: {sentence}" for sentence in sentences]


def statistics_lines(found: Statistics) -> list[str]:
    """Densities with their intervals, and whether pairs are closer or farther than chance has them."""
    lines = [
        f"{d.defect}: {d.count:g}, {d.per_nm2:.4f} per nm² ({d.low_per_nm2:.4f} to {d.high_per_nm2:.4f})"
        for d in found.summary
    ]
    return [*lines, *(f"{p.defect}: {p.verdict} (p = {p.p_value:.3g})" for p in found.pairs)]


def threshold_lines(asked: Threshold, tables: Iterable[PointTable]) -> list[str]:
    """The number of a balanced threshold and what to expect of it; nothing where a number was asked for."""
    if asked != BALANCED:
        return []
    confidence = session_probabilities(tables)
    scores = expected_scores(confidence, balanced_threshold(confidence))
    return [f"balanced threshold {scores.threshold:.2f}: {scores.sentence}"]


def left_out(lost: int) -> list[str]:
    """The line that says how many points were left out, if any."""
    return [f"left out, because outside their image: {lost} point{'s' if lost != 1 else ''}"] if lost else []
