"""Match: which crystal, which lattice, which pixel size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_stem_gan.app.fit_text import fits_text
from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.lattice_row import LatticeRow
from napari_stem_gan.app.layers import Source, guess_material
from napari_stem_gan.app.match_text import match_text
from napari_stem_gan.app.panel import WARNING_SIGN, StepPanel
from napari_stem_gan.app.pixel_size import is_length
from napari_stem_gan.app.structure_file import FILE, ask_structure
from napari_stem_gan.app.symbols import lattice_legend
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.image import A_PER_NM

AUTO = "auto"
WORTH_CALIBRATING = 5e-4


class MatchPanel(StepPanel):
    """Form of `MatchConfig`, what was matched, and one click that corrects the layers' scale.

    `calibrate_requested` carries a list of (source, corrected pixel size in nm). `lattice` is the row that shows,
    adjusts and snaps the fitted lattice and opens its spectrum.
    """

    step = "match"
    sentence = "Finds the crystal lattice in each image, checks the pixel size against it and measures the instrument."
    basic = ("material", "pixel_size_nm")
    of_today = ("material", "pixel_size_nm")
    calibrate_requested = Signal(object)

    @classmethod
    def default(cls) -> MatchConfig:
        """The config that Defaults puts back."""
        return MatchConfig()

    def __init__(self, parent: QWidget | None = None) -> None:
        self._guess = AUTO
        self._corrected: list[tuple[Source, float]] = []
        super().__init__(parent)

    def choices(self) -> Mapping[str, Iterable[str]]:
        """Offer the presets, and a structure file."""
        return {"material": [AUTO, *known_materials(), FILE]}

    def checks(self) -> Mapping[str, Callable[[Any], str]]:
        """A material must be a preset or a structure file that can be read."""
        return {"material": material_error}

    def material(self) -> str:
        """The material of the form, as `crystal.materials.get_material` takes it; empty while it is left open."""
        text = self.form.fields["material"].currentText().strip()
        return "" if text in (AUTO, FILE) or material_error(text) else text

    def understand(self, sources: Sequence[Source]) -> None:
        """Fill in material and pixel size from the layers where the user has not."""
        sizes = {source.pixel_size_nm for source in sources}
        size = sizes.pop() if len(sizes) == 1 else None
        hint = "from the layers" if size is None else f"{size:.5g} from the layers"
        self.form.fields["pixel_size_nm"].set_hint(hint if sources and None not in sizes else "not known")
        guess = guess_material(sources, known_materials()) or AUTO
        shown = self.form.fields["material"].currentText()
        if shown in (AUTO, self._guess) and guess != shown:
            self.set_value(replace(self.form.value(), material=guess))
        self._guess = guess

    def show_outcome(self, outcome: Outcome) -> str:
        """List what was matched; offer to calibrate where that changes something."""
        snapped = outcome.snapped
        if outcome.matches is None or (snapped is not None and not snapped.accepted):
            return ""
        lines, self._corrected = [], []
        for source, matches in outcome.per_source(outcome.matches):
            lines += [f"<b>{source.name}</b>{_frame(source, i)}<br>{match_text(m)}" for i, m in enumerate(matches)]
            size = corrected_size(matches)
            if size is not None and not is_calibrated(source, size):
                self._corrected.append((source, size))
        lines += [*_legends(outcome.matches), *_instrument(outcome)]
        self.show_result("<br>".join(lines))
        self.calibrate.setEnabled(bool(self._corrected))
        good = sum(match.accepted for match in outcome.matches)
        mark = f"{WARNING_SIGN} " if good < len(outcome.matches) else ""
        return f"{mark}{good} of {len(outcome.matches)} matched{', one by hand' if snapped is not None else ''}"

    def _build(self) -> None:
        super()._build()
        self.lattice = LatticeRow()
        self.rows.insertWidget(self.rows.indexOf(self.result), self.lattice)
        tip = "Write the pixel size that the lattice gives into the layers' scale, in nm"
        self.calibrate = self.add_button("Calibrate layers", tip)
        self.calibrate.setEnabled(False)

    def _connect(self) -> None:
        super()._connect()
        self.calibrate.clicked.connect(self._on_calibrate)
        self.form.fields["material"].activated.connect(self._on_material)

    def _on_calibrate(self) -> None:
        corrected, self._corrected = self._corrected, []
        self.calibrate.setEnabled(False)
        self.calibrate_requested.emit(corrected)

    def _on_material(self, index: int) -> None:
        combo = self.form.fields["material"]
        if combo.itemText(index) == FILE:
            combo.setEditText(self._guess)
            combo.setEditText(ask_structure(self) or self._guess)


def known_materials() -> list[str]:
    """Names of the presets."""
    from napari_stem_gan.crystal.materials import MATERIALS

    return list(MATERIALS)


def material_error(material: str) -> str:
    """Why a text names no material, or an empty string."""
    from napari_stem_gan.crystal.materials import MATERIALS, get_material

    if material.strip() in ("", AUTO) or material in MATERIALS:  # making the crystal takes a while the first time
        return ""
    try:
        get_material(material)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def corrected_size(matches: Sequence[Any]) -> float | None:
    """Pixel size in nm that the accepted matches of one layer agree on (their middle one), or None."""
    sizes = sorted(m.pixel_size_A / A_PER_NM for m in matches if m.accepted and m.pixel_size_A)
    return sizes[len(sizes) // 2] if sizes else None


def is_calibrated(source: Source, size_nm: float) -> bool:
    """Whether a layer already has this pixel size, with a unit."""
    known = source.pixel_size_nm
    same = known is not None and abs(size_nm / known - 1) < WORTH_CALIBRATING
    return same and all(is_length(unit) for unit in source.layer.units[-2:])


def _frame(source: Source, index: int) -> str:
    return f" [{index}]" if source.frames > 1 else ""


def _instrument(outcome: Outcome) -> list[str]:
    """What was measured besides the lattice: probe, dose, detector, scan; or why it was not."""
    text = fits_text([fit for fit in outcome.fits or () if fit is not None])
    why = outcome.report.get("not measured", "")
    return [part for part in (text, f"Probe, dose and scan were not measured: {why}" if why else "") if part]


def _legends(matches: Sequence[Any]) -> list[str]:
    """One line per material that was matched: how its sublattices are drawn."""
    from napari_stem_gan.crystal.materials import get_material

    good = [match for match in matches if match.accepted]
    grains = {name: any(m.other_grains for m in good if m.material == name) for name in (m.material for m in good)}
    return [lattice_legend(get_material(name), grains=more) for name, more in grains.items()]
