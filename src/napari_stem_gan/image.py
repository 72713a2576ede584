"""STEMImage and LabelledImage: what rooms hand over."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_SIDE_PX = 32
A_PER_NM = 10.0
PIXEL_SIZE_NM = (1e-4, 1e6)  # from a hundredth of the smallest that show columns to the largest of a scan with a lens
BRIGHTNESS = (1e-15, 1e15)  # beyond, squares of pixels leave float32
USUAL_BRIGHTNESS = (1e-3, 1e12)
BRIGHT = 0.99  # share of pixels below a bright one: a broken one may be anything

FloatImage = NDArray[np.float32]


class ImageError(ValueError):
    """An image that cannot be worked on; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class STEMImage:
    """One calibrated grey image.

    Parameters
    ----------
    data
        Intensity, shape ``(Y, X)``, stored as finite float32; real numbers, none of them masked.
    pixel_size_A
        Pixel size in ångström, or None where nobody knows it yet.
    name
        Stem of the file or name of the layer; the ``image`` column of tables.
    frame
        Index in a stack (0 for a single image).
    source
        Path or layer the image came from.
    metadata
        What the reader found (instrument, beam energy, ...); never needed.

    Raises
    ------
    ImageError
        If the data are complex or masked, not two-dimensional, too small, constant, not finite or out of all range, or
        the pixel size is none of a microscope's images.
    """

    data: FloatImage
    pixel_size_A: float | None = None
    name: str = "image"
    frame: int = 0
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind(self.data, self.name)
        data = np.ascontiguousarray(self.data, dtype=np.float32)
        object.__setattr__(self, "data", data)
        check_pixels(data, self.name)
        if self.pixel_size_nm is not None:
            check_pixel_size(self.pixel_size_nm)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.data.shape[0], self.data.shape[1]

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size in nanometres, or None."""
        return None if self.pixel_size_A is None else self.pixel_size_A / A_PER_NM

    @property
    def brightness_unit(self) -> float:
        """Power of two just above the largest pixel where that is very small or large (images in ampere), else 1."""
        largest = _largest(self.data)
        return 1.0 if USUAL_BRIGHTNESS[0] <= largest <= USUAL_BRIGHTNESS[1] else float(2.0 ** np.frexp(largest)[1])

    def in_brightness_unit(self) -> STEMImage:
        """The image in its `brightness_unit`, so that powers of pixels stay numbers; itself where that is 1."""
        unit = self.brightness_unit
        return self if unit == 1.0 else replace(self, data=self.data / np.float32(unit))

    @property
    def sha256(self) -> str:
        """Hash of the pixels, so that a table can name the image it came from."""
        return hashlib.sha256(self.data).hexdigest()  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """A simulated or translated image with its true defects.

    Parameters
    ----------
    image
        The image.
    positions_px
        True defect positions, shape ``(N, 2)`` as (y, x), pixel centres at integers.
    defects
        Defect name of each position, e.g. ``V_Se`` (see `crystal.defects`).
    sublattices
        Sublattice of each position, e.g. ``Se``.
    columns_px
        All occupied columns, shape ``(M, 2)``; used by audits.
    parameters
        Every drawn value, so that the image can be made again.
    structure
        The atoms that were drawn (`crystal.defects.DefectiveStructure`, before any scan distortion); None: not known.
    """

    image: STEMImage
    positions_px: NDArray[np.float64]
    defects: tuple[str, ...]
    sublattices: tuple[str, ...]
    columns_px: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    parameters: Mapping[str, Any] = field(default_factory=dict)
    structure: Any = None


def check_pixel_size(size_nm: float) -> None:
    """Raise ImageError unless `size_nm` is a pixel size in nm that a microscope's image can have."""
    if not 0 < size_nm < np.inf:
        raise ImageError(
            f"pixel size must be positive, got {size_nm:g} nm; set it in the Match panel or in the file's metadata"
        )
    if not PIXEL_SIZE_NM[0] <= size_nm <= PIXEL_SIZE_NM[1]:
        low, high = PIXEL_SIZE_NM
        raise ImageError(f"pixel size must lie between {low:g} and {high:g} nm, got {size_nm:g} nm; give it in nm")


def check_kind(data: Any, name: str = "image") -> None:
    """Raise ImageError unless `data` hold real numbers, none of them masked."""
    if np.iscomplexobj(data):
        raise ImageError(f"'{name}' must hold real numbers, got {data.dtype}; take its modulus, phase or real part")
    masked = int(np.ma.count_masked(data)) if np.ma.isMaskedArray(data) else 0
    if masked:
        raise ImageError(f"'{name}' must have no masked pixels, got {masked}; fill or crop them first")


def _largest(data: FloatImage) -> float:
    return max(abs(float(data.min())), abs(float(data.max())))


def check_pixels(data: NDArray[Any], name: str = "image") -> None:
    """Raise ImageError, in one sentence, unless `data` is a usable ``(Y, X)`` image."""
    if data.ndim != 2:
        raise ImageError(
            f"'{name}' must be a single grey image (Y, X), got {data.ndim} dimensions {data.shape}; "
            "split stacks into frames and convert colour to grey first"
        )
    if min(data.shape) < MIN_SIDE_PX:
        raise ImageError(
            f"'{name}' must be at least {MIN_SIDE_PX} pixels on each side, got "
            f"{data.shape[0]}×{data.shape[1]}; load a larger image"
        )
    if not np.isfinite(data).all():
        bad = int((~np.isfinite(data)).sum())
        raise ImageError(f"'{name}' must contain finite pixels only, got {bad} NaN or infinite; replace or crop them")
    if float(data.min()) == float(data.max()):
        raise ImageError(f"'{name}' must have contrast, got the constant {float(data.flat[0]):g}; load another image")
    if not BRIGHTNESS[0] <= _largest(data) <= BRIGHTNESS[1]:
        bright, (low, high) = float(np.quantile(np.abs(data), BRIGHT)), BRIGHTNESS
        if not low <= bright <= high:
            factor = 10.0 ** -np.floor(np.log10(bright or _largest(data)))
            raise ImageError(
                f"'{name}' must have pixels between {low:g} and {high:g}, got {bright:.1g}; multiply them by {factor:g}"
            )
