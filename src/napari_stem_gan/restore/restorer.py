"""Restore whole images of any size and say what the restoration invented or erased."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.image import STEMImage
from napari_stem_gan.models import ModelFile, ModelFileError, load_model
from napari_stem_gan.prepare import prepare
from napari_stem_gan.restore.cgrdn import CGRDN
from napari_stem_gan.restore.config import CGRDNConfig, RestoreConfig
from napari_stem_gan.restore.support import check_columns
from napari_stem_gan.tiles import tile_apply
from napari_stem_gan.training import autocast, best_device, free_memory

MODELS = {"hr-stem": "cgrdn-compact-hr-stem"}
OVERLAP_PX = 64


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A restored image with its own audit.

    Parameters
    ----------
    image
        Restored image, same shape, pixel size and intensity unit as the raw one.
    invented_px
        Columns that the raw counts do not support, ``(N, 2)`` as (y, x) in pixels.
    erased_px
        Columns that the raw counts prove but the restored image lacks, ``(M, 2)``.
    model
        Name of the network.
    model_sha256
        Hash of its file.
    """

    image: STEMImage
    invented_px: NDArray[np.float64]
    erased_px: NDArray[np.float64]
    model: str = ""
    model_sha256: str = ""


class Restorer:
    """A loaded restoration network.

    Parameters
    ----------
    network
        The network, on its device.
    device
        Where it works.
    file
        Where it came from, if from a file.
    """

    def __init__(self, network: CGRDN, device: torch.device | str = "cpu", file: ModelFile | None = None) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.file = file

    @classmethod
    def load(cls, mode: str | Path = "hr-stem", device: str = "auto") -> Restorer:
        """Load the network of a mode, or a model by its name or path.

        Raises
        ------
        ModelFileError
            If there is no such model or its file is damaged.
        """
        state, file = load_model(MODELS.get(str(mode), mode), kind="cgrdn")
        network = CGRDN(network_config(file.card))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            text = f"'{file.path.name}' does not hold the weights its card describes; get the file again"
            raise ModelFileError(text) from error
        return cls(network, best_device(device), file)

    def restore_array(
        self,
        data: NDArray[np.floating],
        config: RestoreConfig | None = None,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.float32]:
        """Restore ``(Y, X)`` pixels; mean and standard deviation of the whole image normalise every tile."""
        config = config or RestoreConfig()
        mean, std = float(data.mean(dtype=np.float64)), float(data.std(dtype=np.float64))
        std = std if std > 0 else 1.0
        standard = ((data - mean) / std).astype(np.float32)

        def run(tiles: Tensor) -> Tensor:
            result = self._forward(tiles)
            if config.average_flips:
                result = (result + self._forward(tiles.flip(-2)).flip(-2)) / 2
            return result

        try:
            result = tile_apply(
                run, standard, tile_px=config.tile_px, overlap_px=min(OVERLAP_PX, config.tile_px // 4), multiple=2,
                out_channels=1, device=self.device, stop=stop, on_tile=on_progress,
            )  # fmt: skip
        finally:
            free_memory(self.device)
        return np.asarray(result[0] * std + mean, np.float32)

    def _forward(self, tiles: Tensor) -> Tensor:
        with autocast(self.device):
            return self.network(tiles.contiguous(memory_format=torch.channels_last)).float()  # type: ignore[no-any-return]

    def restore(
        self,
        image: STEMImage,
        config: RestoreConfig | None = None,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Restored:
        """Restore one image, its bad pixels filled in, and audit the result against the raw counts.

        Parameters
        ----------
        image
            Raw image; it is not changed.
        config
            Tile size and averaging.
        stop
            Set by another thread to end within one tile.
        on_progress
            Called with the fraction done.

        Raises
        ------
        Stopped
            If `stop` was set.
        """
        ready = prepare(image)
        raw = ready.image.data
        data = self.restore_array(raw, config, stop=stop, on_progress=on_progress)
        invented, erased = check_columns(raw, data, pixel_size_A=image.pixel_size_A)
        name, sha256 = (self.file.name, self.file.sha256) if self.file else ("", "")
        metadata = {**image.metadata, "restored_by": name}
        return Restored(
            image=replace(image, data=data * np.float32(ready.unit), metadata=metadata),
            invented_px=invented,
            erased_px=erased,
            model=name,
            model_sha256=sha256,
        )


def network_config(card: Mapping[str, Any]) -> CGRDNConfig:
    """Read the network's size from a model's card."""
    try:
        return CGRDNConfig(**{key: int(value) for key, value in card["network"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError("the model's card does not describe a CGRDN; choose another model") from error
