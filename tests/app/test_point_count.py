"""What was said of the points when Detect ended stays true: header and status line follow the slider and the user."""

from __future__ import annotations

import pytest
from napari.layers import Image

from napari_stem_gan.app.curation import ACCEPTED, REJECTED
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.threshold import balanced_threshold

from .conftest import CONFIDENCE


@pytest.fixture
def found(bench, finish):
    """A workbench after Detect: confidences 0.95, 0.6 and 0.2, the slider at 0.50."""
    workbench = bench()
    finish(workbench, "detect")
    return workbench


def header(workbench):
    return workbench.shell.sections["detect"].header.text().removeprefix("Detect  ✓ ")


def status(workbench):
    return workbench.shell.progress.message.text().rpartition(" (")[0]


def defects(workbench):
    ((_, layer),) = workbench.results.of_kind("defects")
    return layer


@pytest.mark.parametrize(("place", "said"), [(900, "1 point above 0.90"), (100, "3 points above 0.10")])
def test_the_count_follows_the_slider(found, place, said):
    assert status(found) == f"Done: {header(found)}" == "Done: 2 points above 0.50"
    found.shell.panels["detect"].slider.setValue(place)
    assert status(found) == f"Done: {header(found)}" == f"Done: {said}"


def test_the_count_follows_balance(found):
    panel = found.shell.panels["detect"]
    panel.slider.setValue(900)
    panel.balance.click()
    assert balanced_threshold(CONFIDENCE) == 0.5
    assert header(found) == "2 points above 0.50"


def test_the_count_follows_decisions_and_undo(found):
    curated = found.results.curated
    curated.decide(defects(found), [0], REJECTED)
    assert header(found) == "1 point above 0.50"
    curated.undo()
    assert status(found) == f"Done: {header(found)}" == "Done: 2 points above 0.50"


def test_accepted_points_below_the_threshold_are_told_apart(found):
    panel = found.shell.panels["detect"]
    panel.slider.setValue(100)
    found.results.curated.decide(defects(found), [2], ACCEPTED)
    panel.slider.setValue(500)
    assert header(found) == "2 points above 0.50, 1 accepted below"
    assert len(defects(found).data) == 3


def test_a_second_search_counts_what_was_rejected_before_no_more(found, finish):
    found.results.curated.decide(defects(found), [0], REJECTED)
    finish(found, "detect")
    assert status(found) == f"Done: {header(found)}" == "Done: 1 point above 0.50"


def test_defaults_move_the_points_with_the_slider(found):
    panel = found.shell.panels["detect"]
    panel.slider.setValue(900)
    panel.defaults.click()
    assert panel.value() == DetectConfig()
    assert len(defects(found).data) == 2
    assert header(found) == "2 points above 0.50"


def test_the_end_of_another_job_is_not_overwritten(found, finish):
    finish(found, "restore")
    ended = status(found)
    found.shell.panels["detect"].slider.setValue(900)
    assert status(found) == ended == "Done: 1 image restored"
    assert header(found) == "1 point above 0.90"


def test_a_failed_search_keeps_its_reason(found, fake, finish):
    fake.error = ValueError("the disk is full")
    finish(found, "detect")
    found.shell.panels["detect"].slider.setValue(900)
    assert status(found) == "Failed: the disk is full"


def test_points_of_a_layer_that_was_deleted_count_no_more(found, finish, image_layer, qtbot):
    found.viewer.add_layer(Image(image_layer.data, name="day WSe2 002", scale=(0.02, 0.02), units=("nm", "nm")))
    finish(found, "detect")
    assert header(found) == "4 points above 0.50"

    found.viewer.layers.remove(found.results.find(image_layer, "defects"))
    qtbot.waitUntil(lambda: header(found) == "2 points above 0.50")

    for _, layer in found.results.of_kind("defects"):
        found.viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: header(found) == "Detect")
    assert status(found) == "Done"
