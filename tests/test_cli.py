"""The commands as a user runs them: exit codes, one JSON object on stdout, files that are really there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_stem_gan import __version__, workflow
from napari_stem_gan.cli import main
from napari_stem_gan.detect.table import COLUMNS
from napari_stem_gan.image import STEMImage
from napari_stem_gan.io import read_images, write_image

SIDE_PX = 192


@pytest.fixture(scope="module")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sample = workflow.sample_images()[0]
    small = STEMImage(data=sample.data[:SIDE_PX, :SIDE_PX], pixel_size_A=sample.pixel_size_A, name="small")
    path = tmp_path_factory.mktemp("cli") / "small.tif"
    write_image(path, small)
    return path


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_comes_from_a_fresh_process_with_exit_code_0() -> None:
    done = subprocess.run([sys.executable, "-m", "napari_stem_gan.cli", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "adapt" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_a_reader_that_has_read_enough_is_no_error(words: list[str]) -> None:
    command = [sys.executable, "-m", "napari_stem_gan.cli", *words]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    "words",
    [[], ["detekt"], ["match"], ["match", "a.tif", "--no-such"], ["run", "a.tif"], ["detect", "--out", "p"]],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [(["detect", "--out", "p"], "at least one image"), (["restore", "a.tif", "--out", "p", "--mode", "x"], "--help")],
)
def test_wrong_usage_is_one_json_object_where_json_was_asked_for(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 2
    printed = capsys.readouterr()
    assert says in json.loads(printed.out)["error"]
    assert printed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["match", "missing.tif", "--material", "WSe2"], "missing.tif"),
        (["restore", "missing.tif", "--out", "OUT"], "missing.tif"),
        (["evaluate", "missing.csv", "truth.csv"], "missing.csv"),
        (["info", "--device", "abacus"], "abacus"),
    ],
)
def test_a_failure_ends_with_1_and_one_line(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([str(tmp_path) if word == "OUT" else word for word in words]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert printed.out == ""


@pytest.mark.parametrize("command", ["adapt", "detect"])
def test_a_folder_in_place_of_the_file_to_write_is_refused_before_any_work(
    command: str, sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(sample_file), "--material", "WSe2", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: '{tmp_path}' is a folder; give the name of a file\n"


def test_an_unknown_material_is_refused_with_the_known_ones(
    sample_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["match", str(sample_file), "--material", "Kryptonite"]) == 1
    assert "WSe2" in capsys.readouterr().err.splitlines()[-1]


def test_a_setting_out_of_range_is_refused_in_words(sample_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(sample_file), "--out", "p.csv", "--threshold", "3"]) == 1
    assert "threshold must lie between 0 and 1" in capsys.readouterr().err


def test_info_tells_version_device_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    result = answer(capsys, "info", "--device", "cpu")
    assert (result["version"], result["device"]) == (__version__, "cpu")
    assert {"finder", "cyclegan", "cgrdn"} <= {weight["kind"] for weight in result["weights"]}


def test_match_answers_with_the_lattice(sample_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = answer(capsys, "match", sample_file, "--material", "WSe2")
    assert result["accepted"]
    assert result["material"] == "WSe2"
    assert 0.015 < result["pixel_size_nm"] < 0.03
    assert np.shape(result["lattice_vectors_px"]) == (2, 2)
    assert {"reason", "rotation_deg"} <= set(result)


def test_match_answers_for_every_frame_of_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.stack([image.data[:SIDE_PX, :SIDE_PX] for image in workflow.sample_images()[:2]])
    np.save(tmp_path / "stack.npy", frames)
    result = answer(capsys, "match", tmp_path / "stack.npy", "--material", "WSe2", "--pixel-size-nm", "0.02")
    assert [frame["frame"] for frame in result["frames"]] == [0, 1]


def test_noise_is_answered_with_a_reason_not_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32))
    result = answer(capsys, "match", tmp_path / "noise.npy", "--material", "WSe2", "--pixel-size-nm", "0.02")
    assert not result["accepted"]
    assert result["reason"]


def test_simulated_truth_agrees_with_itself(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    like = ("--like", sample_file, "--material", "WSe2", "--count", 1, "--size-px", 128, "--defect-scale", 5)
    result = answer(capsys, "simulate", *like, "--out", tmp_path / "new" / "folder")
    (picture,) = result["images"]
    (truth,) = result["truth"]
    assert read_images(picture)[0].shape == (128, 128)
    assert answer(capsys, "evaluate", truth, truth)["f1"] == 1.0


def test_detect_writes_the_table_and_what_it_was_made_with(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "points.csv"
    result = answer(capsys, "detect", sample_file, "--material", "WSe2", "--no-average-flips", "--out", table)
    header, *rows = table.read_text().splitlines()
    assert header.split(",")[: len(COLUMNS)] == list(COLUMNS)
    assert len(rows) == result["points"]
    assert "sha256" in table.with_suffix(".json").read_text()


def test_detect_refuses_images_without_a_lattice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32))
    words = ["detect", str(tmp_path / "noise.npy"), "--material", "WSe2", "--out", str(tmp_path / "points.csv")]
    assert main([*words, "--pixel-size-nm", "0.02"]) == 1
    assert "no image could be matched" in capsys.readouterr().err
    assert not (tmp_path / "points.csv").exists()


def test_a_damaged_model_is_refused(sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"not a model")
    words = ["detect", str(sample_file), "--material", "WSe2", "--out", str(tmp_path / "points.csv")]
    assert main([*words, "--model", str(tmp_path / "bad.safetensors")]) == 1
    assert "bad.safetensors" in capsys.readouterr().err.splitlines()[-1]


def test_files_of_one_name_from_two_folders_are_told_apart(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / sample_file.name
    twin.write_bytes(sample_file.read_bytes())
    rows = answer(capsys, "restore", sample_file, twin, "--out", tmp_path / "out")["images"]
    assert [Path(row["file"]).name for row in rows] == ["small_0_restored.tif", "small_2_0_restored.tif"]


def test_restore_writes_an_image_of_the_same_size(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = answer(capsys, "restore", sample_file, "--out", tmp_path)["images"]
    (before,), (after,) = read_images(sample_file), read_images(row["file"])
    assert after.shape == before.shape
    assert after.pixel_size_A == pytest.approx(before.pixel_size_A, rel=1e-4)


def test_an_adapted_model_serves_detect(sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = (sample_file, "--material", "WSe2")
    model = answer(capsys, "adapt", *common, "--minutes", 0.05, "--out", tmp_path / "today")["model"]
    assert model == str(tmp_path / "today.safetensors")
    answer(capsys, "detect", *common, "--no-average-flips", "--model", model, "--out", tmp_path / "points.csv")
    assert (tmp_path / "points.csv").exists()


def test_run_leaves_table_overlay_and_report(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ("--minutes", 0.05, "--count", 1, "--size-px", 128, "--no-average-flips")
    result = answer(capsys, "run", sample_file, "--material", "WSe2", *short, "--out", tmp_path)
    assert {"points.csv", "points.json", "report.md"} <= {Path(name).name for name in result["files"]}
    assert len(list(tmp_path.glob("overlay*.png"))) == 1


def test_what_a_library_prints_does_not_spoil_the_json(
    sample_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chatty(path: Path, **options: object) -> list[STEMImage]:
        print("hello from a library")
        return read_images(path)

    monkeypatch.setattr("napari_stem_gan.cli.images.read_images", chatty)
    assert "accepted" in answer(capsys, "match", sample_file, "--material", "WSe2")


def test_an_unforeseen_error_is_one_line_too(
    sample_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path, **options: object) -> list[STEMImage]:
        raise KeyError("C10")

    monkeypatch.setattr("napari_stem_gan.cli.images.read_images", broken)
    assert main(["match", str(sample_file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: KeyError")


def test_interrupting_ends_with_130_and_writes_nothing(
    sample_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path, **options: object) -> list[STEMImage]:
        signal.raise_signal(signal.SIGINT)
        return read_images(path)

    monkeypatch.setattr("napari_stem_gan.cli.images.read_images", interrupted)
    words = ["detect", str(sample_file), "--material", "WSe2", "--out", str(tmp_path / "points.csv")]
    assert main(words) == 130
    assert list(tmp_path.iterdir()) == []
    assert "error: stopped" in capsys.readouterr().err


def test_detect_says_where_the_network_worked_alone(
    sample_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(size=(128, 128))
    write_image(tmp_path / "noise.tif", STEMImage(data=noise, pixel_size_A=0.205))
    words = ("detect", sample_file, tmp_path / "noise.tif", "--material", "WSe2", "--no-average-flips")
    words = (*words, "--out", tmp_path / "points.csv")
    result = answer(capsys, *words)
    (sentence,) = result["without_lattice"]
    assert sentence.startswith("'noise' has no lattice, so the network worked alone there, unchecked: no periodic")
    assert (result["images"], result["matched"]) == (2, 1)
    assert main([*map(str, words)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"warning: {sentence}"
