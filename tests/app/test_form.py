"""Forms from configs: nothing is lost, every field has its sentence, wrong fields are named."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from qtpy.QtCore import QEvent, QObject

import napari_stem_gan
from napari_stem_gan.app import settings
from napari_stem_gan.app.fields import field_label, field_sentences, short_number, wrong_fields
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


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """A config inside another."""

    energy_keV: float = 80.0
    """Beam energy in keV."""
    span: tuple[float, float] = (0.1, 0.2)
    """A pair."""

    def __post_init__(self) -> None:
        if self.energy_keV <= 0:
            raise ValueError(f"energy_keV must be positive, got {self.energy_keV}; try 80")


@dataclass(frozen=True, kw_only=True)
class MicroscopeConfig:
    """A config that holds another."""

    count: int = 4
    """Number of images."""
    lens: LensConfig = field(default_factory=lambda: LensConfig(energy_keV=200.0))
    """The lens, folded."""


@pytest.mark.parametrize("kind", [*all_configs(), OddConfig, MicroscopeConfig], ids=lambda kind: kind.__name__)
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


def test_a_nested_config_is_a_folded_group_with_tooltips(qtbot):
    form = ConfigForm(MicroscopeConfig(), basic=("count",))
    qtbot.addWidget(form)
    fold = form.groups["lens"]

    assert fold.header.text() == "Lens"
    assert fold.header.toolTip() == "The lens, folded."
    assert not fold.is_open()
    assert form.advanced.isAncestorOf(fold)
    assert form.fields["lens"].fields["energy_keV"].toolTip() == "Beam energy in keV."
    assert form.value() == MicroscopeConfig()


def test_a_change_in_a_nested_config_is_heard_and_comes_back(qtbot):
    form = ConfigForm(MicroscopeConfig(), basic=("lens",))
    qtbot.addWidget(form)

    with qtbot.waitSignal(form.changed):
        form.fields["lens"].fields["energy_keV"].set_value(300.0)

    assert form.value() == MicroscopeConfig(lens=LensConfig(energy_keV=300.0))
    assert not form.advanced.isAncestorOf(form.groups["lens"])


def test_a_wrong_nested_field_is_red_and_its_group_says_so(qtbot):
    form = ConfigForm(MicroscopeConfig())
    qtbot.addWidget(form)
    lens = form.fields["lens"]
    lens.fields["energy_keV"].set_value(-1.0)

    assert form.error().startswith("Lens: energy_keV must be positive")
    assert "ff5c5c" in lens.labels["energy_keV"].text()
    assert "ff5c5c" not in lens.labels["span"].text()
    assert "not valid" in form.groups["lens"].header.text()
    with pytest.raises(ValueError, match="energy_keV must be positive"):
        form.value()

    lens.fields["energy_keV"].set_value(60.0)
    assert form.error() == ""
    assert form.groups["lens"].header.text() == "Lens"


def test_nested_settings_come_back_as_they_were(qtbot):
    config = MicroscopeConfig(count=9, lens=LensConfig(energy_keV=61.5, span=(3.0, 4.0)))
    settings.keep("microscope", config)

    assert settings.kept_config("microscope", MicroscopeConfig()) == config


def test_the_simulated_session_s_settings_come_back(qtbot):
    from napari_stem_gan.simulate.config import SimulateConfig

    plain = SimulateConfig()
    optics = replace(plain.optics, C23=40.0, energy_keV=60.0)
    instrument = replace(plain.instrument, ringing=0.1, offset=-3.5)
    config = replace(plain, optics=optics, specimen=replace(plain.specimen, stacking="3R", layers=2))
    config = replace(config, instrument=instrument, aberrations="A1=2 nm")
    form = ConfigForm(plain, basic=("count",))
    qtbot.addWidget(form)

    settings.keep("simulate", config)
    form.set_value(settings.kept_config("simulate", plain))

    assert form.value() == config


def test_a_kept_group_that_is_no_longer_valid_is_the_default_s(qtbot):
    settings.keep("microscope", {"count": 9, "lens": {"energy_keV": -5.0, "gone": 1}})

    assert settings.kept_config("microscope", MicroscopeConfig()) == replace(MicroscopeConfig(), count=9)


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
    assert field_label("dose_e_per_A2") == "Dose (e/Å²)"
    assert field_label("pmt_spread") == "PMT spread"
    assert field_label("row_offset_e") == "Row offset (e⁻)"
    assert field_label("clusters_per_100nm2") == "Clusters (/100 nm²)"
    assert field_label("C12") == "C12 (Å)"
    assert field_label("phi12") == "φ12 (rad)"


def test_aberrations_are_folded_under_a_header_of_their_own(qtbot):
    from napari_stem_gan.simulate.config import OpticsConfig

    form = ConfigForm(OpticsConfig())
    qtbot.addWidget(form)

    assert all(form.aberrations.isAncestorOf(form.fields[name]) for name in ("C10", "phi56"))
    assert not form.aberrations.isAncestorOf(form.fields["energy_keV"])
    assert not form.aberrations.is_open()


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


def test_arrows_of_an_empty_field_start_from_what_stands_for_it(qtbot):
    box = NumberBox(float, optional=True)
    qtbot.addWidget(box)
    box.set_hint("0.25")
    box.stepBy(1)
    assert box.value() == pytest.approx(0.26)

    box.set_value(None)
    box.set_hint("as fitted")
    box.stepBy(1)
    assert box.value() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("value", "text"), [(3210.4, "3210"), (0.41273, "0.4127"), (5.2e-5, "5.2e-05"), (0.0, "0"), (1e9, "1000000000")]
)
def test_a_hint_is_as_short_as_one_would_type_it(value, text):
    assert short_number(value) == text


class ShownWindows(QObject):
    """Collects the widgets that are shown as windows of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[QObject] = []

    def eventFilter(self, watched, event):  # noqa: N802
        if event.type() == QEvent.Type.Show and watched.isWidgetType() and watched.isWindow():
            self.seen.append(watched)
        return False


def test_no_group_flashes_up_as_a_window_while_the_form_is_built(qtbot, qapp):
    from napari_stem_gan.simulate.config import SimulateConfig

    windows = ShownWindows()
    qapp.installEventFilter(windows)
    form = ConfigForm(SimulateConfig(), basic=("count", "instrument"))
    qapp.removeEventFilter(windows)
    qtbot.addWidget(form)

    assert not windows.seen
