"""One search for all crystals whose lattices have one shape, as those of all 2H dichalcogenides and graphene have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.search import LatticeFit, among, search
from napari_stem_gan.crystal.spectrum import Spectrum

REFINED, REFINED_MORE, MOST_REFINED = 24, 8, 48


@dataclass(frozen=True)
class Wanted:
    """A crystal to look for.

    Parameters
    ----------
    material
        The crystal.
    pixel_sizes_A
        Smallest and largest pixel size that may be.
    """

    material: Material
    pixel_sizes_A: tuple[float, float]

    @property
    def shape(self) -> bytes:
        """The same for crystals whose lattices differ in size only."""
        return bytes((self.material.cell / self.material.constant_A).round(3).astype(np.float32) + 0.0)

    @property
    def constants_per_px(self) -> tuple[float, float]:
        """The range of pixel sizes over the lattice constant."""
        low, high = self.pixel_sizes_A
        return low / self.material.constant_A, high / self.material.constant_A


def search_all(found: Spectrum, wanted: Sequence[Wanted]) -> list[list[LatticeFit]]:
    """Find reciprocal lattices of several crystals.

    Parameters
    ----------
    found
        The image's spectrum.
    wanted
        The crystals.

    Returns
    -------
    list of list of LatticeFit
        For each crystal as `search` gives them, most surprising first.
    """
    fits: list[list[LatticeFit]] = [[] for _ in wanted]
    for shape in dict.fromkeys(w.shape for w in wanted):
        members = [i for i, w in enumerate(wanted) if w.shape == shape]
        for index, own in zip(members, _shared(found, [wanted[i] for i in members]), strict=True):
            fits[index] = own
    return fits


def _shared(found: Spectrum, members: list[Wanted]) -> list[list[LatticeFit]]:
    """Search the union of the members' sizes, then give each those of its own."""
    first = members[0]
    if len(members) == 1:
        return [search(found, first.material, first.pixel_sizes_A)]
    low, high = np.array([w.constants_per_px for w in members]).T * first.material.constant_A
    count = min(REFINED + REFINED_MORE * (len(members) - 1), MOST_REFINED)
    fits = search(found, first.material, (low.min(), high.max()), candidates=count, refined=count)
    return [among(found, w.material, w.pixel_sizes_A, fits) for w in members]
