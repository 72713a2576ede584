"""Writer: points layers as our CSV, in nm and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.layers import Layer, Points


def write_points(path: str, layers: Sequence[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write points layers to one CSV of ours with a JSON beside it.

    Parameters
    ----------
    path
        The file.
    layers
        napari layer data tuples of points layers; data in pixels.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    OutputError
        One sentence, if the file cannot be written.
    """
    from napari_stem_gan.app.compat import current_viewer
    from napari_stem_gan.app.csv_file import place_of, write_columns
    from napari_stem_gan.app.points import table_columns

    viewer = current_viewer()
    tables, places = [], {}
    for data, attributes, kind in layers:
        layer = Layer.create(data, attributes, kind)
        if isinstance(layer, Points):
            source = _image_under(layer, [] if viewer is None else list(viewer.layers))
            frame = layer if source is None else source
            tables.append(table_columns(layer, source))
            places[frame.name] = place_of(frame)
    write_columns(path, tables, places, {"source": "napari"})
    return [path]


def _image_under(layer: Points, layers: Sequence[Layer]) -> Layer | None:
    """The image that a points layer of ours was made for: its name begins with the image's."""
    names = {f"{one.name} {kind}": one for one in layers for kind in ("defects", "points", "truth")}
    return names.get(layer.name)
