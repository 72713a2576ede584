"""The embedded sample session, and images in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import as_file, files

from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images

SAMPLES = ("sample_WSe2_1.tif", "sample_WSe2_2.tif")


def sample_images() -> list[STEMImage]:
    """The embedded session: two pseudo-experimental WSe₂ images made by our own simulator (see `recipes`)."""
    images: list[STEMImage] = []
    for name in SAMPLES:
        with as_file(files("napari_stem_gan") / "sample" / name) as path:
            images += read_images(path)
    return images


def describe(images: Sequence[STEMImage]) -> str:
    """What was understood, e.g. ``3 images, 1024×1024, 0.0207 nm/px``."""
    if not images:
        return "no image"
    shapes = Counter(i.shape for i in images)
    shape, count = shapes.most_common(1)[0]
    size = f"{shape[0]}×{shape[1]}" + ("" if count == len(images) else " and other sizes")
    scales = sorted({round(i.pixel_size_nm, 6) if i.pixel_size_nm else 0.0 for i in images})
    if scales[0] == 0.0:
        scale = "pixel size unknown" if len(scales) == 1 else "pixel size of some unknown"
    elif scales[-1] - scales[0] < 1e-3 * scales[0]:
        scale = f"{scales[0]:.4f} nm/px"
    else:
        scale = f"{scales[0]:.4f} to {scales[-1]:.4f} nm/px"
    return f"{len(images)} image{'s' if len(images) > 1 else ''}, {size}, {scale}"
