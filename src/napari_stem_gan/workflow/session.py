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
MOST_FRAMES_NAMED = 5
CHOOSE = "choose the material"
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


def without_lattice(names: Sequence[str], matches: Sequence[LatticeMatch]) -> list[str]:
    """Where the network works alone: a sentence for each image or stack that Match refused, with its reason.

    Parameters
    ----------
    names
        Name of each image; the frames of a stack share one, in their order.
    matches
        Their lattices.
    """
    told = []
    for name in dict.fromkeys(names):
        frames = [match for own, match in zip(names, matches, strict=True) if own == name]
        lost = [index for index, match in enumerate(frames) if not match.accepted]
        if lost:
            reason = frames[lost[0]].reason
            where = _frames_text(lost, len(frames))
            told.append(f"'{name}'{where} has no lattice, so the network worked alone there, unchecked: {reason}")
    return told


def _frames_text(lost: Sequence[int], count: int) -> str:
    """E.g. `` (frames 0, 3 of 12)``; nothing for a single image."""
    if count == 1:
        return ""
    named = ", ".join(map(str, lost[:MOST_FRAMES_NAMED])) + (" …" if len(lost) > MOST_FRAMES_NAMED else "")
    return f" (frame{'s' if len(lost) > 1 else ''} {named} of {count})"


def refuse_nothing(matches: Sequence[LatticeMatch], candidates: int) -> None:
    """Raise ValueError where neither Match nor the network alone found anything that could be trusted."""
    if matches and not candidates and not any(match.accepted for match in matches):
        why = f"{matches[0].reason}; check the material and the pixel size"
        raise ValueError(f"no image could be matched, and the network alone found no defect: {why}")


def other_material(name: str, lattice: LatticeMatch) -> str:
    """Why an image is not searched that other crystals fit, in a sentence that says what to do once."""
    if CHOOSE in lattice.reason:  # nobody named a material, and the reason lists those that fit
        return f"'{name}' was not matched: {lattice.reason}"
    return f"'{name}' must show {lattice.material}: {lattice.reason}; {CHOOSE}"


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
