"""Training targets of the finder: one Gaussian heat map per class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.adatoms import ADATOM_KIND
from napari_stem_gan.crystal.defects import FINDER_CLASSES
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.roles import usual_role
from napari_stem_gan.crystal.structure import Sites, fill_field
from napari_stem_gan.degrade.config import ScanConfig
from napari_stem_gan.degrade.contamination import gaussian_field
from napari_stem_gan.degrade.scan import move_systematically
from napari_stem_gan.detect.frame import Frame, make_frame, network_input, paint
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.batch import wandered


def kind_of(defect: str, sublattice: str, kinds: str = "") -> str:
    """Class of the finder for a defect's name, e.g. ``V_2Se`` on Se ↦ ``V_2X`` and ``Mo_W`` on W ↦ ``S_M``.

    An adatom (``ad_W``) is of class ``A``.
    """
    if kinds:
        return kinds
    if defect.startswith("ad_"):
        return ADATOM_KIND
    metal = usual_role(sublattice.rstrip("0123456789")) == "metal"
    if defect == f"V_2{sublattice}":
        return "V_2X"
    if defect == f"V_{sublattice}":
        return "V_M" if metal else "V_X"
    return "S_M" if metal else "S_X"


def heat_maps(labelled: LabelledImage, frame: Frame) -> NDArray[np.float32]:
    """Heat maps ``(classes, y, x)`` of the true defects, in the network's frame."""
    kinds = labelled.parameters.get("kinds") or [
        kind_of(d, s) for d, s in zip(labelled.defects, labelled.sublattices, strict=True)
    ]
    positions = frame.to_network(labelled.positions_px)
    kinds = np.array(kinds, dtype="<U4")
    return np.stack([paint(frame.network_shape, positions[kinds == name]) for name in FINDER_CLASSES])


def true_sites(labelled: LabelledImage, *, margin_px: float = 0.0) -> Sites:
    """The lattice sites a simulated image was made with, in image pixels; of a real specimen those that are there."""
    drawn = labelled.parameters
    if labelled.structure is not None and drawn.get("specimen"):
        return _specimen_sites(labelled, margin_px)
    sites = fill_field(
        get_material(drawn["material"]),
        np.array(drawn["vectors_px"]),
        labelled.image.shape,
        origin_px=np.array(drawn["origin_px"]),
        margin_px=margin_px,
    )
    return _where_seen(sites, labelled)


def _where_seen(sites: Sites, labelled: LabelledImage) -> Sites:
    """Sites where a scan that wandered shows them."""
    wander_px = labelled.parameters.get("wander_px")
    if wander_px is None:
        return sites
    return replace(sites, positions_px=wandered(sites.positions_px, np.array(wander_px)))


def _specimen_sites(labelled: LabelledImage, margin_px: float) -> Sites:
    """Sites of a strained, rippled … crystal, where drift and fly-back show them."""
    sites: Sites = labelled.structure.sites
    scan = labelled.parameters.get("degradation", {}).get("scan")
    if scan:
        shape = labelled.image.shape
        sites = replace(sites, positions_px=move_systematically(sites.positions_px, ScanConfig(**scan), shape))
    sites = _where_seen(sites, labelled)
    limit = np.array(labelled.image.shape) - 1 + margin_px
    return sites.where(np.asarray(((sites.positions_px >= -margin_px) & (sites.positions_px <= limit)).all(1)))


def training_example(
    labelled: LabelledImage, rng: np.random.Generator, *, site_error: float = 0.025
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Network input ``(4, y, x)`` and target ``(classes, y, x)`` of a simulated image.

    Parameters
    ----------
    labelled
        The image with its truth.
    rng
        Source of the errors of the site positions.
    site_error
        Smooth error of the sites (standard deviation in lattice constants), as a real match has.
    """
    sites = true_sites(labelled, margin_px=2.0)
    constant = float(np.sqrt(abs(np.linalg.det(np.array(labelled.parameters["vectors_px"]))) * 2 / np.sqrt(3)))
    frame = make_frame(labelled.image.shape, constant)
    error = float(rng.uniform(0, 2 * site_error)) * constant
    shift = np.stack([gaussian_field((24, 24), 4.0, rng) for _ in range(2)]) * error
    scale = 23 / np.maximum(np.array(labelled.image.shape) - 1, 1)
    index = np.clip(np.rint(sites.positions_px * scale).astype(int), 0, 23)
    moved = replace(sites, positions_px=sites.positions_px + shift[:, index[:, 0], index[:, 1]].T)
    shown = moved if labelled.parameters.get("crystal", True) else None
    return network_input(labelled.image.data, frame, shown), heat_maps(labelled, frame)
