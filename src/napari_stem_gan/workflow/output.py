"""Files of a session: the table with its provenance, overlays, restored images, report."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stem_gan import __version__
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.threshold import threshold_of
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.io import config_to_dict, prepare_folder, write_image
from napari_stem_gan.workflow.model import SessionModel
from napari_stem_gan.workflow.point_statistics import Divide, crystal_areas, statistics
from napari_stem_gan.workflow.progress import consume

if TYPE_CHECKING:
    from napari_stem_gan.detect.finder import Detection
    from napari_stem_gan.detect.session_statistics import Statistics
    from napari_stem_gan.workflow.chain import RunConfig, SessionResult


def provenance(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    *,
    configs: Sequence[Any],
    model: SessionModel | str | Path | None = None,
) -> dict[str, Any]:
    """What a table was made from: image and model hashes, pixel sizes, threshold, versions, settings."""
    import torch

    settings = {type(c).__name__: config_to_dict(c) for c in configs}
    threshold = next((c.threshold for c in configs if hasattr(c, "threshold")), None)
    return {
        "images": [
            {"image": i.name, "frame": i.frame, "source": i.source, "sha256": i.sha256, "shape": list(i.shape),
             "pixel_size_nm": i.pixel_size_nm, "match": m.to_dict()}
            for i, m in zip(images, matches, strict=True)
        ],
        "model": _model_card(model),
        "pixel_size_nm": _pixel_size_nm(images, matches),
        "threshold": threshold,
        "configs": settings,
        "versions": {"napari-stem-gan": __version__, "python": platform.python_version(), "torch": torch.__version__},
    }  # fmt: skip


def _pixel_size_nm(images: Sequence[STEMImage], matches: Sequence[LatticeMatch]) -> float | None:
    """Pixel size behind the table's nm: the first image's own, else that of its lattice."""
    if not images:
        return None
    found = matches[0].pixel_size_A
    return images[0].pixel_size_nm or (None if found is None else found / A_PER_NM)


def _model_card(model: SessionModel | str | Path | None) -> dict[str, Any]:
    """Name and hash of the finder's file; a session model in memory gives the hash of its tensors."""
    from napari_stem_gan.detect.finder import SHIPPED
    from napari_stem_gan.models import ModelFileError, load_model, state_sha256

    if isinstance(model, SessionModel):
        return {"name": "session", "sha256": state_sha256(model.finder.state()), "report": model.report}
    try:
        file = load_model(model or SHIPPED, kind="finder")[1]
    except ModelFileError:
        file = load_model(model or SHIPPED, kind="session")[1]
    return {"name": file.name, "sha256": file.sha256}


def write_table(
    path: str | Path,
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    detections: Sequence[Detection],
    *,
    configs: Sequence[Any],
    model: SessionModel | str | Path | None = None,
) -> PointTable:
    """Write the points above the threshold of `configs` as CSV, and a JSON beside it; return them.

    A balanced threshold is that of the detections: its number is the JSON's ``threshold``, the word is in ``configs``.
    """
    asked = next((c.threshold for c in configs if hasattr(c, "threshold")), 0.0)
    threshold = threshold_of(asked, [d.points for d in detections])
    table = PointTable.concat(d.points.filter(threshold) for d in detections)
    made_of = provenance(images, matches, configs=configs, model=model)
    table.to_csv(path, provenance={**made_of, "threshold": threshold})
    return table


def write_run(result: SessionResult, config: RunConfig, folder: Path, divide: Divide | None = None) -> None:
    """Write everything a run gave into `folder`; `divide` gives the regions that are counted in (see `statistics`)."""
    from napari_stem_gan.report import write_report

    prepare_folder(folder)
    configs = [config.match, config.simulate, config.adapt, config.detect, config.restore, config.statistics]
    write_table(
        folder / "points.csv", result.images, result.matches, result.detections, configs=configs, model=result.model
    )
    for image, restored in zip(result.images, result.restored, strict=True):
        write_image(folder / f"restored_{image.name}_{image.frame}.tif", restored.image)
    write_report(result, folder, run_statistics(result, config, divide))


def run_statistics(result: SessionResult, config: RunConfig, divide: Divide | None = None) -> Statistics | None:
    """Statistics of all candidates that a run found; None where no pixel size is known."""
    areas = crystal_areas(result.images, result.matches)
    table = PointTable.concat(d.points for d in result.detections)
    if not areas:
        return None
    return consume(statistics(areas, table, config.statistics, threshold=result.threshold, divide=divide))
