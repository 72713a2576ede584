"""What the steps of a session share: which images were matched, and the simulation fitted to them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.image import STEMImage
from napari_stem_gan.workflow.progress import Progress, Steps, check

if TYPE_CHECKING:
    from napari_stem_gan.simulate.config import SimulateConfig
    from napari_stem_gan.simulate.fit import SessionFit

MOST_FITS = 6
Matched = Sequence[tuple[STEMImage, LatticeMatch]]


def accepted(images: Sequence[STEMImage], matches: Sequence[LatticeMatch]) -> list[tuple[STEMImage, LatticeMatch]]:
    """Images with an accepted match.

    Raises
    ------
    ValueError
        If there is none.
    """
    good = [(i, m) for i, m in zip(images, matches, strict=True) if m.accepted]
    if not good:
        reason = matches[0].reason if matches else "there is no image"
        raise ValueError(f"no image could be matched: {reason}; check the material and the pixel size")
    return good


def fit_images(
    good: Matched, stage: str, stop: threading.Event | None, config: SimulateConfig | None = None
) -> Steps[list[SessionFit]]:
    """Fit the simulation to the first few matched images, with the beam, detector and known aberrations of `config`."""
    from napari_stem_gan.simulate.fit import fit_session

    probe, known = (None, ()) if config is None else (config.probe, config.known_aberrations)
    fits = []
    for image, lattice in good[:MOST_FITS]:
        check(stop)
        yield Progress(stage=stage, fraction=0.0, message=f"fitting optics, dose and contamination to {image.name}")
        fits.append(fit_session(image, lattice, probe, known))
    return fits
