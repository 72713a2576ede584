"""The finder: image and lattice in, points and probability maps out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.structure import Sites
from napari_stem_gan.detect import points as points_room
from napari_stem_gan.detect.candidates import Candidates, Heat, alone, at_sites, between_sites
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.fcn import make_network
from napari_stem_gan.detect.frame import Frame, make_frame, network_input, resample
from napari_stem_gan.detect.fusion import Fusion
from napari_stem_gan.detect.lattice_evidence import SiteEvidence, site_evidence
from napari_stem_gan.detect.placing import PlacedPoints, place_points, unplaced
from napari_stem_gan.detect.positions import ColumnFit, fit_columns
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import A_PER_NM, STEMImage
from napari_stem_gan.models import ModelFileError, load_model
from napari_stem_gan.prepare import prepare
from napari_stem_gan.tiles import tile_apply
from napari_stem_gan.training import autocast, best_device

SHIPPED = "finder-tmd"
OVERLAP_PX = 48
MARGIN_WIDTHS = 2.0  # of a column: how far around the image sites lend their tails
TURNS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Detection:
    """What was found on one image.

    Parameters
    ----------
    points
        All candidates (confidence ≥ 0.05); filter with ``points.filter(threshold)``.
    probability
        Network's heat maps ``(classes, Y, X)``, float16, in the image's pixels.
    classes
        Names of the maps.
    note
        How it was found, in one sentence.
    """

    points: PointTable
    probability: NDArray[np.float16]
    classes: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Columns:
    """Fitted columns of an image.

    Parameters
    ----------
    sites
        Lattice sites of the image and of a margin around it.
    fit
        Their columns.
    inside
        Which of them are on the image.
    """

    sites: Sites
    fit: ColumnFit
    inside: NDArray[np.bool_]

    @property
    def inner(self) -> Sites:
        """Sites on the image."""
        return self.sites.where(self.inside)

    @property
    def evidence(self) -> SiteEvidence:
        """Evidence of the sites on the image."""
        return site_evidence(self.fit, self.sites).where(self.inside)


class Finder:
    """A finder network with its fusion, ready to use.

    Parameters
    ----------
    network_state
        Weights of `detect.fcn.make_network`.
    fusion
        Fusion of network and lattice evidence.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(
        self, network_state: Mapping[str, Tensor], fusion: Fusion, device: str | torch.device = "auto"
    ) -> None:
        self.device = best_device(str(device))
        self.network_state = dict(network_state)
        self.network = make_network().to(self.device).eval()
        self.network.load_state_dict(self.network_state)
        self.fusion = fusion

    @classmethod
    def load(cls, name_or_path: str | Path = SHIPPED, device: str | torch.device = "auto") -> Finder:
        """Load a shipped, user's or session model.

        Raises
        ------
        ModelFileError
            If it does not exist, is damaged or is no finder.
        """
        state, file = load_model(name_or_path, kind="finder")
        try:
            return cls.from_state(state, device)
        except (RuntimeError, KeyError) as error:
            sentence = (
                f"'{file.path.name}' does not fit this version's finder; adapt again, or take the finder as shipped"
            )
            raise ModelFileError(sentence) from error

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: str | torch.device = "auto") -> Finder:
        """Build from tensors named ``network.…`` and ``fusion.…``."""
        network = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
        fusion = {k.removeprefix("fusion."): v for k, v in state.items() if k.startswith("fusion.")}
        return cls(network, Fusion.from_state(fusion), device)

    def with_fusion(self, fusion: Fusion) -> Finder:
        """The same network with another fusion."""
        return Finder(self.network_state, fusion, self.device)

    def state(self) -> dict[str, Tensor]:
        """Tensors for a model file."""
        network = {f"network.{k}": v for k, v in self.network_state.items()}
        return {**network, **{f"fusion.{k}": v for k, v in self.fusion.weights.items()}}

    def heat(
        self,
        data: NDArray[np.float32],
        frame: Frame,
        sites: Sites | None,
        config: DetectConfig,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Heat:
        """What the network says in its own frame; `sites` None: without a lattice."""
        planes = network_input(data, frame, sites)
        both = tile_apply(
            lambda batch: self._average(batch, config.average_flips),
            planes,
            tile_px=config.tile_px,
            overlap_px=OVERLAP_PX,
            multiple=8,
            out_channels=len(FINDER_CLASSES) + 1,
            device=self.device,
            stop=stop,
            on_tile=on_progress,
        )
        return Heat(both[:-1], both[-1], planes)

    def _average(self, batch: Tensor, turns: bool) -> Tensor:
        """Mean over quarter turns with a mirror each second, and the standard deviation of its largest class."""
        every = torch.stack([self._view(batch, turn) for turn in (TURNS if turns else TURNS[:1])])  # (views, B, …)
        mean = every.mean(0)
        top, largest = mean.max(1, keepdim=True)
        views = every.gather(2, largest.expand(len(every), *largest.shape))  # Tensor.std takes ten times as long
        return torch.cat([mean, (views - top).square().mean(0).sqrt()], 1)

    def _view(self, batch: Tensor, turn: int) -> Tensor:
        """Probability of each class, seen after `turn` quarter turns."""
        view = torch.rot90(batch, turn, (2, 3))
        view = view.flip(3) if turn % 2 else view
        with autocast(self.device):
            logits = self.network(view.contiguous(memory_format=torch.channels_last))
        back = logits.float().flip(3) if turn % 2 else logits.float()
        return torch.sigmoid(torch.rot90(back, -turn, (2, 3)))

    def candidates(self, image: STEMImage, match: LatticeMatch, config: DetectConfig) -> Candidates:
        """Places that may be defects and their features, for fitting a fusion; peaks where nothing was matched."""
        image = prepare(image).image
        frame, columns = _frame(image, match), self._columns(image, match)
        sites = None if columns is None else columns.inner
        return _candidates(self.heat(image.data, frame, sites, config), match, frame, columns)

    def find(
        self,
        image: STEMImage,
        match: LatticeMatch,
        config: DetectConfig,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Detection:
        """Find the defects of one image.

        Parameters
        ----------
        image
            The raw image.
        match
            Its lattice; where none was accepted the network works alone, at the known pixel size.
        config
            Tiles and averaging.
        stop
            Ends within one tile.
        on_progress
            Called with the fraction done.

        Raises
        ------
        Stopped
            If `stop` was set.
        ValueError
            If there is neither a lattice nor a pixel size and a material.
        """
        material, image = get_material(match.material), prepare(image).image
        frame = _frame(image, match)
        columns = self._columns(image, match)
        if material.family != "tmd":
            return self._by_evidence(image, match, columns)
        sites = None if columns is None else columns.inner
        heat = self.heat(image.data, frame, sites, config, stop=stop, on_progress=on_progress)
        found = points_room.points_of(_candidates(heat, match, frame, columns), self.fusion, material)
        note = "no lattice was found, so the network worked alone"
        if sites is not None:
            note = f"network and lattice evidence on {len(sites)} sites"
        placed = _placed(match, columns, found)
        return Detection(_table(image, match, placed), _to_image(heat.maps, image.shape), FINDER_CLASSES, note)

    def _columns(self, image: STEMImage, match: LatticeMatch) -> Columns | None:
        """All columns of an accepted lattice, fitted together; None without one."""
        fwhm_px = match.fwhm_A / (match.pixel_size_A or 1.0)
        if not match.accepted or not fwhm_px > 0:
            return None
        sites = match.sites(image.shape, margin_px=MARGIN_WIDTHS * fwhm_px)
        limit = np.array(image.shape) - 1
        inside = ((sites.positions_px >= 0) & (sites.positions_px <= limit)).all(1)
        return Columns(sites, fit_columns(image.data, sites, fwhm_px, device=self.device), np.asarray(inside))

    def _by_evidence(self, image: STEMImage, match: LatticeMatch, columns: Columns | None) -> Detection:
        if columns is None:
            where, advice = f"on '{image.name}'", "" if "pixel size" in match.reason else "; check the pixel size"
            raise ValueError(
                f"{match.material} must be matched before vacancies can be found {where}: {match.reason}{advice}"
            )
        sites, evidence = columns.inner, columns.evidence
        crystallinity = np.where(_off_rim(sites, match, image.shape), _crystallinity(match, sites.positions_px), 0.0)
        found = points_room.points_by_evidence(sites, evidence, crystallinity)
        note = f"the finder knows monolayer dichalcogenides; on {match.material} lattice evidence worked alone"
        maps = np.zeros((len(FINDER_CLASSES), *image.shape), np.float16)
        return Detection(_table(image, match, _placed(match, columns, found)), maps, FINDER_CLASSES, note)


def _frame(image: STEMImage, match: LatticeMatch) -> Frame:
    material: Material = get_material(match.material)
    if match.accepted:
        area = abs(float(np.linalg.det(match.lattice_vectors_px)))
        ideal = abs(float(np.linalg.det(material.cell)))
        return make_frame(image.shape, material.constant_A * float(np.sqrt(area / ideal)))
    size = match.pixel_size_A or image.pixel_size_A
    if size is None:
        raise ValueError(
            f"'{image.name}' must have a lattice or a pixel size to find defects: {match.reason}; give the pixel size"
        )
    return make_frame(image.shape, material.constant_A / size)


def _candidates(heat: Heat, match: LatticeMatch, frame: Frame, columns: Columns | None) -> Candidates:
    if columns is None:
        return alone(heat, frame)

    sites, crystallinity = columns.inner, partial(_crystallinity, match)
    on = at_sites(heat, frame, sites, columns.evidence, crystallinity(sites.positions_px))
    return Candidates.joined([on, between_sites(heat, frame, sites, crystallinity)])


def _placed(match: LatticeMatch, columns: Columns | None, found: points_room.Points) -> PlacedPoints:
    """Points at their columns, with errors and strain; without a lattice as they are."""
    return unplaced(found) if columns is None else place_points(match, columns.sites, columns.fit, found)


def _crystallinity(match: LatticeMatch, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ones(len(positions_px)) if match.warp is None else match.warp.crystallinity_at(positions_px)


def _off_rim(sites: Sites, match: LatticeMatch, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Sites whose column lies wholly on the image; a cut column looks dark."""
    rim = sites.material.neighbour_distance_A / (match.pixel_size_A or 1.0)
    inside = (sites.positions_px >= rim) & (sites.positions_px <= np.array(shape) - 1 - rim)
    return np.asarray(inside.all(1))


def _table(image: STEMImage, match: LatticeMatch, placed: PlacedPoints) -> PointTable:
    size, found = image.pixel_size_A or match.pixel_size_A, placed.points
    nm = None if size is None else size / A_PER_NM
    return PointTable.build(
        image=image.name,
        frame=image.frame,
        positions_px=found.positions_px,
        pixel_size_nm=nm,
        defects=[str(d) for d in found.defects],
        sublattices=[str(s) for s in found.sublattices],
        confidence=found.confidence,
        extra={
            "network_score": found.network_score,
            "intensity_ratio": found.intensity_ratio,
            "z_score": found.z_score,
            "confidence_spread": found.confidence_spread,
            "position_error_nm": placed.error_px * (np.nan if nm is None else nm),
            "strain_xx_percent": 100 * placed.strain.xx,
            "strain_yy_percent": 100 * placed.strain.yy,
            "strain_xy_percent": 100 * placed.strain.xy,
            "strain_error_percent": 100 * placed.strain.error,
            "rotation_deg": np.rad2deg(placed.strain.rotation_rad),
        },
    )


def _to_image(heat: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float16]:
    return np.stack([torch.from_numpy(resample(h, shape)).half().numpy() for h in heat])
