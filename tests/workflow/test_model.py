import numpy as np
import pytest
import torch

from napari_stem_gan.models import ModelFileError, load_model, save_model
from napari_stem_gan.workflow import SessionModel
from napari_stem_gan.workflow.model import load_finder


def test_a_session_model_comes_back_from_its_file(tmp_path, model):
    saved = model.save(tmp_path / "today.safetensors")
    assert saved.kind == "session"
    again = SessionModel.load(saved.path, "cpu")
    torch.testing.assert_close(again.finder.state(), model.finder.state(), atol=2e-3, rtol=2e-3)  # halves
    assert again.report == model.report
    assert again.cyclegan.config == model.cyclegan.config


def test_a_reloaded_model_translates_like_the_one_that_was_saved(tmp_path, model, draw_crystal):
    drawn = draw_crystal(shape=(96, 96), single_vacancy=0.05)
    again = SessionModel.load(model.save(tmp_path / "today.safetensors").path, "cpu")
    before, after = model.translate(drawn, seed=3), again.translate(drawn, seed=3)
    np.testing.assert_allclose(before.image.data, after.image.data, atol=0.02 * float(np.ptp(drawn.image.data)))
    assert before.defects == drawn.defects
    np.testing.assert_array_equal(before.positions_px, drawn.positions_px)


def test_the_finder_is_taken_from_a_session_a_session_file_or_a_finder_file(tmp_path, model):
    session = model.save(tmp_path / "today.safetensors").path
    alone = save_model(tmp_path / "alone.safetensors", model.finder.state(), kind="finder", card={}).path
    assert load_finder(model, "cpu") is model.finder
    for path in (session, alone):
        state = load_finder(path, "cpu").state()
        torch.testing.assert_close(state, model.finder.state(), atol=2e-3, rtol=2e-3)


def test_a_session_file_of_another_version_says_to_adapt_again(tmp_path, model):
    state, file = load_model(model.save(tmp_path / "today.safetensors").path, kind="session")
    older = {name: tensor for name, tensor in state.items() if not name.endswith(".limit")}
    assert len(older) < len(state)
    path = save_model(tmp_path / "last_week.safetensors", older, kind="session", card=file.card).path
    with pytest.raises(ModelFileError, match=r"'last_week\.safetensors' is of another version; run Adapt again"):
        load_finder(path, "cpu")


def test_a_foreign_file_is_no_finder(tmp_path):
    (tmp_path / "notes.safetensors").write_bytes(b"not a model at all, only a note")
    with pytest.raises(ModelFileError, match=r"notes\.safetensors"):
        load_finder(tmp_path / "notes.safetensors", "cpu")
