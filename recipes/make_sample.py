"""Make the embedded sample session: two WSe₂ images from our own simulator, degraded like a microscope does.

    python recipes/make_sample.py

Writes TIFFs with pixel size into src/napari_stem_gan/sample/ and their true defects beside them.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

import napari_stem_gan
from napari_stem_gan.crystal.config import DefectConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image

FOLDER = Path(napari_stem_gan.__file__).parent / "sample"
PIXEL_SIZE_A = 0.205
SIDE_PX = 512


def draw(seed: int, rotation_deg: float) -> LabelledImage:
    """One image of the session."""
    rng = np.random.default_rng(seed)
    material = get_material("WSe2")
    affine = np.eye(2) + np.array([[0.004, -0.006], [0.0, -0.003]])
    vectors = lattice_vectors_px(material, PIXEL_SIZE_A, rotation_deg, affine)
    field = Field(
        material=material, vectors_px=vectors, origin_px=(3.0 * seed, 5.0), shape=(SIDE_PX, SIDE_PX),
        pixel_size_A=PIXEL_SIZE_A,
    )  # fmt: skip
    optics = OpticsConfig(source_size_fwhm_A=0.9, C10=12.0, C12=15.0, phi12=0.7, C23=350.0, phi23=0.4, C30=4000.0)
    defects = replace(DefectConfig(), single_vacancy=0.018, jitter_A=0.04)
    degradation = Degradation(
        contamination=ContaminationConfig(amount=0.25, coarse_nm=1.6, fine_fraction=0.15, skew=1.2),
        scan=ScanConfig(jitter_x_px=0.25, jitter_y_px=0.15, jitter_correlation=0.4),
        detector=DetectorConfig(dose_e_per_A2=4e4, pmt_spread=0.25, tail_px=0.25, gain=140.0, offset=900.0),
    )
    return degrade(ideal_image(field, optics, defects, rng, stack_factor=1.17), degradation, rng)


def main() -> None:
    """Write both images and their truth."""
    FOLDER.mkdir(exist_ok=True)
    for number, rotation in ((1, 11.3), (2, 11.9)):
        labelled = draw(number, rotation)
        path = FOLDER / f"sample_WSe2_{number}.tif"
        counts = np.clip(np.rint(labelled.image.data), 0, 65535).astype(np.uint16)
        per_cm, nm = 1e8 / PIXEL_SIZE_A, PIXEL_SIZE_A / 10
        tifffile.imwrite(
            path, counts, compression="zlib", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER",
            metadata={"axes": "YX", "PhysicalSizeX": nm, "PhysicalSizeY": nm, "unit": "nm"},
        )  # fmt: skip
        with path.with_suffix(".truth.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(["y_px", "x_px", "kind", "defect"])
            for (y, x), kind, name in zip(
                labelled.positions_px, labelled.parameters["kinds"], labelled.defects, strict=True
            ):
                writer.writerow([f"{y:.3f}", f"{x:.3f}", kind, name])
        print(path.name, counts.shape, f"{len(labelled.defects)} defects, mean {counts.mean():.0f}")


if __name__ == "__main__":
    main()
