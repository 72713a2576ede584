"""Looking at points one by one: next, accept, reject, add, undo, by button and by key, and the evidence card."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.notifications import notification_manager
from napari.utils.shortcuts import default_shortcuts

from napari_stem_gan.app.curation import ACCEPTED, ADDED, REJECTED
from napari_stem_gan.app.evidence_card import words
from napari_stem_gan.app.shell import SELECTED

from .conftest import TRUE_PX


@pytest.fixture
def found(bench, finish):
    """A workbench after Detect, every candidate shown."""
    workbench = bench()
    workbench.shell.panels["detect"].set_threshold(0.1)
    finish(workbench, "detect")
    settle(workbench)
    return workbench


def row_of(workbench):
    return workbench.shell.panels["detect"].curation


def layer_of(workbench):
    ((_, layer),) = workbench.results.of_kind("defects")
    return layer


def settle(workbench):
    workbench.curation._on_settled()


def selected(workbench):
    layer = layer_of(workbench)
    return [str(layer.features["defect"].iloc[i]) for i in layer.selected_data]


def decisions(workbench):
    return dict(zip(layer_of(workbench).features["defect"], layer_of(workbench).features["decision"], strict=True))


def test_next_shows_the_least_sure_point_first(found, image_layer):
    seen = []
    for _ in range(4):
        row_of(found).next.click()
        seen += selected(found)

    assert seen == ["V_W", "V_2Se", "V_Se", "V_W"]
    np.testing.assert_allclose(found.viewer.camera.center[-2:], image_layer.data_to_world(TRUE_PX[2]))
    assert found.viewer.layers.selection.active is layer_of(found)
    row_of(found).previous.click()
    assert selected(found) == ["V_Se"]


def test_a_decision_goes_on_to_the_next_point(found):
    row_of(found).next.click()
    settle(found)

    row_of(found).accept.click()
    settle(found)
    row_of(found).reject.click()
    settle(found)

    assert selected(found) == ["V_Se"]
    assert decisions(found) == {"V_W": ACCEPTED, "V_Se": ""}
    assert row_of(found).count.text() == "1 undecided · 1 accepted · 1 rejected"


def test_undo_by_its_button(found):
    row_of(found).next.click()
    settle(found)
    row_of(found).reject.click()
    settle(found)

    row_of(found).undo.click()
    settle(found)

    assert decisions(found) == {"V_Se": "", "V_2Se": "", "V_W": ""}
    assert not row_of(found).undo.isEnabled()


def test_keys_do_what_the_buttons_do(found):
    layer = layer_of(found)
    keys = {str(key): do for key, do in layer.keymap.items()}

    keys["."](layer)
    keys["Y"](layer)
    keys["N"](layer)
    assert decisions(found) == {"V_W": ACCEPTED, "V_Se": ""}
    keys["Ctrl+Z"](layer)

    assert decisions(found) == {"V_W": ACCEPTED, "V_Se": "", "V_2Se": ""}


def test_no_key_is_taken_from_napari(found):
    ours = {coerce_keybinding(key) for key in found.curation._keys()}
    prefix = ("napari:activate_points", "napari:select_all", "napari:select_append", "napari:delete")
    of_others = ("_labels_", "_shapes_", "_image_", "_vectors_", "_tracks_", "_surface_")
    napari_s = {
        coerce_keybinding(key)
        for name, keys in default_shortcuts.items()
        if name.startswith(prefix) or not any(other in name for other in of_others)
        for key in keys
        if "orient_plane" not in name  # of volumes
    }

    assert not ours & napari_s
    assert not ours & set(found.viewer.keymap)


def test_add_puts_a_point_on_the_nearest_site_of_its_sublattice(found):
    row = row_of(found)
    row.add.click()
    layer = layer_of(found)
    assert str(layer.mode) == "add"
    row.defect.setCurrentText("V_W")
    match = found.curation._evidence.match_of(found.sources()[0][0].layer)
    sites = match.sites((64, 96))
    metal = np.array([c.role == "metal" for c in sites.material.columns])[sites.column]
    far = np.linalg.norm(sites.positions_px[:, None] - TRUE_PX[None], axis=2).min(1) > 15
    site = sites.positions_px[metal & far][0]

    layer.add(site + 1.5)
    settle(found)
    row.add.click()

    np.testing.assert_allclose(layer.data[-1], site)
    assert layer.features["defect"].iloc[-1] == "V_W"
    assert layer.features["decision"].iloc[-1] == ADDED
    assert layer.face_color[-1, 3] > 0.3
    assert str(layer.mode) == "select"


def test_add_on_a_candidate_below_the_threshold_accepts_it_under_the_name_that_was_chosen(found):
    found.shell.panels["detect"].slider.setValue(500)
    row, layer = row_of(found), layer_of(found)
    row.add.click()
    row.defect.setCurrentText("V_2Se")

    layer.add(TRUE_PX[2] + 0.5)  # V_W, confidence 0.2
    settle(found)

    assert list(layer.features["defect"]) == ["V_Se", "V_2Se", "V_2Se"]
    assert list(layer.features["decision"]) == ["", "", ACCEPTED]
    np.testing.assert_allclose(layer.data[2], TRUE_PX[2])


def test_one_selected_point_has_its_evidence_on_the_card(found):
    card = row_of(found).card
    assert card.crops.isHidden()

    layer_of(found).selected_data = {0}
    settle(found)

    assert not card.crops.isHidden()
    assert "V_Se" in card.numbers.text()
    assert "0.95" in card.numbers.text()
    layer_of(found).selected_data = {0, 1}
    settle(found)
    assert card.crops.isHidden()


def test_the_restored_crop_is_shown_where_there_is_one(found, finish):
    finish(found, "restore")
    layer_of(found).selected_data = {0}
    settle(found)

    titles = [item.text for item in row_of(found).card.crops.ci.items if hasattr(item, "text")]

    assert "restored" in titles


def test_the_card_says_numbers_in_words():
    row = {
        "defect": "V_Se", "sublattice": "Se", "decision": "", "confidence": 0.61, "confidence_spread": 0.12,
        "network_score": 0.44, "intensity_ratio": 0.52, "z_score": 6.3, "position_error_nm": 0.004,
    }  # fmt: skip

    assert words(row, 5.84, 36).split("<br>") == [
        "<b>V_Se</b> on Se · undecided",
        "confidence 0.61 ± 0.12 · network 0.44",
        "0.52 × its neighbours, 6.3 σ darker",
        "crop: 5.8 σ darker than 36 like places",
        "position ± 4.0 pm",
    ]
    assert "no lattice" in words({"defect": "V_Se", "confidence": 0.6}, np.nan, 0)


def test_the_card_tells_what_happened_on_a_stack():
    row = {"defect": "V_Se", "confidence": 0.6, "track_id": 10.0, "event": "moved+filled"}
    assert words(row, np.nan, 0).endswith("<br>track 10, moved here, filled in the next frame")
    assert "track" not in words(row | {"track_id": np.nan, "event": ""}, np.nan, 0)


def test_a_saved_table_can_be_looked_at_without_a_new_search(found, bench, tmp_path, image_layer):
    found.results.curated.decide(layer_of(found), [0], REJECTED)
    path = str(tmp_path / "points.csv")
    found.save_csv(path)
    found.viewer.layers.remove(layer_of(found))
    found.results.curated._of.clear()

    found.load_csv(path)

    assert decisions(found) == {"V_2Se": "", "V_W": ""}
    row_of(found).show_rejected.setChecked(True)
    assert decisions(found)["V_Se"] == REJECTED


def test_a_table_on_an_unsearched_image_is_told_of_and_can_be_saved(found, bench, tmp_path):
    found.save_csv(str(tmp_path / "p.csv"))
    fresh = bench()
    panel = fresh.shell.panels["detect"]
    assert not panel.save.isEnabled()
    fresh.load_csv(str(tmp_path / "p.csv"))
    settle(fresh)
    assert "V_2Se" in panel.result.text()
    assert panel.save.isEnabled()


def test_a_table_with_a_point_nowhere_is_refused_and_nothing_is_lost(found, tmp_path):
    found.results.curated.decide(layer_of(found), [0], REJECTED)
    found.save_csv(str(tmp_path / "p.csv"))
    head, first, *rest = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    cells[2] = ""
    (tmp_path / "p.csv").write_text("\n".join([head, ",".join(cells), *rest]) + "\n", encoding="utf-8")
    before = found.results.curated.tables(rejected=True)
    found.load_csv(str(tmp_path / "p.csv"))
    assert "got none in row 2" in notification_manager.records[-1].message
    np.testing.assert_array_equal(found.results.curated.tables(rejected=True)[0]["decision"], before[0]["decision"])


def test_points_outside_the_image_are_left_out_and_told_of(found, tmp_path):
    found.results.curated.decide(layer_of(found), [0, 1], REJECTED)
    found.save_csv(str(tmp_path / "p.csv"))
    for _ in range(2):
        found.results.curated.undo()
    head, *rows = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    cells = rows[-1].split(",")
    cells[2] = "4000.0"
    (tmp_path / "p.csv").write_text("\n".join([head, *rows[:-1], ",".join(cells)]) + "\n", encoding="utf-8")

    found.load_csv(str(tmp_path / "p.csv"))

    told = notification_manager.records[-1].message
    assert told.startswith("1 decision taken over")
    assert told.endswith("outside their image: 1")


def test_where_the_points_are_gone_there_is_nothing_to_save(found, qtbot):
    panel = found.shell.panels["detect"]
    found.viewer.layers.remove(layer_of(found))
    qtbot.waitUntil(lambda: not panel.save.isEnabled())
    assert panel.result.isHidden()


def test_a_table_of_another_image_is_refused_in_words(found, tmp_path):
    path = tmp_path / "points.csv"
    found.save_csv(str(path))
    path.write_text(path.read_text().replace("day WSe2 001", "another day"))

    found.load_csv(str(path))

    assert "another day" in notification_manager.records[-1].message


def test_a_selected_defect_layer_stands_for_its_image(found):
    found.shell.scope.setCurrentText(SELECTED)

    found.viewer.layers.selection = {layer_of(found)}

    assert [source.name for source in found.sources()[0]] == ["day WSe2 001"]


def test_closing_gives_the_keys_back(found):
    layer = layer_of(found)

    found.close()

    assert not layer.keymap


def test_in_a_stack_next_goes_to_the_point_s_frame(bench, finish):
    data = np.random.default_rng(3).random((3, 64, 96), dtype=np.float32)
    stack = Image(data, name="movie", scale=(2.0, 0.02, 0.02), units=("s", "nm", "nm"))
    workbench = bench(stack)
    workbench.shell.panels["detect"].set_threshold(0.5)
    finish(workbench, "detect")
    settle(workbench)

    for _ in range(2):
        row_of(workbench).next.click()
    settle(workbench)

    layer = layer_of(workbench)
    (index,) = layer.selected_data
    assert workbench.viewer.dims.current_step[0] == layer.data[index][0] == 1
    assert not row_of(workbench).card.crops.isHidden()


def test_the_header_says_how_much_is_left(found):
    assert found.shell.panels["detect"].review.header.text() == "Review points  3 undecided"
