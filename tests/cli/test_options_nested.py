"""Configs in configs become flat options, and the options become the same configs again."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pytest

from napari_stem_gan.cli.commands import Command
from napari_stem_gan.cli.options import config_from, options_class, parse


@dataclass(frozen=True, kw_only=True)
class StrainConfig:
    """A small nested config."""

    strain_xx_percent: float = 0.0
    """Strain along x in percent."""
    planted: str = ""
    """Defects by name."""

    def __post_init__(self) -> None:
        if abs(self.strain_xx_percent) > 10:
            raise ValueError(f"strain_xx_percent must lie between -10 and 10, got {self.strain_xx_percent}; try 1")


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """Another one, with a name that the session also has."""

    energy_keV: float = 80.0
    """Beam energy in keV."""
    C23: float = 0.0
    """Three-fold astigmatism in Å."""
    count: int = 7
    """Number of poles."""


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """A config that holds both."""

    count: int = 4
    """Number of images."""
    strain: StrainConfig = field(default_factory=StrainConfig)
    """The specimen."""
    lens: LensConfig = field(default_factory=lambda: LensConfig(energy_keV=200.0))
    """The lens."""


@dataclass(frozen=True, kw_only=True)
class OtherConfig:
    """A second step that holds the same kind of lens with other defaults."""

    lens: LensConfig = field(default_factory=lambda: LensConfig(energy_keV=300.0, count=9))
    """The lens."""


def options(*words: str):
    command = Command("draw", "Draw.", type("Own", (), {}), (DrawConfig, OtherConfig), print)
    command = command._replace(own=DrawConfig)
    return parse(words, [command, command._replace(name="other")], program="p", description="")[1]


def test_nested_fields_become_flat_options() -> None:
    words = ("--strain-xx-percent", "1.5", "--planted", "V_Se 2 %", "--C23", "40")
    made = config_from(DrawConfig, options("draw", *words))

    assert made.strain == StrainConfig(strain_xx_percent=1.5, planted="V_Se 2 %")
    assert made.lens == LensConfig(energy_keV=200.0, C23=40.0)


def test_the_defaults_are_those_of_the_outer_config() -> None:
    given = options("draw")

    assert config_from(DrawConfig, given) == DrawConfig()
    assert config_from(OtherConfig, given) == OtherConfig()


def test_a_shared_name_with_another_default_gets_its_own_config_as_prefix() -> None:
    given = options("draw", "--lens-count", "3", "--energy-keV", "120")

    assert config_from(DrawConfig, given) == DrawConfig(lens=LensConfig(energy_keV=120.0, count=3))
    assert config_from(OtherConfig, given) == OtherConfig()


def test_every_option_has_a_name_of_its_own() -> None:
    names = [item.name for item in fields(options_class("all", (DrawConfig, OtherConfig)))]

    assert len(names) == len(set(names))
    assert names[:6] == ["count", "strain_xx_percent", "planted", "energy_keV", "C23", "lens_count"]


def test_a_wrong_nested_value_gives_the_config_s_sentence() -> None:
    with pytest.raises(ValueError, match="strain_xx_percent must lie between"):
        config_from(DrawConfig, options("draw", "--strain-xx-percent", "50"))
