import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.image import ImageError
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.simulate.config import SimulateConfig
from napari_stem_gan.training import Stopped
from napari_stem_gan.workflow import consume, detect, match_images, restore, simulate

FAST = DetectConfig(average_flips=False)


@pytest.fixture
def stopped():
    event = threading.Event()
    event.set()
    return event


def test_every_image_is_matched_and_the_progress_ends_at_one(images):
    seen = []
    found = consume(match_images(images, MatchConfig(material="WSe2")), seen.append)
    assert [m.accepted for m in found] == [True, True]
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert seen[-1].message == "2 of 2 images matched"


def test_the_material_is_taken_from_the_file_name_although_twins_exist(images):
    named = [replace(i, name=i.name.replace("WSe2", "MoSe2")) for i in images]
    assert {m.material for m in consume(match_images(named, MatchConfig()))} == {"MoSe2"}
    by_folder = [replace(i, name="001", source="/data/2024 WSe₂ CVD/001.dm4") for i in images]
    assert {m.material for m in consume(match_images(by_folder, MatchConfig()))} == {"WSe2"}


def test_a_named_material_goes_before_the_file_name(images):
    assert {m.material for m in consume(match_images(images, MatchConfig(material="MoSe2")))} == {"MoSe2"}


def test_the_images_of_a_session_agree_on_one_material(draw_crystal):
    images = [replace(draw_crystal("SrTiO3", rotation_deg=r).image, name=f"oxide_{r}") for r in (3.0, 20.0)]
    found = consume(match_images(images, MatchConfig()))
    assert all(m.accepted for m in found)
    assert len({m.material for m in found}) == 1


def test_no_image_is_refused():
    with pytest.raises(ImageError, match="at least one image"):
        consume(match_images([], MatchConfig()))


def test_simulated_images_are_named_and_counted(images, matches):
    config = SimulateConfig(count=2, size_px=96)
    seen = []
    drawn = consume(simulate(images, matches, config), seen.append)
    assert [d.image.name for d in drawn] == ["simulated_WSe2_001", "simulated_WSe2_002"]
    assert seen[-1].fraction == 1.0
    assert all(d.image.shape == (96, 96) for d in drawn)


def test_detection_gives_one_result_for_each_image_under_its_name(images, matches, model):
    found = consume(detect(images, matches, FAST, model=model, device="cpu"))
    assert [set(d.points["image"]) for d in found] == [{i.name} for i in images]
    assert found[0].probability.shape[1:] == images[0].shape


def test_the_frames_of_a_stack_share_their_tracks(images, matches, model):
    stack = [replace(images[0], name="stack", frame=number) for number in range(2)]
    settings = replace(FAST, threshold=0.06)
    found = consume(detect(stack, [matches[0]] * 2, settings, model=model, device="cpu"))
    first, second = (one.points for one in found)
    assert np.isfinite(first.filter(0.06)["track_id"]).all()
    np.testing.assert_array_equal(first["track_id"], second["track_id"])
    assert set(first["event"]) == {""}
    assert "track_id" not in consume(detect(images, matches, FAST, model=model, device="cpu"))[0].points.columns


def test_an_image_of_another_material_is_refused(images, matches, model):
    wrong = replace(matches[0], accepted=False, reason="no lattice was found", best_other="SrTiO3")
    with pytest.raises(ValueError, match="must show WSe2: no lattice was found; choose the material"):
        consume(detect(images, [wrong, matches[1]], FAST, model=model, device="cpu"))


def test_where_several_materials_fit_nobody_is_told_that_one_must_be_shown(images, matches, model):
    reason = "without a pixel size graphene fits, but so does hBN; choose the material or give the pixel size"
    open_choice = replace(matches[0], accepted=False, reason=reason, material="graphene", best_other="hBN")
    with pytest.raises(ValueError, match=f"^'{images[0].name}' was not matched: {reason}$"):
        consume(detect(images, [open_choice, matches[1]], FAST, model=model, device="cpu"))


def test_stop_raises_stopped_in_every_step(images, matches, model, stopped):
    for steps in (
        match_images(images, MatchConfig(), stop=stopped),
        simulate(images, matches, SimulateConfig(), stop=stopped),
        detect(images, matches, FAST, model=model, device="cpu", stop=stopped),
        restore(images, RestoreConfig(), device="cpu", stop=stopped),
    ):
        with pytest.raises(Stopped):
            consume(steps)


def test_stop_between_two_images_ends_after_the_first(images):
    stop = threading.Event()
    seen = []

    def listen(progress):
        seen.append(progress)
        stop.set()

    with pytest.raises(Stopped):
        consume(match_images(images, MatchConfig(material="WSe2"), stop=stop), listen)
    assert len(seen) == 1


def test_images_are_not_changed_by_the_steps(images, matches, model):
    before = [i.data.copy() for i in images]
    consume(simulate(images, matches, SimulateConfig(count=1, size_px=64)))
    consume(detect(images, matches, FAST, model=model, device="cpu"))
    for image, data in zip(images, before, strict=True):
        np.testing.assert_array_equal(image.data, data)


def test_an_image_without_a_lattice_takes_the_sessions_material(images):
    plain = [replace(image, name=f"{i}") for i, image in enumerate(images)]
    noise = replace(images[0], name="noise", data=np.random.default_rng(0).normal(size=(160, 176)))
    found = consume(match_images([*plain, noise], MatchConfig()))
    assert [m.accepted for m in found] == [True, True, False]
    assert found[2].material == found[0].material


def test_the_network_alone_finds_defects_where_match_found_no_lattice(images, matches):
    lost = [replace(m, accepted=False, reason="too dark") for m in matches]
    found = consume(detect(images, lost, FAST, device="cpu"))
    assert sum(len(one.points.filter(0.5)) for one in found) >= 3
    assert all("alone" in one.note for one in found)


def test_a_session_in_which_neither_match_nor_the_network_finds_anything_is_refused(images, matches):
    noise = replace(images[0], data=np.random.default_rng(0).normal(size=(160, 176)))
    lost = replace(matches[0], accepted=False, reason="no periodic structure was found")
    says = "no image could be matched, and the network alone found no defect: no periodic structure was found;"
    with pytest.raises(ValueError, match=says):
        consume(detect([noise], [lost], FAST, device="cpu"))
    beside = consume(detect([noise, images[1]], [lost, matches[1]], FAST, device="cpu"))
    assert len(beside[0].points) == 0
