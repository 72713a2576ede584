"""Put an outcome on the viewer: which result becomes which layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.layers import Source
from napari_stem_gan.app.points import point_size
from napari_stem_gan.app.readers import contrast_limits
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.app.tracks import show_tracks

SIMULATED = ("simulated", "translated", "simulated truth")
SIMULATING = ("simulate", "adapt")
BACKGROUND = ("background", "none", "perfect")
COMPARABLE = 3.0  # times wider or narrower than the restored picture needs: what is more leaves it black or white
PROBABILITY = {"colormap": "magma", "blending": "additive", "opacity": 0.6, "contrast_limits": (0.0, 1.0)}


def show_outcome(results: ResultLayers, outcome: Outcome, threshold: float) -> None:
    """Add or refill the result layers of an outcome; runs in the main thread.

    Parameters
    ----------
    results
        Our layers in the viewer.
    outcome
        What a job found.
    threshold
        Lowest confidence of points to show.
    """
    spacings = _spacings(outcome)
    _show_restored(results, outcome, spacings)
    _show_detections(results, outcome, spacings, threshold)
    _show_simulated(results, outcome, spacings)
    _place_simulated(results, outcome)


def _spacings(outcome: Outcome) -> dict[int, float | None]:
    """Lattice spacing in pixels for each source, from its first accepted match."""
    spacings: dict[int, float | None] = {}
    for source, matches in outcome.per_source(outcome.matches or []):
        vectors = [np.linalg.norm(m.lattice_vectors_px, axis=1).min() for m in matches if m.accepted]
        spacings[id(source.layer)] = float(vectors[0]) if vectors else None
    return spacings


def _show_restored(results: ResultLayers, outcome: Outcome, spacings: dict[int, float | None]) -> None:
    if outcome.restored is None:
        return
    for source, restored in outcome.per_source(outcome.restored):
        data = _like(source, [one.image.data for one in restored])
        layer = results.show_image(source.layer, "restored", data, visible=outcome.step != "run")
        layer.contrast_limits = restored_limits(data, source.layer.contrast_limits)
        size = point_size(spacings.get(id(source.layer)))
        invented = _points_like(source, [one.invented_px for one in restored])
        erased = _points_like(source, [one.erased_px for one in restored])
        results.show_changes(source, invented, erased, size)


def restored_limits(data: Any, raw: Sequence[float]) -> tuple[float, float]:
    """The raw layer's contrast limits, so that the two can be compared; the picture's own where those hide it.

    Parameters
    ----------
    data
        Restored image ``(Y, X)`` or stack of them.
    raw
        Limits of the raw layer; whoever loaded it may have set them to a hot pixel.
    """
    low, high = contrast_limits(data)
    overlap = min(high, raw[1]) - max(low, raw[0])
    needed = max(high - low, raw[1] - raw[0]) / COMPARABLE
    return (raw[0], raw[1]) if overlap >= needed else (low, high)


def _show_detections(
    results: ResultLayers, outcome: Outcome, spacings: dict[int, float | None], threshold: float
) -> None:
    if outcome.detections is None:
        return
    for source, detections in outcome.per_source(outcome.detections):
        maps = [defect_probability(one) for one in detections]
        if all(one is not None for one in maps):
            results.show_image(source.layer, "probability", _like(source, maps), visible=False, **PROBABILITY)
        columns = joined([one.points.columns for one in detections])
        results.show_candidates(source, columns, threshold, point_size(spacings.get(id(source.layer))))
        show_tracks(results, source.layer, columns)


def _show_simulated(results: ResultLayers, outcome: Outcome, spacings: dict[int, float | None]) -> None:
    """Simulated images as a series on the first source, with their true points and their translation."""
    if not outcome.simulated or not outcome.sources:
        return
    source = outcome.sources[0].layer
    display = {"visible": outcome.step in SIMULATING}
    results.show_image(source, "simulated", padded([one.image.data for one in outcome.simulated]), **display)
    if outcome.translated:
        results.show_image(source, "translated", padded([one.image.data for one in outcome.translated]), **display)
    data = [np.c_[np.full(len(one.positions_px), i), one.positions_px] for i, one in enumerate(outcome.simulated)]
    defects = [name for one in outcome.simulated for name in one.defects]
    sublattices = [name for one in outcome.simulated for name in one.sublattices]
    size = point_size(next(iter(spacings.values()), None))
    results.show_truth(source, np.concatenate(data), defects, sublattices, size)


def _place_simulated(results: ResultLayers, outcome: Outcome) -> None:
    """On top after the steps that simulate; out of the way of what other steps show on the same image."""
    drawn = bool(outcome.simulated) and outcome.step in SIMULATING
    if outcome.step in (*SIMULATING, "save") and not drawn:
        return
    for kind in SIMULATED:
        shown = drawn and (kind != "translated" or bool(outcome.translated))
        for _, layer in results.of_kind(kind):
            layer.visible = shown
            if shown:
                results.raise_to_top(layer)


def defect_probability(detection: Any) -> Any | None:
    """Highest probability of any defect, shape ``(Y, X)``; None where there is no map."""
    maps = detection.probability
    if maps is None or not np.size(maps):
        return None
    rows = [i for i, name in enumerate(detection.classes) if name not in BACKGROUND]
    return np.asarray(maps)[rows].max(axis=0).astype(np.float32)


def joined(columns: Sequence[Any]) -> dict[str, Any]:
    """Tables of several frames as one, each column an array of length N."""
    names = [name for name in columns[0] if all(name in one for one in columns)]
    return {name: np.concatenate([np.asarray(one[name]) for one in columns]) for name in names}


def padded(images: Sequence[Any]) -> Any:
    """Images as one series ``(N, Y, X)``; smaller ones are filled up with their lowest value."""
    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    gaps = [((0, height - i.shape[0]), (0, width - i.shape[1])) for i in images]
    return np.stack([np.pad(i, gap, constant_values=i.min()) for i, gap in zip(images, gaps, strict=True)])


def _like(source: Source, frames: Sequence[Any]) -> Any:
    """Frames as one array of the source's dimensions."""
    return frames[0] if source.layer.ndim == 2 else np.stack(frames)


def _points_like(source: Source, frames: Sequence[Any]) -> Any:
    """Points of all frames as coordinates of the source: ``(N, 2)``, or ``(N, 3)`` with the frame first."""
    if source.layer.ndim == 2:
        return np.asarray(frames[0], dtype=float).reshape(-1, 2)
    parts = [np.asarray(points, dtype=float).reshape(-1, 2) for points in frames]
    return np.concatenate([np.c_[np.full(len(points), i), points] for i, points in enumerate(parts)])
