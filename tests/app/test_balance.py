"""The button beside the slider: one press to the threshold that the session's candidates call for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Image

from napari_stem_gan.app.curation import ACCEPTED, REJECTED
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.detect.threshold import balanced_threshold

from .conftest import detection


def layer_of(workbench):
    ((_, layer),) = workbench.results.of_kind("defects")
    return layer


@pytest.fixture
def faint(bench, finish, fake, monkeypatch):
    """A workbench after Detect on faint candidates."""

    def detect(images, matches, config, **more):
        yield from fake._steps("detect", None)
        return [SimpleNamespace(**{**vars(detection(image)), "points": candidates(image)}) for image in images]

    monkeypatch.setattr(fake, "detect", detect)

    def run(*layers):
        workbench = bench(*layers)
        finish(workbench, "detect")
        return workbench, workbench.shell.panels["detect"]

    return run


def candidates(image) -> PointTable:
    """The second image is the fainter one."""
    confidence = np.array([0.9, 0.45, 0.45] if image.name.endswith("001") else [0.4, 0.4, 0.06])
    return PointTable.build(
        image=image.name, frame=image.frame, positions_px=np.array([[9.0, 9.0], [30.0, 30.0], [50.0, 60.0]]),
        pixel_size_nm=0.02, defects=["V_Se"] * 3, sublattices=["Se"] * 3, confidence=confidence,
    )  # fmt: skip


def test_one_press_sets_the_balanced_threshold_and_shows_its_points(faint):
    workbench, panel = faint()
    assert len(layer_of(workbench).data) == 1
    panel.balance.click()
    assert panel.threshold() == panel.value().threshold == balanced_threshold([0.9, 0.45, 0.45]) == 0.45
    assert (panel.slider.value(), panel.number.text()) == (450, "0.45")
    assert len(layer_of(workbench).data) == 3


def test_moving_the_slider_takes_it_back(faint):
    workbench, panel = faint()
    panel.balance.click()
    assert panel.expected.text().startswith("expect 60\u00a0% of the points to be right, and 100\u00a0% of")
    panel.slider.setValue(500)
    assert panel.threshold() == 0.5
    assert panel.expected.isHidden()
    assert len(layer_of(workbench).data) == 1


def test_all_images_of_the_session_count_together(faint, image_layer):
    data = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    second = Image(data, name="day WSe2 002", scale=(0.02, 0.02), units=("nm", "nm"))
    workbench, panel = faint(image_layer, second)
    panel.balance.click()
    assert panel.threshold() == balanced_threshold([0.9, 0.45, 0.45, 0.4, 0.4, 0.06]) == 0.4


def test_decisions_of_the_user_are_certain(faint):
    workbench, panel = faint()
    panel.set_threshold(0.1)
    workbench.results.filter(0.1)
    curated, layer = workbench.results.curated, layer_of(workbench)
    curated.decide(layer, [0], REJECTED)
    curated.decide(layer, [0], ACCEPTED)
    panel.balance.click()
    assert panel.threshold() == balanced_threshold([0.0, 1.0, 0.45])
    curated.undo()
    assert panel.expected.isHidden()


def test_without_candidates_there_is_nothing_to_press(bench, faint, qtbot):
    empty = bench()
    assert not empty.shell.panels["detect"].balance.isEnabled()
    workbench, panel = faint()
    assert panel.balance.isEnabled()
    workbench.viewer.layers.remove(layer_of(workbench))
    qtbot.waitUntil(lambda: not panel.balance.isEnabled())


def test_the_sentence_of_the_known_answer_follows(bench, finish):
    workbench = bench()
    panel = workbench.shell.panels["detect"]
    panel.set_value(DetectConfig(known_answer=True, threshold=0.95))
    finish(workbench, "detect")
    before = panel.expected.text()
    panel.balance.click()
    assert panel.threshold() == balanced_threshold([0.95, 0.6, 0.2]) == 0.5
    assert panel.expected.text() != before
    assert "75\u00a0% found" in panel.expected.text()


def test_a_config_with_the_word_leaves_the_slider(bench):
    workbench = bench()
    panel = workbench.shell.panels["detect"]
    panel.set_threshold(0.7)
    panel.set_value(DetectConfig(threshold="balanced"))
    assert panel.value().threshold == 0.7
