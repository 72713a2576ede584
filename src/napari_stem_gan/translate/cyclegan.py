"""The CycleGAN: train it on a session, translate with it, save it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_stem_gan.image import FloatImage, LabelledImage
from napari_stem_gan.models import ModelFile, ModelFileError, load_model, save_model
from napari_stem_gan.translate.config import CycleGANConfig
from napari_stem_gan.translate.trainer import DISCRIMINATORS, GENERATORS, CycleGANTrainer
from napari_stem_gan.translate.translator import Translator


class CycleGAN:
    """A CycleGAN with today's ranges and statistics.

    Parameters
    ----------
    config
        Networks, loss weights and optimiser.
    device
        Where it runs; "auto" takes the best device.

    Attributes
    ----------
    today
        Ranges of both domains and today's statistics.
    use_network
        Whether `translate` uses the generator at all; `fine_tune` decides.
    nets, ema
        All networks, and the averaged generators that are used and saved.
    report
        What the last `fine_tune` found.
    """

    def __init__(self, config: CycleGANConfig | None = None, device: str | torch.device = "auto") -> None:
        self.trainer = CycleGANTrainer(config or CycleGANConfig(), device)
        self.config, self.device = self.trainer.config, self.trainer.device
        self.nets, self.ema = self.trainer.nets, self.trainer.ema
        self.today = Translator(device=self.device)
        self.use_network = True
        self.report: dict[str, Any] = {}

    # a `Trainable`

    def train_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Update all networks with one batch (see `CycleGANTrainer`)."""
        return self.trainer.train_step(batch)

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Return the accuracies of the discriminators."""
        return {f"accuracy_{name}": watch.mean for name, watch in self.trainer.watches.items()}

    def preview(self) -> FloatImage | None:
        """Return None: whoever trains knows which image to show (see `finetune`)."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is needed to go on exactly."""
        return self.trainer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the result of `state_dict`."""
        self.trainer.load_state_dict(state)

    # translation

    @property
    def translator(self) -> Translator:
        """Simulation to experiment with the averaged generator, as `fine_tune` left it."""
        return replace(self.today, network=self.ema["sim_to_exp"] if self.use_network else None)

    def translate(self, image: FloatImage, *, seed: int = 0, stop: threading.Event | None = None) -> FloatImage:
        """Return a simulated image ``(Y, X)`` as today's microscope would have taken it (see `Translator`)."""
        return self.translator.translate(image, seed=seed, stop=stop)

    def translate_labelled(self, labelled: LabelledImage, *, seed: int = 0) -> LabelledImage:
        """Return the translated image with the same positions, defects and columns."""
        return self.translator.translate_labelled(labelled, seed=seed)

    # files

    def export_state(self, *, discriminators: bool = True) -> dict[str, Tensor]:
        """Return the tensors of a model file: averaged generators, discriminators, today's numbers.

        Parameters
        ----------
        discriminators
            Keep the four discriminators, so that fine-tuning starts warm.
        """
        modules: dict[str, nn.Module] = {name: self.ema[name] for name in GENERATORS}
        if discriminators:
            modules |= {name: self.nets[name] for name in DISCRIMINATORS}
        state = {f"{name}.{key}": value for name, net in modules.items() for key, value in net.state_dict().items()}
        return state | self.translator.numbers()

    def import_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over the tensors of `export_state`; missing discriminators stay as they are.

        Raises
        ------
        ModelFileError
            If the tensors do not fit this preset.
        """
        try:
            for name in (*GENERATORS, *DISCRIMINATORS):
                part = {key.removeprefix(f"{name}."): v for key, v in state.items() if key.startswith(f"{name}.")}
                if part or name in GENERATORS:
                    self.nets[name].load_state_dict(part)
            self.today = replace(self.today, network=self.ema["sim_to_exp"]).with_numbers(state)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelFileError("the file's CycleGAN does not fit this version; choose another model") from error
        for name in GENERATORS:
            self.ema[name].load_state_dict(self.nets[name].state_dict())
        self.use_network = self.today.network is not None

    def save(self, path: str | Path, *, card: Mapping[str, Any] | None = None) -> ModelFile:
        """Write the model file (fp16 safetensors with its JSON card)."""
        full = {**(card or {}), "config": asdict(self.config), "report": self.report}
        return save_model(Path(path), self.export_state(), kind="cyclegan", card=full)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], *, config: Mapping[str, Any] | None = None, device: str = "auto"
    ) -> CycleGAN:
        """Return a CycleGAN with the tensors of `export_state` and the settings of its card."""
        known = {item.name for item in fields(CycleGANConfig)}
        model = cls(CycleGANConfig(**{k: v for k, v in (config or {}).items() if k in known}), device)
        model.import_state(state)
        return model

    @classmethod
    def from_file(cls, name_or_path: str | Path = "cyclegan-compact", device: str = "auto") -> CycleGAN:
        """Return the CycleGAN of a shipped name, a name in the user's folder, or a path."""
        state, file = load_model(name_or_path, kind="cyclegan")
        return cls.from_state(state, config=file.card.get("config"), device=device)
