import json
from dataclasses import replace

import numpy as np

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.table import read_csv
from napari_stem_gan.detect.threshold import balanced_threshold
from napari_stem_gan.models import state_sha256
from napari_stem_gan.workflow import consume, detect, provenance, write_table

CONFIG = DetectConfig(average_flips=False, threshold=0.3)


def test_the_table_holds_the_points_above_the_threshold_of_all_images(tmp_path, images, matches, model):
    found = consume(detect(images, matches, CONFIG, model=model, device="cpu"))
    middle = float(np.median(np.concatenate([d.points["confidence"] for d in found])))
    config = replace(CONFIG, threshold=middle)
    table = write_table(tmp_path / "points.csv", images, matches, found, configs=[config], model=model)
    assert len(table) == sum(int((d.points["confidence"] >= middle).sum()) for d in found)
    assert len(table) < sum(len(d.points) for d in found)
    assert len(read_csv(tmp_path / "points.csv")) == len(table)


def test_the_provenance_names_images_model_threshold_and_settings(tmp_path, images, matches, model):
    found = consume(detect(images, matches, CONFIG, model=model, device="cpu"))
    configs = [MatchConfig(material="WSe2"), CONFIG]
    write_table(tmp_path / "points.csv", images, matches, found, configs=configs, model=model)
    told = json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))
    assert [i["sha256"] for i in told["images"]] == [i.sha256 for i in images]
    assert told["images"][0]["match"]["accepted"] is True
    assert told["model"]["sha256"] == state_sha256(model.finder.state())
    assert told["threshold"] == 0.3
    assert told["pixel_size_nm"] == images[0].pixel_size_nm
    assert told["configs"]["MatchConfig"]["material"] == "WSe2"
    assert {"napari-stem-gan", "python", "torch"} <= set(told["versions"])


def test_a_balanced_threshold_is_told_as_number_and_word(tmp_path, images, matches, model):
    config = replace(CONFIG, threshold="balanced")
    found = consume(detect(images, matches, config, model=model, device="cpu"))
    table = write_table(tmp_path / "points.csv", images, matches, found, configs=[config], model=model)
    told = json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))
    assert told["threshold"] == balanced_threshold(np.concatenate([d.points["confidence"] for d in found]))
    assert len(table) == sum(len(d.points.filter(told["threshold"])) for d in found)
    assert told["configs"]["DetectConfig"]["threshold"] == "balanced"


def test_a_model_file_is_named_by_its_hash(tmp_path, images, matches, model):
    saved = model.save(tmp_path / "today.safetensors")
    found = consume(detect(images, matches, CONFIG, model=saved.path, device="cpu"))
    write_table(tmp_path / "points.csv", images, matches, found, configs=[CONFIG], model=saved.path)
    told = json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))
    assert told["model"]["sha256"] == saved.sha256


def test_a_session_file_may_be_called_finder(tmp_path, images, matches, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = model.save("finder_today.safetensors")
    told = provenance(images, matches, configs=[CONFIG], model="finder_today.safetensors")
    assert told["model"] == {"name": "finder_today", "sha256": saved.sha256}
