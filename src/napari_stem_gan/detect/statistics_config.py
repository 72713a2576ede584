"""Settings of the statistics of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class StatisticsConfig:
    """How densities, pair correlation and density map are made."""

    EMPTY: ClassVar[str] = "chosen from the points"

    level_percent: float = 95.0
    """Intervals and bands hold the truth in so many of 100 cases (50 to 99.9)."""
    regions: int = 3
    """Each image is also cut into so many by so many regions (1: only the whole crystal)."""
    largest_distance_nm: float | None = None
    """Pairs up to this distance enter the pair correlation; empty: a quarter of the image, 5 nm at most."""
    bin_nm: float | None = None
    """Width of the steps of distance; empty: as wide as the number of pairs asks for."""
    simulations: int = 499
    """Random arrangements behind the band and the test of randomness; more are slower and steadier."""
    smoothing_nm: float | None = None
    """Standard deviation of the map's Gaussian; empty: so that about ten defects share in each place."""
    seed: int = 0
    """Seed of the random arrangements."""

    def __post_init__(self) -> None:
        if not 50 <= self.level_percent <= 99.9:
            raise ValueError(f"level_percent must lie between 50 and 99.9, got {self.level_percent}; try 95")
        if not 1 <= self.regions <= 26:
            raise ValueError(f"regions must lie between 1 and 26, got {self.regions}; try 3")
        if not 19 <= self.simulations <= 99_999:
            raise ValueError(f"simulations must lie between 19 and 99999, got {self.simulations}; try 499")
        for name in ("largest_distance_nm", "bin_nm", "smoothing_nm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1000:
                raise ValueError(f"{name} must lie between 0 and 1000, got {value}; leave it empty")

    @property
    def level(self) -> float:
        """`level_percent` as a share of 1."""
        return self.level_percent / 100
