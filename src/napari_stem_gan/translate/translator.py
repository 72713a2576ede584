"""Translate whole images with a trained generator and today's statistics; what a session keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from napari_stem_gan.image import FloatImage, LabelledImage
from napari_stem_gan.tiles import tile_apply
from napari_stem_gan.training import autocast
from napari_stem_gan.translate.matching import match_image
from napari_stem_gan.translate.patches import CLIP_SIGMA, Normaliser
from napari_stem_gan.translate.statistics import BINS, KNOTS, SessionStatistics, Spectrum, Target

TILE_PX, OVERLAP_PX = 1024, 128
TODAY_KEY = "today"
UNIT_RANGE = Normaliser(mean=0.0, std=1 / CLIP_SIGMA)  # normalised values stay as they are
NO_TARGET = Target(Spectrum(np.zeros(BINS), np.zeros(BINS)), np.zeros(KNOTS))


@dataclass(frozen=True)
class Translator:
    """Simulation to experiment: network (or none), spectrum, tone curve.

    Parameters
    ----------
    network
        Generator ``(image, noise) -> image``; None leaves this step out.
    sim_range, exp_range
        Normalisers of simulations and of today's images.
    statistics
        Today's spectrum and histogram.
    target
        Today's images, measured: each whole image is brought to them at the end; None leaves this out.
    device
        Where the network runs.
    """

    network: nn.Module | None = None
    sim_range: Normaliser = UNIT_RANGE
    exp_range: Normaliser = UNIT_RANGE
    statistics: SessionStatistics = field(default_factory=SessionStatistics.identity)
    target: Target | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def translate(
        self,
        image: FloatImage,
        *,
        seed: int = 0,
        stop: threading.Event | None = None,
        on_tile: Callable[[float], None] | None = None,
    ) -> FloatImage:
        """Return a simulated image as today's microscope would have taken it.

        Parameters
        ----------
        image
            Simulated image ``(Y, X)`` in the simulation's units, any size.
        seed
            Seed of the noise: another seed gives another image of the same specimen.
        stop
            Ends the work within one tile by raising `training.Stopped`.
        on_tile
            Called with the fraction done.

        Returns
        -------
            Image ``(Y, X)`` float32 in the units of today's images.
        """
        x = self.sim_range.apply(np.asarray(image, dtype=np.float32))
        noise = np.random.default_rng(seed).standard_normal((2, *x.shape), dtype=np.float32)
        stack = np.concatenate([x[None], noise])  # (3, Y, X)
        multiple = int(getattr(self.network, "multiple", 1))
        y = tile_apply(
            self._tile,
            stack,
            tile_px=max(TILE_PX, multiple),
            overlap_px=OVERLAP_PX,
            multiple=max(multiple, 8),
            out_channels=1,
            device=self.device,
            stop=stop,
            on_tile=on_tile,
        )[0]
        y = self.statistics.map_tones(y)
        return self.exp_range.undo(y if self.target is None else match_image(y, self.target, stop=stop))

    def network_output(self, image: FloatImage, *, seed: int = 0) -> FloatImage:
        """Return the normalised output of the network alone, before today's statistics."""
        bare = replace(self, statistics=SessionStatistics.identity(), exp_range=UNIT_RANGE, target=None)
        return bare.translate(image, seed=seed)

    def translate_labelled(self, labelled: LabelledImage, *, seed: int = 0) -> LabelledImage:
        """Return the translated image with the same positions, defects and columns."""
        data = self.translate(labelled.image.data, seed=seed)
        image = replace(labelled.image, data=data)
        return replace(labelled, image=image, parameters={**labelled.parameters, "translated": True})

    def _tile(self, stack: Tensor) -> Tensor:
        """Map ``(B, 3, Y, X)`` (image, network noise, white noise) to ``(B, 1, Y, X)``."""
        x, noise, white = stack[:, :1], stack[:, 1:2], stack[:, 2:]
        if self.network is not None:
            with autocast(self.device):
                x = self.network(x.contiguous(memory_format=torch.channels_last), noise)
        return self.statistics.shape_spectrum(x.float(), white)

    def numbers(self) -> dict[str, Tensor]:
        """Return ranges and statistics as one tensor.

        The float64 values are kept as pairs of int32, which a file in half precision cannot round.
        """
        ranges = [self.sim_range.mean, self.sim_range.std, self.exp_range.mean, self.exp_range.std]
        flags = [float(self.network is not None), float(self.target is not None)]
        s, t = self.statistics, self.target or NO_TARGET
        profiles = [s.gain, s.noise, t.spectrum.total, t.spectrum.diffuse, s.tone_in, s.tone_out, t.tones]
        values = np.concatenate([flags, ranges, *profiles]).astype(np.float64)
        return {TODAY_KEY: torch.from_numpy(values).view(torch.int32)}

    def with_numbers(self, state: Mapping[str, Tensor]) -> Translator:
        """Return this translator with the ranges and statistics of `numbers`; unchanged if there are none."""
        if TODAY_KEY not in state:
            return self
        values = state[TODAY_KEY].cpu().contiguous().view(torch.float64).numpy()
        if values.size != 6 + 4 * BINS + 3 * KNOTS:
            raise ValueError("the model's statistics must come from this version; adapt again")
        gain, noise, total, diffuse, tone_in, tone_out, tones = np.split(
            values[6:], np.cumsum([BINS] * 4 + [KNOTS] * 2)
        )
        return replace(
            self,
            network=self.network if values[0] else None,
            sim_range=Normaliser(mean=float(values[2]), std=float(values[3])),
            exp_range=Normaliser(mean=float(values[4]), std=float(values[5])),
            statistics=SessionStatistics(gain, noise, tone_in, tone_out),
            target=Target(Spectrum(total, diffuse), tones) if values[1] else None,
        )
