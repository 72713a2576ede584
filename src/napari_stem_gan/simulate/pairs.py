"""Labelled images: a crystal with planted defects, rendered and degraded, with the truth kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.defects import plant_defects
from napari_stem_gan.crystal.materials import Material
from napari_stem_gan.crystal.structure import Sites, fill_field
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig, contamination_field
from napari_stem_gan.degrade.detector import apply_detector
from napari_stem_gan.degrade.scan import apply_scan
from napari_stem_gan.image import FloatImage, LabelledImage, STEMImage
from napari_stem_gan.simulate.adf import MARGIN_A, atom_weights_A2, render
from napari_stem_gan.simulate.config import OpticsConfig

SATURATION_LAYERS = 25.0


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """Everything that happens to one ideal image, in this order."""

    contamination: ContaminationConfig = ContaminationConfig(amount=0.0)
    scan: ScanConfig = ScanConfig()
    detector: DetectorConfig = DetectorConfig()


@dataclass(frozen=True, kw_only=True)
class Field:
    """The crystal's place on the image.

    Parameters
    ----------
    material
        The crystal.
    vectors_px
        Rows a1 and a2 as (y, x) in pixels.
    origin_px
        The cell's origin, (y, x).
    shape
        Height and width in pixels.
    pixel_size_A
        Pixel size in Å.
    """

    material: Material
    vectors_px: NDArray[np.float64]
    origin_px: tuple[float, float]
    shape: tuple[int, int]
    pixel_size_A: float

    def sites(self) -> Sites:
        """All column sites, with the renderer's margin."""
        margin = MARGIN_A / self.pixel_size_A
        return fill_field(self.material, self.vectors_px, self.shape, origin_px=self.origin_px, margin_px=margin)


def thickness_factor(layers: int) -> float:
    """Intensity of a column of `layers` cells over that of one: ``n0 (1 − exp(−n / n0))`` with ``n0 = 25``.

    A saturating factor for bulk columns; the incoherent model knows no channelling, so ratios of columns in
    crystals thicker than a few nanometres are indicative only.
    """
    return 1.0 if layers == 1 else float(SATURATION_LAYERS * (1 - np.exp(-layers / SATURATION_LAYERS)))


def ideal_image(
    field: Field,
    optics: OpticsConfig,
    defects: DefectConfig,
    rng: np.random.Generator,
    *,
    stack_factor: float = 1.17,
    mask: NDArray[np.bool_] | None = None,
) -> LabelledImage:
    """Render a crystal with planted defects, without any degradation.

    Parameters
    ----------
    field
        Crystal and its place.
    optics
        Probe and detector.
    defects
        What is planted.
    rng
        Source of every draw.
    stack_factor
        See `adf.atom_weights_A2`; 1.17 for the two anions of a monolayer (SCIENCE 2.4).
    mask
        Where the crystal is, shape ``(Y, X)``; None: everywhere.

    Returns
    -------
    LabelledImage
        Intensity as a fraction of the beam, with true positions inside the field.
    """
    sites = field.sites()
    if mask is not None:
        keep = _inside(sites.positions_px, mask)
        sites = Sites(sites.material, sites.positions_px[keep], sites.column[keep])
    made = plant_defects(sites, defects, field.pixel_size_A, rng)
    weights = atom_weights_A2(made.elements, made.column_size, optics, stack_factor=stack_factor)
    weights = weights * thickness_factor(field.material.layers)
    image = render(made.atoms_px, weights, field.shape, pixel_size_A=field.pixel_size_A, optics=optics)
    limit = np.array(field.shape) - 0.5
    seen = np.asarray(((made.positions_px >= -0.5) & (made.positions_px < limit)).all(1))
    columns = ((made.columns_px >= -0.5) & (made.columns_px < limit)).all(1)
    drawn: dict[str, Any] = {
        "material": field.material.key,
        "vectors_px": field.vectors_px.tolist(),
        "origin_px": list(map(float, field.origin_px)),
        "stack_factor": stack_factor,
        "optics": asdict(optics),
        "defects": asdict(defects),
        "kinds": [k for k, s in zip(made.kinds, seen, strict=True) if s],
    }
    return LabelledImage(
        image=_image(image, field),
        positions_px=made.positions_px[seen],
        defects=tuple(d for d, s in zip(made.defects, seen, strict=True) if s),
        sublattices=tuple(d for d, s in zip(made.sublattices, seen, strict=True) if s),
        columns_px=made.columns_px[columns],
        parameters=drawn,
    )


def degrade(
    labelled: LabelledImage,
    degradation: Degradation,
    rng: np.random.Generator,
    *,
    background: FloatImage | None = None,
) -> LabelledImage:
    """Add contamination, distort the scan, count electrons; positions stay true on average.

    Parameters
    ----------
    labelled
        What `ideal_image` returned.
    degradation
        Contamination, scan and detector.
    rng
        Source of every draw.
    background
        Contamination to use instead of drawing a field, ``(Y, X)`` in units of the anion peak.
    """
    clean = labelled.image.data
    size = labelled.image.pixel_size_A or 0.2
    shape = labelled.image.shape
    field = contamination_field(shape, size, degradation.contamination, rng) if background is None else background
    dirty = clean + field * anion_peak(clean)
    scanned = apply_scan(np.asarray(dirty, np.float32), degradation.scan, rng)
    counted = apply_detector(np.maximum(scanned, 0), size, degradation.detector, rng)
    drawn = {**labelled.parameters, "degradation": asdict(degradation)}
    return LabelledImage(
        image=STEMImage(data=counted, pixel_size_A=size, name=labelled.image.name, source="simulated"),
        positions_px=labelled.positions_px,
        defects=labelled.defects,
        sublattices=labelled.sublattices,
        columns_px=labelled.columns_px,
        parameters=drawn,
    )


def anion_peak(clean: FloatImage) -> float:
    """Brightness that contamination is measured in: the contrast of a clean image (its 90 % minus 5 % quantile)."""
    low, high = np.quantile(clean, [0.05, 0.9])
    return float(high - low)


def _inside(positions: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each position lies on the mask (clamped to its rim)."""
    index = np.clip(np.rint(positions).astype(int), 0, np.array(mask.shape) - 1)
    return np.asarray(mask[index[:, 0], index[:, 1]])


def _image(data: FloatImage, field: Field) -> STEMImage:
    return STEMImage(data=data, pixel_size_A=field.pixel_size_A, name=f"simulated {field.material.key}")
