"""What a person reads after a run: every image with its defects marked, and a report in Markdown."""

from __future__ import annotations

from pathlib import Path

from napari_stem_gan.detect.session_statistics import Statistics
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.io import atomic_write
from napari_stem_gan.report.overlay import draw_overlay
from napari_stem_gan.report.statistics import write_statistics_files
from napari_stem_gan.report.text import Session, points_of, report_text

__all__ = ["draw_overlay", "report_text", "write_report"]


def write_report(result: Session, folder: str | Path, statistics: Statistics | None = None) -> list[Path]:
    """Write ``overlay_*.png`` for every image, the files of the statistics and ``report.md`` into a folder.

    Parameters
    ----------
    result
        What a run gave.
    folder
        Existing folder to write to.
    statistics
        What the points say together, if that was asked.

    Returns
    -------
    list of Path
        The files that were written, the report last.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    pictures = []
    for index, (image, match) in enumerate(zip(result.images, result.matches, strict=True)):
        positions, defects = points_of(result.table, image)
        size_nm = None if match.pixel_size_A is None else match.pixel_size_A / A_PER_NM
        picture = draw_overlay(image, positions, defects, pixel_size_nm=size_nm)
        path = folder / f"overlay_{index + 1:02d}_{_file_stem(image)}.png"
        atomic_write(path, picture.save)
        pictures.append(path)
    plots = [] if statistics is None else write_statistics_files(statistics, folder)
    report = folder / "report.md"
    text = report_text(result, pictures, statistics, plots)
    atomic_write(report, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return [*pictures, *plots, report]


def _file_stem(image: STEMImage) -> str:
    """Name of an image as part of a file name."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in image.name)[:60]
    return f"{safe}_{image.frame}" if image.frame else safe
