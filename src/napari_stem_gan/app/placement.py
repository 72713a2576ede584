"""Where a lattice lies, and what a drag of the mouse makes of it; no Qt here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import Sites, fill_field, lattice_vectors_px, rotation_matrix

Drag = Literal["move", "turn", "stretch"]
Place = NDArray[np.float64]

SMALLEST_ARM_PX = 5.0  # nearer to the centre a turn or stretch would jump
STRETCH_RANGE = (0.2, 5.0)
CELLS_ACROSS = 24  # of a lattice whose pixel size nobody knows


@dataclass(frozen=True)
class Placement:
    """A rigid lattice on an image.

    Parameters
    ----------
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        One cell origin, (y, x) in pixels.
    """

    vectors_px: Place
    origin_px: Place

    def moved(self, shift_px: Place) -> Placement:
        """The lattice shifted by (y, x) pixels."""
        return replace(self, origin_px=self.origin_px + shift_px)

    def turned(self, angle_deg: float, about_px: Place) -> Placement:
        """The lattice turned from +x towards +y about a point."""
        return self._changed(rotation_matrix(angle_deg), about_px)

    def stretched(self, factor: float, about_px: Place) -> Placement:
        """The lattice made `factor` times as wide, a point staying where it is."""
        return self._changed(factor * np.eye(2), about_px)

    def dragged(self, drag: Drag, press_px: Place, now_px: Place, about_px: Place) -> Placement:
        """The lattice after the mouse went from `press_px` to `now_px`.

        Parameters
        ----------
        drag
            ``move`` follows the mouse; ``turn`` and ``stretch`` keep `about_px` and bring the pressed point to the
            direction, or to the distance, of the mouse.
        press_px, now_px, about_px
            Points as (y, x) in pixels.
        """
        if drag == "move":
            return self.moved(now_px - press_px)
        before, after = press_px - about_px, now_px - about_px
        if min(np.hypot(*before), np.hypot(*after)) < SMALLEST_ARM_PX:
            return self
        if drag == "turn":
            return self.turned(float(np.rad2deg(_angle(after) - _angle(before))), about_px)
        return self.stretched(float(np.clip(np.hypot(*after) / np.hypot(*before), *STRETCH_RANGE)), about_px)

    def sites(self, material: Material, shape: tuple[int, int]) -> Sites:
        """Every column site in the field."""
        return fill_field(material, self.vectors_px, shape, origin_px=self.origin_px)

    def fractions(self, positions_px: Place) -> Place:
        """Positions ``(N, 2)`` in units of the cell."""
        return (positions_px - self.origin_px) @ np.linalg.inv(self.vectors_px)

    def positions(self, fractions: Place) -> Place:
        """Positions ``(N, 2)`` in pixels from units of the cell."""
        return fractions @ self.vectors_px + self.origin_px

    def centred(self, shape: tuple[int, int]) -> Placement:
        """The same lattice, with the cell origin that is nearest to the middle of the image."""
        steps = np.rint(self.fractions(np.array(shape) / 2))
        return replace(self, origin_px=self.positions(steps))

    def _changed(self, matrix: Place, about_px: Place) -> Placement:
        return Placement(self.vectors_px @ matrix, (self.origin_px - about_px) @ matrix + about_px)


def nominal_placement(material: Material, pixel_size_A: float | None, shape: tuple[int, int]) -> Placement:
    """The undistorted lattice in the middle of an image; an unknown pixel size gives cells of a visible size."""
    size = pixel_size_A or material.constant_A * CELLS_ACROSS / min(shape)
    return Placement(lattice_vectors_px(material, size, 0.0), np.array(shape) / 2)


def drag_of(modifiers: Iterable[str]) -> Drag:
    """What a drag with these keys held does. Alt is not used: napari zooms with it."""
    if "Shift" in modifiers:
        return "turn"
    return "stretch" if "Control" in modifiers else "move"


def _angle(arm: Place) -> float:
    return float(np.arctan2(arm[0], arm[1]))
