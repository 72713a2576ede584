"""From an image to a table of vacancies, without napari: every step by hand, as a script would do it.

    python examples/image_to_csv.py                          the embedded sample
    python examples/image_to_csv.py image.dm4 WSe2 out.csv   your image

The command `napari-stem-gan run` does the same and adapts the networks to your images first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_stem_gan import workflow
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.io import read_images


def main(arguments: list[str]) -> None:
    """Match, detect and write a CSV."""
    images = read_images(Path(arguments[0])) if arguments else workflow.sample_images()
    material = arguments[1] if len(arguments) > 1 else "WSe2"
    out = Path(arguments[2] if len(arguments) > 2 else "points.csv")

    print(workflow.describe(images))
    matches = workflow.consume(workflow.match_images(images, MatchConfig(material=material)))
    for image, match in zip(images, matches, strict=True):
        print(f"{image.name}: {match.material}, rotated by {match.rotation_deg:.2f}°, {match.reason}")

    detections = workflow.consume(workflow.detect(images, matches, DetectConfig(threshold=0.5)))
    table = PointTable.concat(detection.points for detection in detections)
    table.to_csv(out, provenance={"made by": "examples/image_to_csv.py"})
    print(f"{len(table)} defects are in {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
