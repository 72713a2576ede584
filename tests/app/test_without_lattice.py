"""Images that Match refused: Detect says in its header, its panel and the status line that the network worked alone."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_stem_gan import workflow
from napari_stem_gan.app.jobs import load_workflow

from .conftest import fake_match

SENTENCE = "'noise' has no lattice, so the network worked alone there, unchecked: no periodic structure was found"


@pytest.fixture
def noise() -> Image:
    data = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    return Image(data, name="noise", scale=(0.02, 0.02), units=("nm", "nm"))


@pytest.fixture
def mixed(bench, fake, finish, image_layer, noise, monkeypatch):
    """A workbench after Detect on a matched image and on noise."""

    def match_images(images, config, *, stop=None):
        yield from fake._steps("match", stop)
        why = {"accepted": False, "reason": "no periodic structure was found"}
        return [fake_match(image, **(why if image.name == "noise" else {})) for image in images]

    monkeypatch.setattr(fake, "match_images", match_images)
    workbench = bench(image_layer, noise)
    finish(workbench, "detect")
    return workbench


def test_the_panel_names_the_image_and_why_and_goes_on_saying_so(mixed):
    panel = mixed.shell.panels["detect"]
    assert SENTENCE in panel.result.text().replace("&#x27;", "'")
    panel.slider.setValue(900)
    assert SENTENCE in panel.result.text().replace("&#x27;", "'")


def test_header_and_status_line_are_no_plain_success(mixed):
    said = "⚠ 4 points above 0.50, 1 of 2 without a lattice"
    assert mixed.shell.sections["detect"].header.text() == f"Detect  {said}"
    assert mixed.shell.progress.message.text().startswith(f"Done: {said}")


def test_matched_images_are_detected_without_a_word_of_it(bench, finish):
    workbench = bench()
    finish(workbench, "detect")
    panel = workbench.shell.panels["detect"]
    assert "alone" not in panel.result.text()
    assert workbench.shell.sections["detect"].header.text() == "Detect  ✓ 2 points above 0.50"


def test_the_window_refuses_what_the_command_line_refuses_in_the_same_words(bench, finish, noise):
    workbench = bench(noise)
    workbench.load_workflow = load_workflow
    workbench.shell.panels["match"].form.fields["material"].setEditText("WSe2")
    finish(workbench, "detect", timeout=60000)
    (image,), match = workbench.sources()[0][0].images(), workbench.shell.panels["match"].value()
    matches = workflow.consume(workflow.match_images([image], match))
    with pytest.raises(ValueError, match="no image could be matched, and the network alone") as refusal:
        workflow.consume(workflow.detect([image], matches, workbench.shell.panels["detect"].value(), device="cpu"))
    assert workbench.shell.progress.message.text().startswith(f"Failed: {refusal.value}")


def test_a_long_header_does_not_push_buttons_out_of_the_panel(mixed):
    sections = mixed.shell.sections["detect"].parentWidget()
    wide = sections.minimumSizeHint().width()
    mixed.shell.show_remark("detect", "⚠ " + 20 * "no lattice, ")
    assert sections.minimumSizeHint().width() == wide
    assert mixed.shell.sections["detect"].header.toolTip().startswith("⚠ no lattice")


def test_match_says_in_its_header_that_not_every_image_was_matched(mixed, finish):
    finish(mixed, "match")
    assert mixed.shell.sections["match"].header.text() == "Match  ⚠ 1 of 2 matched"
