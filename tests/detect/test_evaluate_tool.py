"""`evaluate` against the plain script that others score with: the same files, the same numbers to the last digit."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from napari_stem_gan.detect.evaluate import evaluate
from napari_stem_gan.detect.table import PointTable, read_csv

TOOL = Path(__file__).parents[3] / "shared" / "tools" / "score_points.py"
SHAPE = (256, 256)
RECORDED = {  # counts that the script printed for `session`: V_Se against V_X, radius 4.6 px
    0.0: ((20, 7, 15), (28, 7, 16)),
    32.0: ((10, 2, 7), (15, 3, 8)),
}


def session(folder):
    """Points of two images as CSV, and the true defects of each: hits, misses, false points, some beyond the edge."""
    rng, tables, truths = np.random.default_rng(4), [], []
    for name in ("a_1", "a_2"):
        true = rng.uniform(-2, 258, (60, 2)).round(3)
        kinds = np.array(["V_X", "V_X2", "S_M"])[rng.choice(3, 60, p=(0.7, 0.2, 0.1))]
        lines = [f"{y},{x},{kind}" for (y, x), kind in zip(true, kinds, strict=True)]
        truths.append(folder / f"{name}.truth.csv")
        truths[-1].write_text("\n".join(["y_px,x_px,kind", *lines]) + "\n", encoding="utf-8")
        found = np.concatenate([true[:40] + rng.normal(0, 2, (40, 2)), rng.uniform(0, 256, (5, 2))])
        defects = ["V_Se" if k == "V_X" else "V_2Se" for k in kinds[:40]] + ["V_Se"] * 5
        tables.append(
            PointTable.build(
                image=f"{name}.tif", frame=0, positions_px=found, pixel_size_nm=0.02, defects=defects,
                sublattices=["Se"] * 45, confidence=rng.uniform(0.3, 1, 45),
            )  # fmt: skip
        )
    return PointTable.concat(tables).to_csv(folder / "points.csv"), truths


@pytest.mark.skipif(not TOOL.is_file(), reason="the script is not part of the product")
@pytest.mark.parametrize("border", [0.0, 32.0])
@pytest.mark.parametrize(("defect", "kind"), [("V_Se", "V_X"), ("V_2Se", "V_X2"), (None, "V_X")])
def test_the_script_says_the_same_to_the_last_digit(tmp_path, border, defect, kind):
    spec = importlib.util.spec_from_file_location("score_points", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    points, truths = session(tmp_path)
    mine = evaluate(
        points, truths, radius_px=4.6, border_px=border, size_px=SHAPE[0], defect=defect or "all", kind=kind
    )
    rows, places = tool.read(points, "defect", defect)
    errors = []
    for path, one in zip(truths, mine.images.values(), strict=True):
        own = np.array([Path(r["image"]).stem == path.name.removesuffix(".truth.csv") for r in rows])
        sides = [places[own], tool.read(path, "kind", kind)[1]]
        expected = tool.score(*(s[tool.inside(s, border, SHAPE[0])] for s in sides), 4.6)
        assert (one.tp, one.fp, one.fn) == expected[:3]
        errors += expected[3]
    assert mine.rms_px == float(np.sqrt(np.mean(np.square(errors))))


@pytest.mark.parametrize("border", list(RECORDED))
def test_counts_are_those_that_the_script_printed(tmp_path, border):
    points, truths = session(tmp_path)
    found = evaluate(points, truths, radius_px=4.6, border_px=border, size_px=SHAPE[0], defect="V_Se")
    assert tuple((one.tp, one.fp, one.fn) for one in found.images.values()) == RECORDED[border]
    assert (found.tp, found.fp, found.fn) == tuple(np.sum(RECORDED[border], axis=0))


def test_the_size_comes_from_the_json_beside_the_table(tmp_path):
    points, truths = session(tmp_path)
    images = [{"image": name, "shape": SHAPE} for name in ("a_1", "a_2")]
    read_csv(points).to_csv(points, provenance={"images": images})
    asked = {"radius_px": 4.6, "border_px": 32.0, "defect": "V_Se"}
    assert evaluate(points, truths, **asked) == evaluate(points, truths, **asked, size_px=SHAPE[0])
