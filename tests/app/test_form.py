"""Forms from configs: nothing is lost, every field has its sentence, wrong fields are named."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Literal

import pytest

import napari_stem_gan
from napari_stem_gan.app.fields import field_label, field_sentences, wrong_fields
from napari_stem_gan.app.form import ConfigForm
from napari_stem_gan.app.number_box import NumberBox

ROOT = Path(napari_stem_gan.__file__).parent


def all_configs() -> list[type]:
    """Every dataclass of every config.py, and the training loop's."""
    modules = [
        importlib.import_module(f"napari_stem_gan.{path.parent.name}.config") for path in ROOT.glob("*/config.py")
    ]
    modules.append(importlib.import_module("napari_stem_gan.training"))
    found = {value for module in modules for value in vars(module).values() if is_dataclass(value)}
    return sorted((kind for kind in found if isinstance(kind, type) and kind.__name__.endswith("Config")), key=str)


@dataclass(frozen=True, kw_only=True)
class OddConfig:
    """A config with every kind of field."""

    rate: float = 2e-4
    """Learning rate."""
    beta: float = 0.999
    """Decay."""
    tiny: float = 1e-30
    """A very small number."""
    third: float = 1 / 3
    """A number with many digits."""
    seed: int = 2**63
    """Larger than a C int."""
    count: int | None = None
    """May be empty."""
    size: float | None = 0.0207
    """May be empty."""
    on: bool = True
    """A switch."""
    kind: Literal["a", "b"] = "b"
    """A choice."""
    text: str = "WSe2"
    """Text."""
    span: tuple[float, float] = (0.1, 0.2)
    """A pair."""
    file: Path | None = None
    """A file."""


@pytest.mark.parametrize("kind", [*all_configs(), OddConfig], ids=lambda kind: kind.__name__)
def test_the_form_gives_back_exactly_what_was_put_in(qtbot, kind):
    needed = {field.name: 5 for field in fields(kind) if field.name == "steps"}
    config = kind(**needed)
    form = ConfigForm(config)
    qtbot.addWidget(form)

    assert form.value() == config
    form.set_value(config)
    assert form.value() == config


def test_values_that_are_not_the_default_survive(qtbot):
    config = OddConfig(rate=3.7e-5, count=12, size=None, kind="a", span=(0.3, 1e-9), file=Path("x/y"), on=False)
    form = ConfigForm(OddConfig())
    qtbot.addWidget(form)

    form.set_value(config)

    assert form.value() == config


def test_there_are_configs_of_every_room():
    assert {kind.__module__.split(".")[1] for kind in all_configs()} >= {"crystal", "simulate", "translate", "detect"}


@pytest.mark.parametrize("kind", all_configs(), ids=lambda kind: kind.__name__)
def test_every_field_has_its_sentence(kind):
    missing = {field.name for field in fields(kind)} - set(field_sentences(kind))

    assert not missing


def test_the_sentence_is_the_tooltip(qtbot):
    form = ConfigForm(OddConfig())
    qtbot.addWidget(form)

    assert form.fields["rate"].toolTip() == "Learning rate."


def test_labels_carry_the_unit():
    assert field_label("pixel_size_nm") == "Pixel size (nm)"
    assert field_label("energy_keV") == "Energy (keV)"
    assert field_label("count") == "Count"


def test_the_wrong_field_is_named():
    from napari_stem_gan.simulate.config import SimulateConfig

    names, reason = wrong_fields(SimulateConfig, {"count": 0, "size_px": 64})

    assert names == ["count"]
    assert "count must lie between" in reason


@pytest.mark.parametrize(("value", "after"), [(2e-4, 2.1e-4), (0.999, 1.009), (0.0, 0.1), (25.0, 26.0)])
def test_a_step_suits_the_number(qtbot, value, after):
    box = NumberBox(float)
    qtbot.addWidget(box)
    box.set_value(value)

    box.stepBy(1)

    assert box.value() == pytest.approx(after, rel=1e-12)


def test_typing_nonsense_keeps_the_last_number(qtbot):
    box = NumberBox(int)
    qtbot.addWidget(box)
    box.set_value(4)

    box.lineEdit().setText("four")

    assert box.value() == 4
