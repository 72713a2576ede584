from itertools import permutations

import numpy as np
import pytest

from napari_stem_gan.detect.evaluate import evaluate, evaluate_points
from napari_stem_gan.detect.table import PointTable, TableError


def best_by_trying_all(found, truth, radius):
    """Hits and distances of the one-to-one assignment with most hits, and of those the shortest."""
    distance = np.hypot(*(found[:, None] - truth[None]).transpose(2, 0, 1))
    if len(found) > len(truth):
        distance = distance.T
    few, many = distance.shape
    options = []
    for choice in permutations(range(many), few):
        chosen = distance[np.arange(few), choice]
        hits = chosen[chosen <= radius]
        options.append((-len(hits), hits.sum(), sorted(hits)))
    count, _, hits = min(options)
    return -count, hits


def table(positions, *, image="img_1", defects=None, sublattices=None):
    n = len(positions)
    return PointTable.build(
        image=image, frame=0, positions_px=np.asarray(positions, float), pixel_size_nm=0.02,
        defects=defects or ["V_Se"] * n, sublattices=sublattices or ["Se"] * n, confidence=np.ones(n),
    )  # fmt: skip


def truth_file(path, rows):
    lines = ["y_px,x_px,kind", *(f"{y},{x},{kind}" for y, x, kind in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", range(8))
def test_the_matching_is_the_best_one_to_one_assignment(seed):
    rng = np.random.default_rng(seed)
    found, truth = rng.uniform(0, 6, (rng.integers(1, 6), 2)), rng.uniform(0, 6, (rng.integers(1, 6), 2))
    tp, fp, fn, distances = evaluate_points(found, truth, 2.0)
    hits, expected = best_by_trying_all(found, truth, 2.0)
    assert (tp, fp, fn) == (hits, len(found) - hits, len(truth) - hits)
    np.testing.assert_allclose(sorted(distances), expected)


@pytest.mark.parametrize("gap", ["nan", ""])
def test_rows_without_a_position_are_refused_whichever_file_they_are_in(tmp_path, gap):
    truth = truth_file(tmp_path / "img_1.truth.csv", [(10, 10, "V_X"), (50, 50, "V_X")])
    points = table([(10, 10), (50, np.nan)]).to_csv(tmp_path / "found.csv")
    points.write_text(points.read_text().replace(",50.0000,,", f",50.0000,{gap},"), encoding="utf-8")
    with pytest.raises(TableError, match=r"'found.csv' must have y_px and x_px in each row, got 1 without; mend"):
        evaluate(points, truth)
    lost = truth_file(tmp_path / "img_2.truth.csv", [("nan", 10, "V_X"), (5, "inf", "V_X"), (50, 50, "V_X")])
    with pytest.raises(TableError, match=r"'img_2.truth.csv' must have .* got 2 without; mend"):
        evaluate(table([(10, 10)]), lost)


def test_two_points_on_one_vacancy_are_one_hit_and_one_false_point():
    assert evaluate_points(np.array([[5.0, 5.0], [5.0, 6.0]]), np.array([[5.0, 5.2]]), 2.0)[:3] == (1, 1, 0)


def test_nothing_found_and_nothing_there_are_counted():
    none, two = np.zeros((0, 2)), np.array([[1.0, 1.0], [2.0, 2.0]])
    assert evaluate_points(none, two, 2.0) == (0, 0, 2, [])
    assert evaluate_points(two, none, 2.0) == (0, 2, 0, [])


def test_the_scores_follow_from_the_counts(tmp_path):
    truth = truth_file(tmp_path / "img_1.truth.csv", [(10, 10, "V_X"), (50, 50, "V_X"), (90, 20, "V_X"), (9, 9, "S_X")])
    result = evaluate(table([[10.0, 13.0], [50.0, 46.0], [70.0, 70.0]]), truth)
    assert result.radius_px == pytest.approx(0.095 / 0.02)
    assert (result.tp, result.fp, result.fn) == (2, 1, 1)
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.f1 == pytest.approx(2 / 3)
    assert result.rms_px == pytest.approx(np.sqrt((9 + 16) / 2))
    assert set(result.to_dict()) >= {"precision", "recall", "f1", "rms_px"}


def test_only_rows_of_the_truth_s_image_and_single_vacancies_count(tmp_path):
    truth = truth_file(tmp_path / "img_1.truth.csv", [(10, 10, "V_X"), (60, 60, "V_M")])
    rows = PointTable.concat(
        [
            table([[10.0, 10.0], [60.0, 60.0]], image="img_1.tif", defects=["V_Se", "V_W"], sublattices=["Se", "W"]),
            table([[30.0, 30.0]], image="img_2.tif"),
        ]
    )
    result = evaluate(rows, truth)
    assert (result.tp, result.fp, result.fn) == (1, 0, 0)


def test_points_of_other_images_are_no_false_points_of_an_image_without_points(tmp_path):
    rows = PointTable.concat([table([[30.0, 30.0]], image="img_2"), table([[40.0, 40.0]], image="img_3")])
    result = evaluate(rows, truth_file(tmp_path / "img_1.truth.csv", [(10, 10, "V_X")]))
    assert (result.tp, result.fp, result.fn) == (0, 0, 1)


def test_a_table_of_one_image_is_scored_whatever_its_name(tmp_path):
    truth = truth_file(tmp_path / "truth.csv", [(10, 10, "V_X")])
    assert evaluate(table([[10.0, 10.0]], image="scan 7"), truth).f1 == 1.0


def test_a_table_of_another_image_is_scored_with_a_warning(tmp_path):
    truth = truth_file(tmp_path / "img_1.truth.csv", [(10, 10, "V_X")])
    one = evaluate(table([[10.0, 10.0]], image="scan 7"), truth)
    two = PointTable.concat([table([[10.0, 10.0]], image="a.tif"), table([[10.0, 10.0]], image="b.tif")])
    assert one.warning == "the points are on 'scan 7', the true defects on 'img_1'; check that this is the same image"
    assert evaluate(two, truth).warning.startswith("points are only on 'a.tif', 'b.tif', so that the true")
    assert evaluate(two, truth).text.splitlines()[-1].startswith("warning: points are only on 'a.tif'")
    assert (evaluate(two, truth).fn, evaluate(two, truth).to_dict()["warning"]) == (1, evaluate(two, truth).warning)


def test_an_image_of_several_that_nothing_is_on_is_told_by_name(tmp_path):
    truths = [truth_file(tmp_path / f"img_{i}.truth.csv", [(10, 10, "V_X")]) for i in (1, 2)]
    found = evaluate(table([[10.0, 10.0]], image="img_1.tif"), truths)
    assert (found.tp, found.fn) == (1, 1)
    assert found.warning.startswith("points are only on 'img_1.tif', so that the true defects on 'img_2' count")


def test_images_of_the_same_name_and_searched_ones_without_a_point_need_no_warning(tmp_path):
    truths = [truth_file(tmp_path / f"img_{i}.truth.csv", [(10, 10, "V_X")]) for i in (1, 2)]
    images = [{"image": name, "shape": (64, 64)} for name in ("img_1.tif", "img_2.tif")]
    path = table([[10.0, 10.0]], image="img_1.tif").to_csv(tmp_path / "p.csv", provenance={"images": images})
    assert evaluate(path, truths).warning == ""
    assert evaluate(PointTable.empty(), truths, radius_px=2.0).warning == ""
    assert "warning" not in evaluate(path, truths).text


def test_our_own_csv_is_a_truth_too(tmp_path):
    rows = table([[10.0, 10.0], [40.0, 42.0]], defects=["V_Se", "V_2Se"])
    path = rows.to_csv(tmp_path / "mine.csv")
    assert evaluate(path, path).f1 == 1.0
    assert evaluate(path, path, defect="V_2Se").tp == 1
    both = PointTable.concat([rows, table([[70.0, 5.0]], image="img_2")]).to_csv(tmp_path / "both.csv")
    assert evaluate(both, both).tp == 3


def test_defects_are_compared_whatever_convention_they_are_named_in(tmp_path):
    found = table([(10, 10), (50, 50), (90, 90)], defects=["V_Se", "V_2Se", "Mo_W"])
    truth = table([(10, 10), (50, 50), (90, 90)], defects=["Se vacancy", "V_Se2", "Mo@W"])
    path = truth.to_csv(tmp_path / "truth.csv")
    assert [evaluate(found, path, defect=d).tp for d in ("VSe", "Se divacancy", "Mo on W", "odd")] == [1, 1, 1, 0]


def test_the_radius_is_in_nm(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X")])
    points = table([[10.0, 16.0]])  # 0.12 nm away
    assert evaluate(points, truth, radius_nm=0.13).tp == 1
    assert evaluate(points, truth, radius_nm=0.11).tp == 0
    assert evaluate(points, truth, radius_nm=0.11, pixel_size_nm=0.01).tp == 1


def test_files_that_cannot_be_scored_are_refused(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X")])
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(TableError, match="does not exist"):
        evaluate(table([[1.0, 1.0]]), tmp_path / "none.csv")
    with pytest.raises(TableError, match="must have the columns"):
        evaluate(table([[1.0, 1.0]]), tmp_path / "bad.csv")
    with pytest.raises(TableError, match="radius must be positive"):
        evaluate(table([[1.0, 1.0]]), truth, radius_nm=0.0)
    with pytest.raises(TableError, match="--pixel-size-nm"):
        evaluate(PointTable.empty(), truth)


def test_a_defect_is_scored_against_the_truth_of_its_class(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X"), (50, 50, "V_X2"), (90, 90, "S_M")])
    found = table([[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]], defects=["V_Se", "V_2Se", "Mo_W"])
    for defect in ("V_Se", "V_2Se", "Mo_W", "S_M"):
        one = evaluate(found, truth, defect=defect)
        assert (one.tp, one.fp, one.fn) == (1, 0, 0)
    assert evaluate(found, truth, kind="V_X2").tp == 1
    assert (evaluate(found, truth, defect="all").tp, evaluate(found, truth, defect="all").fp) == (1, 2)


def test_a_table_of_another_program_is_scored_in_pixels(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X")])
    (tmp_path / "p.csv").write_text("x_px,y_px\n11,10\n", encoding="utf-8")
    found = evaluate(tmp_path / "p.csv", truth, radius_px=2.0)
    assert (found.tp, found.rms_px, found.average_precision) == (1, 1.0, None)
    with pytest.raises(TableError, match="--radius-px"):
        evaluate(tmp_path / "p.csv", truth)


def test_tables_that_a_spreadsheet_saved_are_scored_as_before(tmp_path):
    rows = table([[10.0, 10.0], [40.5, 42.0]])
    path, truth = rows.to_csv(tmp_path / "p.csv"), tmp_path / "img_1.truth.csv"
    truth.write_text("\ufeffy_px;x_px;kind\n10,5;10;V_X\n90;90;V_X\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8").replace(",", ";").replace(".", ",")
    path.write_text("\ufeff" + text, encoding="utf-8")
    found = evaluate(path, truth)
    assert (found.tp, found.fp, found.fn, found.rms_px) == (1, 1, 1, 0.5)
    assert found.radius_px == pytest.approx(0.095 / 0.02, rel=1e-4)


def test_our_columns_in_another_order_keep_the_pixel_size_and_the_decisions(tmp_path):
    (tmp_path / "p.csv").write_text(
        "decision,defect,x_px,y_px,x_nm,y_nm\n,V_Se,10,11,0.2,0.22\nrejected,V_Se,50,50,1,1\n", encoding="utf-8"
    )
    found = evaluate(tmp_path / "p.csv", truth_file(tmp_path / "t.csv", [(10, 10, "V_X"), (50, 50, "V_X")]))
    assert (found.tp, found.fp, found.fn) == (1, 0, 1)
    assert found.radius_px == pytest.approx(0.095 / 0.02)


def test_a_place_that_is_no_number_is_named(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, "abc", "V_X")])
    with pytest.raises(TableError, match=r"t.csv' must hold numbers in column 'x_px', got 'abc' in row 2"):
        evaluate(table([[1.0, 1.0]]), truth)


def test_frames_of_a_stack_are_told_apart(tmp_path):
    frames = [
        PointTable.build(
            image="s", frame=frame, positions_px=np.array([[y, 10.0]]), pixel_size_nm=0.02, defects=["V_Se"],
            sublattices=["Se"], confidence=np.ones(1),
        )
        for frame, y in ((0, 10.0), (1, 40.0))
    ]  # fmt: skip
    truth = PointTable.concat(frames).to_csv(tmp_path / "s.truth.csv")
    swapped = PointTable.concat([PointTable({**f.columns, "frame": 1 - f["frame"]}) for f in frames])
    assert evaluate(truth, truth).tp == 2
    assert evaluate(swapped, truth).tp == 0
    assert list(evaluate(truth, truth).images) == ["s [0]", "s [1]"]


def test_a_border_needs_the_size_of_the_image(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X"), (60, 60, "V_X"), (-1, 50, "V_X")])
    found = table([[10.0, 10.0], [60.0, 60.0]])
    assert (evaluate(found, truth).tp, evaluate(found, truth).fn) == (2, 0)
    assert evaluate(found, truth, border_px=20.0, size_px=100.0).tp == 1
    with pytest.raises(TableError, match="--size-px"):
        evaluate(found, truth, border_px=20.0)


@pytest.mark.parametrize("border", [-3.0, float("nan")])
def test_a_border_below_zero_is_refused(tmp_path, border):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X")])
    with pytest.raises(TableError, match="border_px must be zero or positive, got"):
        evaluate(table([[10.0, 10.0]]), truth, border_px=border)


def test_a_folder_is_said_to_be_one(tmp_path):
    with pytest.raises(TableError, match="which is a folder; check the path"):
        evaluate(table([[10.0, 10.0]]), tmp_path)


def test_classes_that_were_confused_are_told(tmp_path):
    truth = truth_file(tmp_path / "t.csv", [(10, 10, "V_X"), (50, 50, "V_X"), (90, 90, "V_M")])
    found = evaluate(table([[10.0, 10.0], [50.0, 50.0]], defects=["V_Se", "V_2Se"]), truth)
    assert found.confusion == {"V_X": {"V_X": 1, "V_2X": 1}, "V_M": {"none": 1}}
    assert "V_X found as V_X 1, V_2X 1" in found.text
