"""Labelled images like today's, to train and to compare finders on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.simulate.config import SimulateConfig

if TYPE_CHECKING:
    from napari_stem_gan.image import LabelledImage
    from napari_stem_gan.simulate.fit import SessionFit
    from napari_stem_gan.translate.cyclegan import CycleGAN

PLANTED = DefectConfig(adatom=0.002)
SCALES = (0.5, 1.0, 1.5)  # of the fractions of defects
AS_SIMULATED = 1 / 3  # share of pairs that the CycleGAN leaves alone


class SessionPairs:
    """Draws labelled images like today's, translated or not.

    Parameters
    ----------
    matches, fits
        Of today's images.
    cyclegan
        Makes simulations look like today's.
    config
        Probe, instrument and specimen; the rest of it is not looked at.
    size_px
        Side of each image.
    seed
        Of `rng`.
    """

    def __init__(
        self,
        matches: Sequence[LatticeMatch],
        fits: Sequence[SessionFit],
        cyclegan: CycleGAN,
        config: SimulateConfig,
        *,
        size_px: int,
        seed: int,
    ) -> None:
        self.matches, self.fits, self.cyclegan = matches, fits, cyclegan
        self.config = replace(config, size_px=size_px, degrade=True, defects=PLANTED)
        self.rng = np.random.default_rng(seed)

    def simulate(self, rng: np.random.Generator) -> LabelledImage:
        """A simulated image around one of today's matches."""
        from napari_stem_gan.simulate.session import session_image

        which = int(rng.integers(len(self.matches)))
        config = replace(self.config, defect_scale=float(rng.choice(SCALES)))
        return session_image(self.matches[which], self.fits[which], config, rng)

    def draw(self, rng: np.random.Generator) -> LabelledImage:
        """A simulated image that the CycleGAN made look like today's; every third stays as simulated."""
        labelled = self.simulate(rng)
        if rng.random() < AS_SIMULATED:
            return labelled
        return self.cyclegan.translate_labelled(labelled, seed=int(rng.integers(2**31)))
