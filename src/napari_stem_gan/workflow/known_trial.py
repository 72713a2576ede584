"""The known-answer test on a session: on some of its images, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.threshold import threshold_of
from napari_stem_gan.image import STEMImage
from napari_stem_gan.workflow.model import SessionModel, load_finder
from napari_stem_gan.workflow.progress import Progress, Steps, check

if TYPE_CHECKING:
    from napari_stem_gan.detect.finder import Detection

MOST_IMAGES = 4


def known_answer(
    images: Sequence[STEMImage],
    matches: Sequence[LatticeMatch],
    config: DetectConfig,
    *,
    detections: Sequence[Detection] | None = None,
    model: SessionModel | str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    most: int = MOST_IMAGES,
    stop: threading.Event | None = None,
) -> Steps[KnownAnswer]:
    """Plant vacancies into today's images and fill their defects, to measure recall and false points.

    Of large images the middle 1024 × 1024 px is taken, of many images some, evenly spread over the session.

    Parameters
    ----------
    images, matches
        Today's images and their lattices.
    config
        As for `detect`; a balanced threshold is that of the detections.
    detections
        What `detect` found with the same model; None: the images are searched first.
    model, device
        As for `detect`.
    seed
        Seed of what is planted where.
    most
        Images that are tested.
    stop
        Ends within one tile.

    Returns
    -------
    KnownAnswer
        All tested images together; where none could be tested its note says why.

    Raises
    ------
    ModelFileError
        If the model cannot be used.
    """
    from napari_stem_gan.detect.known_trial import known_answer as test

    finder = load_finder(model, device)
    good = [index for index, lattice in enumerate(matches) if lattice.accepted]
    chosen = [good[i] for i in np.unique(np.linspace(0, len(good) - 1, min(most, len(good))).round().astype(int))]
    answers: list[KnownAnswer] = []
    for index in chosen:
        check(stop)
        message = f"planting vacancies into {images[index].name} and filling its defects"
        yield Progress(stage="detect", fraction=len(answers) / len(chosen), message=message)
        points = None if detections is None else detections[index].points
        rng = np.random.default_rng([seed, index])
        answers.append(test(finder, images[index], matches[index], config, rng, points=points, stop=stop))
    whole = KnownAnswer.joined(answers or [KnownAnswer(note="no image has a lattice")])
    threshold = threshold_of(config.threshold, [one.points for one in detections or ()])
    yield Progress(stage="detect", fraction=1.0, message=whole.sentence(threshold))
    return whole
