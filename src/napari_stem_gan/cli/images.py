"""The images that were named on the command line, and their lattices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from napari_stem_gan import workflow
from napari_stem_gan.cli.options import config_from
from napari_stem_gan.cli.progress import Job
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images


def read(paths: Sequence[Path], options: Any, job: Job) -> list[STEMImage]:
    """Read all images, stacks frame by frame, and say on stderr what was understood.

    Files of the same name from different folders are told apart: the second ``a`` becomes ``a_2``.
    """
    images: list[STEMImage] = []
    taken: set[str] = set()
    for path in paths:
        frames = read_images(path, pixel_size_nm=options.pixel_size_nm)
        own = frames[0].name
        name = next(n for n in chain([own], (f"{own}_{k}" for k in count(2))) if n not in taken)
        taken.add(name)
        images += [replace(frame, name=name) for frame in frames]
    job.say(workflow.describe(images))
    return images


def matched(paths: Sequence[Path], options: Any, job: Job) -> tuple[list[STEMImage], list[LatticeMatch]]:
    """Read and match; images without a lattice are named on stderr."""
    images = read(paths, options, job)
    matches = job.finish(workflow.match_images(images, config_from(MatchConfig, options), stop=job.stop))
    for image, found in zip(images, matches, strict=True):
        if not found.accepted:
            job.say(f"{image.name} [{image.frame}]: no lattice accepted: {found.reason}")
    return images, matches
