"""Match: which crystal, which lattice, which pixel size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_stem_gan.app.jobs import Outcome
from napari_stem_gan.app.layers import Source, guess_material
from napari_stem_gan.app.panel import StepPanel
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.image import A_PER_NM

AUTO = "auto"
WORTH_CALIBRATING = 5e-4


class MatchPanel(StepPanel):
    """Form of `MatchConfig`, what was matched, and one click that corrects the layers' scale.

    `calibrate_requested` carries a list of (source, corrected pixel size in nm).
    """

    step = "match"
    sentence = "Finds the crystal lattice in each image and checks the pixel size against it."
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
        """Offer the presets."""
        return {"material": [AUTO, *known_materials()]}

    def error(self) -> str:
        """Also block on a material that has no preset."""
        reason = super().error()
        material = self.form.fields["material"].currentText()
        if reason or material == AUTO:
            return reason
        from napari_stem_gan.crystal.materials import get_material

        try:
            get_material(material)
        except ValueError as error:
            return str(error)
        return ""

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
        if outcome.matches is None:
            return ""
        lines, self._corrected = [], []
        for source, matches in outcome.per_source(outcome.matches):
            lines += [f"<b>{source.name}</b>{_frame(source, i)}: {match_text(m)}" for i, m in enumerate(matches)]
            size = corrected_size(matches)
            if size is not None and not _same(size, source.pixel_size_nm):
                self._corrected.append((source, size))
        self.show_result("<br>".join(lines))
        self.calibrate.setEnabled(bool(self._corrected))
        good = sum(match.accepted for match in outcome.matches)
        return f"{good} of {len(outcome.matches)} matched"

    def _build(self) -> None:
        super()._build()
        tip = "Write the pixel size that the lattice gives into the layers' scale, in nm"
        self.calibrate = self.add_button("Calibrate layers", tip)
        self.calibrate.setEnabled(False)

    def _connect(self) -> None:
        super()._connect()
        self.calibrate.clicked.connect(self._on_calibrate)

    def _on_calibrate(self) -> None:
        corrected, self._corrected = self._corrected, []
        self.calibrate.setEnabled(False)
        self.calibrate_requested.emit(corrected)


def known_materials() -> list[str]:
    """Names of the presets."""
    from napari_stem_gan.crystal.materials import MATERIALS

    return list(MATERIALS)


def corrected_size(matches: Sequence[Any]) -> float | None:
    """Pixel size in nm that the accepted matches of one layer agree on (their middle one), or None."""
    sizes = sorted(m.pixel_size_A / A_PER_NM for m in matches if m.accepted and m.pixel_size_A)
    return sizes[len(sizes) // 2] if sizes else None


def match_text(match: Any) -> str:
    """One line about a match."""
    if not match.accepted:
        return f"not matched: {match.reason}"
    size = match.pixel_size_A / A_PER_NM
    nominal = match.nominal_pixel_size_A
    change = f" ({100 * (10 * size / nominal - 1):+.1f} % against the file)" if nominal else " (from the lattice)"
    return (
        f"{match.material}, {size:.4f} nm/px{change}, rotated {match.rotation_deg:.1f}°, goodness {match.goodness:.2f}"
    )


def _frame(source: Source, index: int) -> str:
    return f" [{index}]" if source.frames > 1 else ""


def _same(size: float, known: float | None) -> bool:
    return known is not None and abs(size / known - 1) < WORTH_CALIBRATING
