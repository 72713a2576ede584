"""Vacancies of the pseudo-experimental session day_d: F1, average precision and calibration, as shipped or adapted.

    python benchmarks/detection_day_d.py [--model session.safetensors] [--images test]
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.evaluate import evaluate_points, summary
from napari_stem_gan.detect.scoring import average_precision, calibration_error, ranked_hits
from napari_stem_gan.io import read_images
from napari_stem_gan.workflow import consume, detect, match_images

RADIUS_NM = 0.095


def truth(path: Path) -> np.ndarray:
    """True single selenium vacancies ``(N, 2)``."""
    with path.open(newline="") as handle:
        rows = [r for r in csv.DictReader(handle) if r["kind"] == "V_X"]
    return np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows])


def main() -> None:
    """Print one line per image, one for all, and F1 over thresholds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--images", default="test")
    parser.add_argument("--threshold", type=float, default=DetectConfig().threshold)
    args = parser.parse_args()
    paths = sorted((args.data / "pseudo" / "day_d").glob(f"{args.images}_*.tif"))
    images = [i for p in paths for i in read_images(p)]
    start = time.perf_counter()
    matches = consume(match_images(images, MatchConfig(material="WSe2")))
    matched = time.perf_counter()
    found = consume(detect(images, matches, DetectConfig(threshold=args.threshold), model=args.model))
    seconds = time.perf_counter() - matched
    totals: dict[float, list] = {}
    confidence, hits, count = [], [], 0
    for path, image, detection in zip(paths, images, found, strict=True):
        true, radius = truth(path.with_suffix(".truth.csv")), RADIUS_NM / image.pixel_size_nm
        points = detection.points.where(detection.points["defect"] == "V_Se")
        confidence.append(points["confidence"])
        hits.append(ranked_hits(points.positions_px, points["confidence"], true, radius))
        count += len(true)
        for threshold in sorted({args.threshold, *np.arange(0.1, 0.95, 0.1).round(2)}):
            result = evaluate_points(points.filter(threshold).positions_px, true, radius)
            total = totals.setdefault(threshold, [0, 0, 0, []])
            for index, value in enumerate(result):
                total[index] = total[index] + value
            if threshold == args.threshold:
                s = summary(*result, radius)
                print(f"{path.stem:10s} P {s.precision:.3f} R {s.recall:.3f} F1 {s.f1:.3f} rms {s.rms_px:.2f} px")
    s = summary(*totals[args.threshold], radius)
    print(f"{'all':10s} P {s.precision:.3f} R {s.recall:.3f} F1 {s.f1:.3f} rms {s.rms_px:.2f} px")
    sure, right = np.concatenate(confidence), np.concatenate(hits)
    precision, error = average_precision(sure, right, count), calibration_error(sure, right)
    print(f"average precision {precision:.3f}, calibration error {error:.3f} ({len(sure)} candidates, {count} true)")
    print("F1 by threshold:", " ".join(f"{t:.1f}:{summary(*v, radius).f1:.3f}" for t, v in sorted(totals.items())))
    print(f"match {(matched - start) / len(images):.1f} s, detect {seconds / len(images):.1f} s an image")


if __name__ == "__main__":
    main()
