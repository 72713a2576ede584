"""The whole job on day_d: adapt on its six images within a time budget, then score the two test images.

    THP_MEM_ALLOC_ENABLE=1 python benchmarks/session_day_d.py --minutes 5 [--images 3 --choice 1]

Prints which finder was kept and why, the translation's similarity and audit, and F1 as shipped and adapted.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
from detection_day_d import RADIUS_NM, truth

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.evaluate import evaluate_points, summary
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.workflow import SessionModel, adapt, consume, detect, match_images


def f1(paths: list[Path], images: list[STEMImage], model: SessionModel | None) -> str:
    """Precision, recall, F1 and rms of the single selenium vacancies."""
    matches = consume(match_images(images, MatchConfig(material="WSe2")))
    found = consume(detect(images, matches, DetectConfig(), model=model))
    total: list = [0, 0, 0, []]
    radius = RADIUS_NM / images[0].pixel_size_nm
    for path, detection in zip(paths, found, strict=True):
        points = detection.points.where(detection.points["defect"] == "V_Se").filter(DetectConfig().threshold)
        result = evaluate_points(points.positions_px, truth(path.with_suffix(".truth.csv")), radius)
        total = [a + b for a, b in zip(total, result, strict=True)]
    s = summary(*total, radius)
    return f"P {s.precision:.3f} R {s.recall:.3f} F1 {s.f1:.3f} rms {s.rms_px:.2f} px"


def main() -> None:
    """Adapt, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=6, help="adapt on so many of the six, chosen at random")
    parser.add_argument("--choice", type=int, default=0, help="seed of that choice")
    parser.add_argument("--out", type=Path, default=None, help="write the session's model here")
    args = parser.parse_args()
    folder = args.data / "pseudo" / "day_d"
    paths = sorted(folder.glob("adapt_*.tif"))
    chosen = sorted(np.random.default_rng(args.choice).permutation(len(paths))[: args.images])
    print("adapts on", ", ".join(paths[i].stem for i in chosen))
    session = [i for c in chosen for i in read_images(paths[c])]
    tests = sorted(folder.glob("test_*.tif"))
    images = [i for p in tests for i in read_images(p)]
    print("as shipped     ", f1(tests, images, None), flush=True)
    start = time.perf_counter()
    matches = consume(match_images(session, MatchConfig(material="WSe2")))
    model = consume(adapt(session, matches, AdaptConfig(minutes=args.minutes, seed=args.seed)))
    print(f"adapted in {time.perf_counter() - start:.0f} s (budget {args.minutes} minutes, seed {args.seed})")
    print("adapted        ", f1(tests, images, model), flush=True)
    translation = model.report.get("translation", {})
    print(model.report.get("finder"), json.dumps(model.report.get("held_out_f1")))
    print("translation kept:", translation.get("kept"), json.dumps(translation.get("similarity", {}), default=str))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    if args.out is not None:
        model.save(args.out)


if __name__ == "__main__":
    main()
