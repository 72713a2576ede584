from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from napari_stem_gan.cli.commands import COMMANDS, RUN_CONFIGS
from napari_stem_gan.cli.options import OptionsError, config_from, field_sentences, options_class, parse
from napari_stem_gan.detect.config import DetectConfig

TWO_FILES = {
    "info": [],
    "match": ["a.tif"],
    "simulate": ["--like", "a.tif", "--out", "d"],
    "adapt": ["a.tif", "--out", "m"],
    "detect": ["a.tif", "--out", "p.csv"],
    "statistics": ["a.tif", "--table", "p.csv", "--out", "d"],
    "restore": ["a.tif", "--out", "d"],
    "evaluate": ["p.csv", "t.csv"],
    "run": ["a.tif", "--out", "d"],
}


def parsed(*words: str):
    return parse(words, COMMANDS, program="napari-stem-gan", description="")


def test_the_commands_are_those_of_the_documentation() -> None:
    assert [command.name for command in COMMANDS] == list(TWO_FILES)


@pytest.mark.parametrize("name", list(TWO_FILES))
def test_every_command_takes_the_common_options(name: str) -> None:
    common = ["--device", "cpu", "--seed", "7", "--pixel-size-nm", "0.02", "--json"]
    command, options = parsed(name, *TWO_FILES[name], *common)
    assert command.name == name
    assert (options.device, options.seed, options.pixel_size_nm, options.json) == ("cpu", 7, 0.02, True)


@pytest.mark.parametrize("name", list(TWO_FILES))
def test_options_default_to_what_the_configs_say(name: str) -> None:
    command, options = parsed(name, *TWO_FILES[name])
    assert all(config_from(config, options) == config() for config in command.configs)


def test_an_option_reaches_its_config() -> None:
    _, options = parsed("run", "a.tif", "--out", "d", "--threshold", "0.7", "--no-average-flips", "--tile-px", "128")
    assert config_from(DetectConfig, options) == DetectConfig(threshold=0.7, average_flips=False, tile_px=128)


@pytest.mark.parametrize("name", ["detect", "statistics", "run"])
def test_a_threshold_may_be_a_word(name: str) -> None:
    assert parsed(name, *TWO_FILES[name], "--threshold", "balanced")[1].threshold == "balanced"


def test_another_word_is_no_threshold() -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("detect", *TWO_FILES["detect"], "--threshold", "faint")
    assert ended.value.code == 2


def test_specimen_defects_and_optics_have_flat_options() -> None:
    words = ("--strain-xx-percent", "1.5", "--planted", "V_Se 2 %", "--C23", "400", "--energy-keV", "60")
    _, options = parsed("simulate", "--like", "a.tif", "--out", "d", *words)
    config = config_from(RUN_CONFIGS["simulate"], options)
    assert (config.specimen.strain_xx_percent, config.defects.planted) == (1.5, "V_Se 2 %")
    assert (config.optics.C23, config.optics.energy_keV) == (400.0, 60.0)


def test_instrument_and_aberrations_have_flat_options() -> None:
    words = ("--jitter-x-px", "0.3", "--dose-e-per-A2", "2e3", "--offset", "-5", "--aberrations", "C23=5 nm, phi23=0.3")
    _, options = parsed("simulate", "--like", "a.tif", "--out", "d", *words)
    config = config_from(RUN_CONFIGS["simulate"], options)
    assert config.instrument.by_hand() == {"jitter_x_px": 0.3, "dose_e_per_A2": 2000.0, "offset": -5.0}
    assert (config.probe.C23, config.probe.phi23) == (50.0, 0.3)


def test_help_says_what_an_empty_number_of_the_instrument_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("simulate", "--help")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Image units for one electron. (default: as fitted)" in shown


def test_a_number_that_cannot_be_is_refused_with_its_sentence() -> None:
    _, options = parsed("run", "a.tif", "--out", "d", "--contamination-amount", "-1")
    with pytest.raises(ValueError, match="contamination_amount must be at least 0"):
        config_from(RUN_CONFIGS["simulate"], options)


def test_one_seed_and_one_tile_size_serve_all_steps() -> None:
    _, options = parsed("run", "a.tif", "--out", "d", "--seed", "5", "--tile-px", "256")
    made = {name: config_from(config, options) for name, config in RUN_CONFIGS.items()}
    assert (made["simulate"].seed, made["adapt"].seed) == (5, 5)
    assert (made["detect"].tile_px, made["restore"].tile_px) == (256, 256)


def test_several_images_are_taken_in_order() -> None:
    _, options = parsed("detect", "b.tif", "a.dm4", "--material", "WSe2", "--out", "p.csv")
    assert options.images == (Path("b.tif"), Path("a.dm4"))


@pytest.mark.parametrize("name", ["adapt", "detect", "restore"])
def test_a_command_on_images_needs_one(name: str) -> None:
    with pytest.raises(OptionsError, match="at least one image"):
        parsed(name, "--out", "d")


def test_run_without_images_is_allowed_for_the_sample() -> None:
    _, options = parsed("run", "--out", "d")
    assert options.images == ()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_explained(command) -> None:
    for group in (command.own, *command.configs):
        assert set(field_sentences(group)) == {item.name for item in fields(group)}


def test_shared_names_become_one_option() -> None:
    @dataclass(frozen=True, kw_only=True)
    class One:
        seed: int = 1

    @dataclass(frozen=True, kw_only=True)
    class Two:
        seed: int = 1
        size: int = 3

    merged = options_class("both", (One, Two))
    assert [(item.name, item.default) for item in fields(merged)] == [("seed", 1), ("size", 3)]


def test_shared_names_with_other_defaults_stay_apart() -> None:
    _, options = parsed("run", "a.tif", "--out", "d", "--no-average-flips", "--restore-average-flips")
    assert config_from(RUN_CONFIGS["restore"], options).average_flips
    assert not config_from(RUN_CONFIGS["detect"], options).average_flips
