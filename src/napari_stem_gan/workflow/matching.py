"""Match: the lattice of every image of a session, one placed by hand among them, and the instrument measured on it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch, match, snap
from napari_stem_gan.crystal.materials import find_material
from napari_stem_gan.image import ImageError, STEMImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.workflow.progress import Progress, Steps, check


def match_images(
    images: Sequence[STEMImage], config: MatchConfig, *, stop: threading.Event | None = None
) -> Steps[list[LatticeMatch]]:
    """Match every image; with material ``auto`` the session's images agree on one material.

    Images without a lattice take the session's material too, so that the network knows what to look for on them.

    Raises
    ------
    ImageError
        If there is no image.
    """
    if not images:
        raise ImageError("at least one image must be given; load or name one")
    config = _named(images, config)
    found = []
    for index, image in enumerate(images):
        check(stop)
        yield Progress(stage="match", fraction=index / len(images), message=f"looking for the lattice of {image.name}")
        found.append(match(image, config, stop=stop))
    check(stop)
    votes = Counter(m.material for m in found if m.accepted)
    if config.material == "auto" and len(votes) > 1:
        config = replace(config, material=votes.most_common(1)[0][0])
        found = [match(image, config, stop=stop) for image in images]
    elif config.material == "auto" and votes:
        config = replace(config, material=next(iter(votes)))
        found = [m if m.accepted else match(i, config, stop=stop) for i, m in zip(images, found, strict=True)]
    good = sum(m.accepted for m in found)
    yield Progress(stage="match", fraction=1.0, message=f"{good} of {len(images)} images matched")
    return found


def snap_image(image: STEMImage, config: MatchConfig, start: LatticeMatch) -> LatticeMatch:
    """Refine a lattice that was placed on an image by hand.

    Parameters
    ----------
    image
        The image.
    config
        Pixel size and tolerances.
    start
        Material, lattice vectors and origin as they were placed; the rest of it is not looked at.
    """
    return snap(
        image, config, material=start.material, lattice_vectors_px=start.lattice_vectors_px, origin_px=start.origin_px
    )


def _named(images: Sequence[STEMImage], config: MatchConfig) -> MatchConfig:
    """Take the material from file names or metadata where the user left it open."""
    if config.material.strip().lower() not in ("", "auto"):
        return config
    texts = [t for i in images for t in (i.name, i.source, *(str(v) for v in i.metadata.values())) if len(t) < 2000]
    material = find_material(texts)
    return replace(config, material="auto" if material is None else material.key)


def fit(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    optics: OpticsConfig | None = None,
    *,
    most: int | None = None,
    stop: threading.Event | None = None,
) -> Steps[list[dict[str, Any] | None]]:
    """Measure probe, dose, detector, contamination and jitter on every matched image, or on the first `most` of them.

    Returns
    -------
    list
        `SessionFit.to_dict` of each image, with standard errors under ``errors``; None where it was not measured.
    """
    from napari_stem_gan.simulate.fit import fit_session

    fits: list[dict[str, Any] | None] = []
    for index, (image, lattice) in enumerate(zip(images, matches, strict=True)):
        check(stop)
        wanted = lattice.accepted and (most is None or sum(f is not None for f in fits) < most)
        if wanted:
            message = f"measuring the instrument on {image.name}"
            yield Progress(stage="match", fraction=index / len(images), message=message)
        fits.append(fit_session(image, lattice, optics).to_dict() if wanted else None)
    return fits
