"""Layers to images: what the loaded layers mean, and where results have to lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_stem_gan.app.pixel_size import pixel_size
from napari_stem_gan.image import A_PER_NM, MIN_SIDE_PX, ImageError, STEMImage

MATERIAL_KEYS = ("material", "specimen", "sample", "title", "name")


@dataclass(frozen=True)
class Source:
    """What one image layer holds, read in the main thread; its images are made in the worker.

    Parameters
    ----------
    layer
        The layer, so that results can be put on it.
    data
        The layer's array, shape ``(Y, X)`` or ``(T, Y, X)``.
    pixel_size_nm
        Pixel size in nm, or None where the layer does not tell.
    note
        What the user should know about the pixel size, or an empty string.
    """

    layer: Image
    data: Any
    pixel_size_nm: float | None
    note: str = ""

    @property
    def frames(self) -> int:
        """Number of images."""
        return 1 if len(self.data.shape) == 2 else self.data.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.data.shape[-2], self.data.shape[-1]

    @property
    def name(self) -> str:
        """Name of the layer; the ``image`` column of tables."""
        return str(self.layer.name)

    def key(self) -> tuple[Any, ...]:
        """Changes when the layer shows other data or another scale."""
        return id(self.layer), id(self.data), self.data.shape, self.pixel_size_nm

    def images(self) -> list[STEMImage]:
        """Make the images; call it in the worker.

        Returns
        -------
        list of STEMImage
            One per frame.

        Raises
        ------
        ImageError
            If the pixels cannot be worked on.
        """
        size_A = None if self.pixel_size_nm is None else self.pixel_size_nm * A_PER_NM
        stack = self.data[None] if len(self.data.shape) == 2 else self.data
        return [
            STEMImage(
                data=np.array(frame, dtype=np.float32),
                pixel_size_A=size_A,
                name=self.name,
                frame=index,
                source=str(self.layer.source.path or f"layer {self.name}"),
            )
            for index, frame in enumerate(stack)
        ]


def read_layer(layer: Image) -> Source:
    """Understand one image layer.

    Parameters
    ----------
    layer
        An image layer from any reader.

    Returns
    -------
    Source
        The layer's data and pixel size.

    Raises
    ------
    ImageError
        If it is in colour, no image or stack of images, too small, or not a picture in space.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    shape = tuple(data.shape)
    if layer.rgb:
        raise ImageError(f"'{layer.name}' is a colour image; convert it to grey first")
    if len(shape) not in (2, 3):
        raise ImageError(f"'{layer.name}' has {len(shape)} axes; give an image (Y, X) or a stack (T, Y, X)")
    if min(shape[-2:]) < MIN_SIDE_PX or shape[0] == 0:
        size = f"{shape[-2]}×{shape[-1]}"
        raise ImageError(f"'{layer.name}' is {size} px, too small; give at least {MIN_SIDE_PX} px on each side")
    size_nm, note = pixel_size(layer)
    return Source(layer=layer, data=data, pixel_size_nm=size_nm, note=note)


def guess_material(sources: Iterable[Source], known: Iterable[str]) -> str | None:
    """The preset that the layers' metadata or names speak of.

    Parameters
    ----------
    sources
        Layers to look at.
    known
        Names of the presets.

    Returns
    -------
    str or None
        A preset if exactly one is named.
    """
    texts = [text for source in sources for text in _texts(source.layer)]
    found = {key for key in known for text in texts if _speaks_of(text, key)}
    return found.pop() if len(found) == 1 else None


def _texts(layer: Layer) -> list[str]:
    values = [layer.metadata.get(key) for key in MATERIAL_KEYS]
    return [str(layer.name), *(value for value in values if isinstance(value, str))]


def _speaks_of(text: str, key: str) -> bool:
    return re.search(rf"(?<![a-z]){re.escape(key.lower())}(?![a-z0-9])", text.lower()) is not None


def summary(sources: Sequence[Source]) -> str:
    """What was understood, e.g. ``3 images, 1024×1024, 0.0207 nm/px``."""
    count = sum(source.frames for source in sources)
    shapes = sorted({source.shape for source in sources})
    sizes = {None if s.pixel_size_nm is None else f"{s.pixel_size_nm:.4f}" for s in sources}
    parts = [f"{count} image{'s' if count != 1 else ''}", _shapes_text(shapes), _sizes_text(sizes)]
    return ", ".join(parts)


def _shapes_text(shapes: list[tuple[int, int]]) -> str:
    if len(shapes) > 2:
        return f"{len(shapes)} different sizes"
    return " and ".join(f"{y}×{x}" for y, x in shapes)


def _sizes_text(sizes: set[str | None]) -> str:
    known = sorted(size for size in sizes if size is not None)
    if not known:
        return "pixel size unknown"
    text = f"{known[0]} nm/px" if len(known) == 1 else f"{known[0]}–{known[-1]} nm/px"
    return text + (" (some unknown)" if None in sizes else "")


def geometry(layer: Layer, ndim: int, *, lead_label: str = "image") -> dict[str, Any]:
    """Keyword arguments that put a result exactly where its source lies.

    Parameters
    ----------
    layer
        The source layer.
    ndim
        Dimensions of the result: the source's, or 2 or 3 for a single image or a series of them.
    lead_label
        Name of a first axis that the source does not have.

    Returns
    -------
    dict
        ``scale, translate, units, axis_labels`` and, for equal dimensions, ``rotate, shear, affine``.
    """
    same = {name: getattr(layer, name) for name in ("scale", "translate", "units", "axis_labels")}
    if ndim == layer.ndim:
        return same | {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine}
    last = {name: tuple(value)[-2:] for name, value in same.items()}
    if ndim == 2:
        return last
    lead = {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": lead_label}
    return {name: (lead[name], *value) for name, value in last.items()}
