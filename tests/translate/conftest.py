"""Small synthetic crystals with planted vacancies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_stem_gan.image import LabelledImage, STEMImage

MakeCrystal = Callable[..., LabelledImage]


def crystal(
    seed: int = 0, *, side: int = 160, noise: float = 0.02, clouds: float = 0.0, blur: float = 1.8
) -> LabelledImage:
    """Return a square lattice of columns, every twentieth of which is a vacancy of half the height."""
    rng = np.random.default_rng(seed)
    axis = np.arange(8.0, side - 4, 8.0)
    columns = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    missing = rng.random(len(columns)) < 0.05
    missing &= np.all((columns > 16) & (columns < side - 16), axis=1)
    points = np.zeros((side, side))
    points[tuple(columns.astype(int).T)] = np.where(missing, 0.4, 1.0)
    image = gaussian_filter(points, blur) * 2 * np.pi * blur**2
    cloud = gaussian_filter(rng.standard_normal(image.shape), 12)
    image = image + clouds * cloud / cloud.std() + noise * rng.standard_normal(image.shape)
    count = int(missing.sum())
    return LabelledImage(
        image=STEMImage(data=(1000 + 800 * image).astype(np.float32), pixel_size_A=0.2, name=f"crystal_{seed}"),
        positions_px=columns[missing],
        defects=("V_X",) * count,
        sublattices=("X",) * count,
        columns_px=columns,
    )


@pytest.fixture
def make_crystal() -> MakeCrystal:
    """Return the function that draws a crystal."""
    return crystal
