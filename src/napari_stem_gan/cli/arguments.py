"""What each command takes besides the options of its configs: files to read and to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_stem_gan.detect.config import Threshold


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A command without options of its own."""


@dataclass(frozen=True, kw_only=True)
class OneImage:
    """The image to match."""

    image: Path
    """Image file; of a stack every frame is matched."""


@dataclass(frozen=True, kw_only=True)
class LikeImage:
    """The image to imitate and where to write."""

    like: Path
    """Image whose lattice, pixel size, blur and noise the simulations take over."""
    out: Path
    """Folder for the images (.tif) and the true defects of each (.truth.csv)."""


@dataclass(frozen=True, kw_only=True)
class ImagesToModel:
    """Images and the model file to write."""

    images: tuple[Path, ...] = ()
    """Images of one session; stacks are taken frame by frame."""
    decisions: Path | None = None
    """Table of these images with a column 'decision' (accepted, added, rejected) to learn from; empty: none."""
    out: Path
    """Model file to write (.safetensors)."""


@dataclass(frozen=True, kw_only=True)
class ImagesToTable:
    """Images and the table to write."""

    images: tuple[Path, ...] = ()
    """Images of one session; stacks are taken frame by frame."""
    model: Path | None = None
    """Model file that adapt wrote, or the name of a finder; empty: the finder as shipped."""
    out: Path
    """Table to write (.csv); a JSON with hashes, settings and versions goes beside it."""


@dataclass(frozen=True, kw_only=True)
class ImagesToFolder:
    """Images and the folder to write to."""

    images: tuple[Path, ...] = ()
    """Images of one session; stacks are taken frame by frame. For run, none means the embedded sample."""
    out: Path
    """Folder for the results."""


@dataclass(frozen=True, kw_only=True)
class TableToFolder:
    """Images, the table of their points and the folder to write to."""

    images: tuple[Path, ...] = ()
    """Images that the table is about; stacks are taken frame by frame."""
    table: Path
    """Table that detect wrote, or that was saved in napari after looking through it."""
    threshold: Threshold = 0.0
    """Points with a lower confidence are not counted (0 to 1), or 'balanced', as in detect, if the table was written
    with a threshold of 0.05."""
    out: Path
    """Folder for tables (.csv), plots (.png) and all numbers (.json)."""


@dataclass(frozen=True, kw_only=True)
class TwoTables:
    """The table to judge and the truth."""

    points: Path
    """Table that detect wrote."""
    truth: tuple[Path, ...]
    """Tables of true defects, each named like its image (test_2.truth.csv)."""
    radius_nm: float = 0.095
    """A point within this distance of a true defect of the same kind counts as found."""
    radius_px: float | None = None
    """The same distance in pixels; empty: from the one in nm."""
    defect: str = ""
    """Score these points only, e.g. V_Se, or all; empty: those of the kind."""
    kind: str = ""
    """Score these true defects only, e.g. V_2X; empty: those of the defect, else single anion vacancies."""
    border_px: float = 0.0
    """Leave out points and true defects nearer than this to the edges of the image."""
    size_px: float | None = None
    """Side of the square image; empty: from the JSON beside the table."""
