"""What a user decided on real images, as examples for the finder: candidates to calibrate on and patches to train on.

Accepted and added points are defects, rejected ones are hard negatives. Nothing is known of the other places of a real
image, so they are no candidates to calibrate on, and in training patches the finder's own maps stand for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.detect.calibrate import SETTINGS, SiteData
from napari_stem_gan.detect.candidates import NEAR, Candidates
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.frame import make_frame, paint
from napari_stem_gan.detect.fusion import CLASSES, FEATURES
from napari_stem_gan.detect.labels import kind_of
from napari_stem_gan.detect.patches import PatchPool, cut_patch
from napari_stem_gan.detect.table import KEPT, REJECTED, PointTable
from napari_stem_gan.image import STEMImage
from napari_stem_gan.prepare import prepare

NONE = "none"
WEIGHT = 20  # simulated sites that one decision on a real image counts as
PARTS = 3  # as adaptation holds out every third image, each third of the decisions is like one image
PATCHES_PER_BATCH = 2
ERASED_PX = 4.0  # sigma, in the network's frame


@dataclass(frozen=True)
class DecidedImage:
    """Points of one image that a user decided on.

    Parameters
    ----------
    image, match
        The image and its lattice.
    positions_px
        Shape ``(N, 2)`` as (y, x).
    kinds
        Class of the finder that each point was taken for, shape ``(N,)``.
    kept
        Whether it is a defect, shape ``(N,)``; the others are none.
    """

    image: STEMImage
    match: LatticeMatch
    positions_px: NDArray[np.float64]
    kinds: NDArray[np.str_]
    kept: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.kinds)


def decided_images(
    images: Sequence[STEMImage], matches: Sequence[LatticeMatch], table: PointTable
) -> list[DecidedImage]:
    """The decided points of each image that has some, found by its name and frame.

    Parameters
    ----------
    images, matches
        Images and their lattices; without a lattice there is nothing to learn.
    table
        Points with a column ``decision``; rows without one are left out.
    """
    if not len(table) or "decision" not in table.columns:
        return []
    kinds = np.array([kind_of(str(d), str(s)) for d, s in zip(table["defect"], table["sublattice"], strict=True)])
    said = np.isin(table["decision"], (*KEPT, REJECTED)) & np.isin(kinds, FINDER_CLASSES)
    found = []
    for image, match in zip(images, matches, strict=True):
        own = said & (table["image"] == image.name) & (table["frame"] == image.frame)
        if match.accepted and own.any() and get_material(match.material).family == "tmd":
            kept = np.isin(table["decision"][own], KEPT)
            found.append(DecidedImage(image, match, table.positions_px[own], kinds[own], kept))
    return found


def decided_candidates(finder: Finder, decided: Sequence[DecidedImage]) -> list[SiteData]:
    """Features and classes of the decided candidates, in `PARTS` parts to fit on or to hold out; [] without any."""
    if not decided:
        return []
    every = [_sites_of(finder.candidates(one.image, one.match, SETTINGS), one) for one in decided]
    roles, targets, features = (np.concatenate([part[i] for part in every]) for i in range(3))
    return [_part(roles[k::PARTS], targets[k::PARTS], features[k::PARTS]) for k in range(PARTS)]


def _sites_of(
    candidates: Candidates, one: DecidedImage
) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.float64]]:
    """Role, true class and features of the candidate that each decided point means; points without one are left out."""
    material = get_material(one.match.material)
    reach = NEAR * material.neighbour_distance_A / (one.match.pixel_size_A or one.image.pixel_size_A or 1.0)
    rows = np.full(len(one), -1)
    for kind in np.unique(one.kinds):
        able = np.flatnonzero([kind in CLASSES[str(role)] for role in candidates.roles])
        own = np.flatnonzero(one.kinds == kind)
        if len(able):
            distance, nearest = cKDTree(candidates.positions_px[able]).query(one.positions_px[own])
            rows[own] = np.where(distance <= reach, able[nearest], -1)
    there = rows >= 0
    targets = np.where(one.kept, one.kinds, NONE)[there]
    return candidates.roles[rows[there]], targets, candidates.features[rows[there]]


def _part(roles: NDArray[np.str_], targets: NDArray[np.str_], features: NDArray[np.float64]) -> SiteData:
    """Decided candidates as those of a labelled image, each counted `WEIGHT` times."""
    own = {role: np.repeat(np.flatnonzero(roles == role), WEIGHT) for role in CLASSES}
    classes = {role: np.array([CLASSES[role].index(str(t)) for t in targets[rows]], int) for role, rows in own.items()}
    return SiteData({role: features[rows].reshape(-1, FEATURES) for role, rows in own.items()}, classes, 0)


@dataclass(frozen=True)
class DecidedExample:
    """A real image for training.

    Parameters
    ----------
    inputs, targets
        Network input ``(4, y, x)`` and target ``(classes, y, x)``: the finder's own maps, corrected by the user.
    places
        Decided points in the network's frame, shape ``(N, 2)``.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    places: NDArray[np.float64]


def decided_example(finder: Finder, one: DecidedImage) -> DecidedExample:
    """Network input and corrected target of an image with decisions."""
    material, sites = get_material(one.match.material), one.match.sites(one.image.shape)
    cells = np.linalg.det(one.match.lattice_vectors_px) / np.linalg.det(material.cell)
    frame = make_frame(one.image.shape, material.constant_A * float(np.sqrt(abs(cells))))
    heat = finder.heat(prepare(one.image).image.data, frame, sites, SETTINGS)
    places = frame.to_network(one.positions_px)
    targets = heat.maps * (1 - paint(frame.network_shape, places, ERASED_PX))
    for index, name in enumerate(FINDER_CLASSES):
        true = places[one.kept & (one.kinds == name)]
        targets[index] = np.maximum(targets[index], paint(frame.network_shape, true))
    return DecidedExample(heat.planes, targets.astype(np.float32), places)


class WithDecisions:
    """A pool whose batches hold some patches around decided points of real images.

    Parameters
    ----------
    pool
        Draws the simulated patches.
    examples
        At least one real image with decisions.
    seed
        Seed of the draws.
    """

    def __init__(self, pool: PatchPool, examples: Sequence[DecidedExample], *, seed: int = 0) -> None:
        self.pool, self.examples = pool, examples
        self.rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        """A batch of the pool, its first patches replaced."""
        inputs, targets = next(self.pool)
        for index in range(min(PATCHES_PER_BATCH, len(inputs))):
            real, wanted = self._patch()
            inputs[index], targets[index] = torch.from_numpy(real), torch.from_numpy(wanted)
        return inputs, targets

    def _patch(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A patch somewhere around a random decision."""
        counts = np.array([len(one.places) for one in self.examples], float)
        one = self.examples[self.rng.choice(len(self.examples), p=counts / counts.sum())]
        place = one.places[self.rng.integers(len(one.places))]
        side = self.pool.patch_px
        first = np.rint(place).astype(int) - self.rng.integers(side // 8, side - side // 8, 2)
        y, x = np.clip(first, 0, np.maximum(np.array(one.inputs.shape[1:]) - side, 0))
        return cut_patch(one.inputs, one.targets, (int(y), int(x)), side, self.rng)


def sentence(decided: Sequence[DecidedImage]) -> str:
    """What was learnt from, in words."""
    kept, every = sum(int(one.kept.sum()) for one in decided), sum(len(one) for one in decided)
    where = f"{len(decided)} image{'s' if len(decided) != 1 else ''}"
    return f"learnt from {kept} accepted or added and {every - kept} rejected points of {where}"
