"""The report of a run in Markdown: what was found, how sure it is, and where the files are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.report.statistics import statistics_text

if TYPE_CHECKING:
    from napari_stem_gan.crystal.match import LatticeMatch
    from napari_stem_gan.detect.session_statistics import Statistics
    from napari_stem_gan.detect.table import PointTable
    from napari_stem_gan.restore.restorer import Restored


class Session(Protocol):
    """What the report is about; `workflow.SessionResult` is one."""

    @property
    def images(self) -> Sequence[STEMImage]:
        """The images, in order."""

    @property
    def matches(self) -> Sequence[LatticeMatch]:
        """The lattice found in each image."""

    @property
    def table(self) -> PointTable:
        """All defects."""

    @property
    def restored(self) -> Sequence[Restored]:
        """The restored images, or none."""

    @property
    def report(self) -> Mapping[str, Any]:
        """What the steps have to say."""


def points_of(table: PointTable, image: STEMImage) -> tuple[NDArray[np.float64], list[str]]:
    """Positions ``(N, 2)`` and names of the defects on one image."""
    here = table.where((table["image"] == image.name) & (table["frame"] == image.frame))
    return here.positions_px, [str(name) for name in here["defect"]]


def report_text(
    result: Session, pictures: Sequence[Path], statistics: Statistics | None = None, plots: Sequence[Path] = ()
) -> str:
    """Return the report.

    Parameters
    ----------
    result
        What a run gave.
    pictures
        The overlay of every image, in order; linked by file name.
    statistics
        Densities on the crystal, pairs; without them the density is that of the whole image.
    plots
        Files of the statistics; pictures among them are linked.
    """
    parts = [
        "# Defects found",
        f"{len(result.table)} defects on {len(result.images)} images. Every point is in `points.csv` (nm and pixels); "
        "hashes, settings and versions are in `points.json`.",
        *_warning(result.report.get("adapt", {})),
        *(f"**{sentence}.**" for sentence in result.report.get("without_lattice", ())),
        _image_table(result),
        *([_defect_table(result)] if statistics is None else statistics_text(statistics, plots)),
        *_known_answer(result.report.get("known_answer", {})),
        *_restoration(result),
        *_details("Adaptation", result.report.get("adapt", result.report)),
        "## Pictures",
        *(f"![{picture.stem}]({picture.name})" for picture in pictures),
    ]
    return "\n\n".join(parts) + "\n"


def _image_table(result: Session) -> str:
    rows = ["| image | size | pixel size, nm | from the file, nm | material | rotation | column width, nm | match |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for image, match in zip(result.images, result.matches, strict=True):
        sizes = f"{_nm(match.pixel_size_A, 5)} | {_nm(match.nominal_pixel_size_A, 5)}"
        verdict = f"{match.goodness:.2f}" if match.accepted else f"not accepted: {match.reason}"
        lattice = f"{match.material} | {match.rotation_deg:.2f}° | {_nm(match.fwhm_A, 3)}"
        rows.append(f"| {_label(image)} | {image.shape[0]}×{image.shape[1]} | {sizes} | {lattice} | {verdict} |")
    return "\n".join(rows)


def _defect_table(result: Session) -> str:
    rows = ["| image | defect | number | per nm² |", "|---|---|---|---|"]
    for image, match in zip(result.images, result.matches, strict=True):
        counts = Counter(points_of(result.table, image)[1])
        size_A = match.pixel_size_A or image.pixel_size_A
        area_nm2 = image.data.size * (size_A / A_PER_NM) ** 2 if size_A else None
        for name, count in sorted(counts.items()):
            density = f"{count / area_nm2:.4f}" if area_nm2 else "unknown"
            rows.append(f"| {_label(image)} | {name} | {count} | {density} |")
        if not counts:
            rows.append(f"| {_label(image)} | none | 0 | 0 |")
    return "\n".join(rows)


def _warning(adapted: Mapping[str, Any]) -> list[str]:
    """What speaks against relying on the points at all."""
    return [f"**Warning: {adapted['warning']}.**"] if adapted.get("warning") else []


def _known_answer(answer: Mapping[str, Any]) -> list[str]:
    """What planted vacancies tell of the points, see `detect.known_answer`; without a test, why there is none."""
    if not answer:
        return []
    parts = ["## Known answer", f"{answer['sentence'][:1].upper()}{answer['sentence'][1:]}."]
    if "by_threshold" not in answer:
        return parts
    tested = (
        f"Measured at the threshold {answer['threshold']:.2f} with {answer['planted']} vacancies planted into "
        f"{', '.join(dict.fromkeys(answer['images']))}, and on {answer['area_nm2']:.0f} nm² of the same crystal with "
        "its defects filled; 95 % intervals in parentheses. It speaks of single vacancies alone."
    )
    rows = ["| threshold | found | false vacancies per 100 nm² |", "|---|---|---|"]
    for at in answer["by_threshold"]:
        found = _between(at, "found", "found", ".0%")
        rows.append(f"| {at['threshold']:.2f} | {found} | {_between(at, 'false_per_100nm2', 'false', '.2g')} |")
    return [*parts, tested, "\n".join(rows)]


def _between(values: Mapping[str, float | None], name: str, ends: str, form: str) -> str:
    """A number and its interval; nobody knows what is None."""
    texts = [values.get(key) for key in (name, f"{ends}_low", f"{ends}_high")]
    number, low, high = ("unknown" if value is None else format(value, form) for value in texts)
    return number if texts[0] is None else f"{number} ({low} to {high})"


def _restoration(result: Session) -> list[str]:
    """Say where the restored pictures invent or erase columns; numbers come from the raw images."""
    if not result.restored:
        return []
    rows = ["| image | columns invented | columns erased |", "|---|---|---|"]
    for restored in result.restored:
        rows.append(f"| {_label(restored.image)} | {len(restored.invented_px)} | {len(restored.erased_px)} |")
    note = "Restored images are for looking; every number above comes from the raw images."
    return ["## Restoration", note, "\n".join(rows)]


def _details(title: str, values: Mapping[str, Any]) -> list[str]:
    """List nested values as an indented list."""
    return [f"## {title}", "\n".join(_items(values, 0))] if values else []


def _items(values: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for name, value in values.items():
        indent = "  " * depth
        if isinstance(value, Mapping):
            lines += [f"{indent}- {name}", *_items(value, depth + 1)] if value else []
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            lines += [f"{indent}- {name}", *(f"{indent}  - {_candidate(item)}" for item in value)]
        elif value not in ("", None):
            lines.append(f"{indent}- {name}: {_plain(value)}")
    return lines


def _candidate(values: Mapping[str, Any]) -> str:
    """One line for one of several things that were compared: its plain values and the reasons given."""
    parts = [f"{name} {_plain(value)}" for name, value in values.items() if isinstance(value, int | float)]
    texts = [value for value in values.values() if isinstance(value, str) and value]
    reasons = [value["reason"] for value in values.values() if isinstance(value, Mapping) and "reason" in value]
    return "; ".join([*texts, *parts, *map(str, reasons)])


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _label(image: STEMImage) -> str:
    return f"{image.name} [{image.frame}]" if image.frame else image.name


def _nm(length_A: float | None, digits: int) -> str:
    return "unknown" if length_A is None else f"{length_A / A_PER_NM:.{digits}f}"
