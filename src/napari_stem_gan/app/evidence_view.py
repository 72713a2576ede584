"""Fills the evidence card from what the viewer and the session hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_stem_gan.app.curated import Curated
from napari_stem_gan.app.evidence_card import EvidenceCard, words
from napari_stem_gan.app.points import nm_per_pixel
from napari_stem_gan.app.session import Session

SNAP = 0.4  # of the neighbour distance: a point drawn this near to a site of its sublattice lies on it


class EvidenceView:
    """Finds image, lattice and restored image of a point, and shows what they say.

    Parameters
    ----------
    session
        Matches and layers of the viewer.
    card
        Where it is shown.
    """

    def __init__(self, session: Session, card: EvidenceCard) -> None:
        self._session, self._card = session, card
        self._sites: dict[int, tuple[Any, Any]] = {}  # by match, which is kept so that its id stays its own

    def show(self, one: Curated | None, row: int | None) -> None:
        """Show the evidence for a row of the candidates, or nothing."""
        if one is None or row is None:
            self._card.clear()
            return
        from napari_stem_gan.detect.evidence import point_evidence

        cells = {name: column[row] for name, column in one.points.columns.items()}
        position, frame = (float(cells["y_px"]), float(cells["x_px"])), int(cells["frame"])
        match, data = self.match_of(one.source, frame), _frame_of(one.pixels, frame)
        width = {} if match is None else {"fwhm_px": match.fwhm_A / match.pixel_size_A}
        restored = self._session.results.find(one.source, "restored")
        clean = None if restored is None else _frame_of(restored.data, frame)
        found = point_evidence(data, position, sites=self._sites_of(match, data.shape), restored=clean, **width)
        size_nm = nm_per_pixel(one.source)[1]
        text = words(cells, found.z_score, found.like_places)
        self._card.show_evidence(found, position, str(cells["defect"]), size_nm if np.isfinite(size_nm) else None, text)

    def match_of(self, source: Layer, frame: int = 0) -> Any | None:
        """The accepted match of a frame, or None."""
        matches = next((found for one, found in self._session.matched() if one.layer is source), [])
        return matches[frame] if frame < len(matches) and matches[frame].accepted else None

    def snapped(self, one: Curated, place: NDArray[np.float64], sublattice: str) -> NDArray[np.float64]:
        """The site of a sublattice that a drawn point ([frame,] y, x) means; the place itself where none is near."""
        frame = int(round(place[0])) if len(place) > 2 else 0
        match = self.match_of(one.source, frame)
        sites = self._sites_of(match, one.pixels.shape[-2:])
        if sites is None or not sublattice:
            return place
        names = np.array([column.sublattice for column in sites.material.columns])[sites.column]
        own = sites.positions_px[names == sublattice]
        distance = np.linalg.norm(own - place[-2:], axis=1)
        reach = SNAP * sites.material.neighbour_distance_A / match.pixel_size_A
        near = len(own) and distance.min() <= reach
        return np.array([*place[:-2], *own[distance.argmin()]]) if near else place

    def _sites_of(self, match: Any, shape: tuple[int, int]) -> Any | None:
        if match is None:
            return None
        if id(match) not in self._sites:
            self._sites[id(match)] = (match, match.sites(shape))
        return self._sites[id(match)][1]


def defect_names(found: Iterable[Any], match: Any) -> list[str]:
    """Names to offer for added points: those that were found, the commonest first, then the crystal's vacancies."""
    from napari_stem_gan.crystal.materials import get_material

    names = [str(name) for name, _ in Counter(str(one) for one in found).most_common()]
    for column in [] if match is None else get_material(match.material).columns:
        names.append(f"V_{column.sublattice}")
        names += [f"V_2{column.sublattice}"] if len(column.atoms) == 2 and column.role == "anion" else []
    return [name for name in dict.fromkeys(names) if name]


def site_of(defect: str) -> str:
    """Element whose site a defect is on, e.g. Se of ``V_2Se`` and W of ``Mo_W``; '' for adatoms."""
    kind, _, site = defect.partition("_")
    return "" if kind == "ad" else site.lstrip("0123456789")


def _frame_of(data: Any, frame: int) -> NDArray[np.float32]:
    return np.asarray(data[frame] if len(data.shape) > 2 else data, dtype=np.float32)
