"""Settings of detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BALANCED: Final = "balanced"
Threshold = float | Literal["balanced"]  # a number, or what `detect.threshold` makes of the candidates


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """How defects are found and reported."""

    threshold: Threshold = 0.5
    """Points with a lower confidence are left out of the table (0 to 1), or 'balanced': the number at which precision
    and recall together (F1) are expected to be highest, lower on faint images."""
    average_flips: bool = True
    """Average the network over flips and quarter turns: slower, steadier."""
    tile_px: int = 512
    """Side of the tiles in pixels; smaller needs less memory."""
    known_answer: bool = False
    """Plant vacancies into today's images to measure how many are found and how many are false (slower)."""

    def __post_init__(self) -> None:
        if self.threshold != BALANCED and (isinstance(self.threshold, str) or not 0 <= self.threshold <= 1):
            raise ValueError(f"threshold must lie between 0 and 1 or be '{BALANCED}', got {self.threshold}; try 0.5")
        if not 64 <= self.tile_px <= 8192:
            raise ValueError(f"tile_px must lie between 64 and 8192, got {self.tile_px}; try 512")
