"""The session's model: a finder and a CycleGAN tuned to today's images, in one file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stem_gan.image import LabelledImage

if TYPE_CHECKING:
    from napari_stem_gan.detect.finder import Finder
    from napari_stem_gan.models import ModelFile
    from napari_stem_gan.translate.cyclegan import CycleGAN


@dataclass(frozen=True)
class SessionModel:
    """Networks tuned to one session.

    Parameters
    ----------
    finder
        The finder that was kept.
    cyclegan
        The CycleGAN with today's statistics.
    report
        Which finder was kept and why, similarity before and after, the label audit, times.
    """

    finder: Finder
    cyclegan: CycleGAN
    report: dict[str, Any] = field(default_factory=dict)

    def translate(self, labelled: LabelledImage, *, seed: int = 0) -> LabelledImage:
        """Make a simulated image look like today's; labels stay."""
        return self.cyclegan.translate_labelled(labelled, seed=seed)

    def save(self, path: str | Path) -> ModelFile:
        """Write the model file (fp16 safetensors with its JSON card)."""
        from napari_stem_gan.models import save_model

        translate = self.cyclegan.export_state(discriminators=False)
        state = {f"finder.{k}": v for k, v in self.finder.state().items()}
        state |= {f"translate.{k}": v for k, v in translate.items()}
        card = {"cyclegan_config": asdict(self.cyclegan.config), "report": self.report}
        return save_model(Path(path), state, kind="session", card=card)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> SessionModel:
        """Read a file written by `save`.

        Raises
        ------
        ModelFileError
            If it is missing, damaged or another kind of model.
        """
        from napari_stem_gan.detect.finder import Finder
        from napari_stem_gan.models import ModelFileError, load_model
        from napari_stem_gan.translate.cyclegan import CycleGAN

        state, file = load_model(path, kind="session")
        finder = {k.removeprefix("finder."): v for k, v in state.items() if k.startswith("finder.")}
        translate = {k.removeprefix("translate."): v for k, v in state.items() if k.startswith("translate.")}
        cyclegan = CycleGAN.from_state(translate, config=file.card.get("cyclegan_config"), device=device)
        try:
            return cls(Finder.from_state(finder, device), cyclegan, dict(file.card.get("report", {})))
        except (RuntimeError, KeyError) as error:
            sentence = f"the finder in '{file.path.name}' is of another version; run Adapt again"
            raise ModelFileError(sentence) from error


def load_finder(model: SessionModel | str | Path | None, device: str) -> Finder:
    """Finder of a session model, of a session or finder file, or the shipped one."""
    from napari_stem_gan.detect.finder import SHIPPED, Finder
    from napari_stem_gan.models import model_kind

    if isinstance(model, SessionModel):
        return model.finder
    if model is None:
        return Finder.load(SHIPPED, device)
    return SessionModel.load(model, device).finder if model_kind(model) == "session" else Finder.load(model, device)
