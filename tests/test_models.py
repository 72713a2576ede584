"""Model files: weights and card in one safetensors file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_stem_gan import models
from napari_stem_gan.models import ModelFileError, list_models, load_model, save_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's model folder, empty."""
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"a.weight": torch.randn(4, 3), "steps": torch.tensor(7), "big": torch.tensor([1e6])}


def test_model_comes_back_as_fp32_with_its_card(folder: Path) -> None:
    saved = save_model(folder / "mine", weights(), kind="finder", card={"pixel_size_A": 0.2, "classes": ("V_Se",)})
    state, loaded = load_model("mine", kind="finder")
    assert loaded == saved
    assert loaded.card == {"pixel_size_A": 0.2, "classes": ["V_Se"]}
    torch.testing.assert_close(state["a.weight"], weights()["a.weight"], atol=1e-3, rtol=1e-3)
    assert state["a.weight"].dtype == torch.float32
    assert state["steps"] == 7
    assert state["big"] == 1e6


def test_full_precision_is_exact(folder: Path) -> None:
    save_model(folder / "mine", weights(), kind="finder", card={}, half=False)
    assert torch.equal(load_model(folder / "mine.safetensors", kind="finder")[0]["a.weight"], weights()["a.weight"])


def test_half_precision_halves_the_file(folder: Path) -> None:
    state = {"a": torch.randn(100_000)}
    half = save_model(folder / "half", state, kind="finder", card={}).path.stat().st_size
    assert half < 0.51 * save_model(folder / "full", state, kind="finder", card={}, half=False).path.stat().st_size


def test_card_is_beside_the_file_but_not_needed(folder: Path) -> None:
    save_model(folder / "mine", weights(), kind="cgrdn", card={"score": 1.5})
    assert json.loads((folder / "mine.json").read_text())["score"] == 1.5
    (folder / "mine.json").unlink()
    assert load_model("mine", kind="cgrdn")[1].card["score"] == 1.5


def test_new_models_are_listed_at_once_by_kind(folder: Path) -> None:
    before = len(list_models())
    save_model(folder / "mine", weights(), kind="session", card={})
    (folder / "foreign.safetensors").write_bytes(b"x" * 100)
    assert len(list_models()) == before + 1
    assert "mine" in [model.name for model in list_models("session")]
    assert "mine" not in [model.name for model in list_models("finder")]


def test_shared_tensors_are_stored(folder: Path) -> None:
    tensor = torch.ones(3)
    save_model(folder / "mine", {"a": tensor, "b": tensor}, kind="finder", card={})
    assert load_model("mine", kind="finder")[0]["b"].tolist() == [1, 1, 1]


def test_other_kind_is_refused(folder: Path) -> None:
    save_model(folder / "mine", weights(), kind="cgrdn", card={})
    with pytest.raises(ModelFileError, match="is a cgrdn model but a finder is needed"):
        load_model("mine", kind="finder")


def test_unknown_name_lists_what_there_is(folder: Path) -> None:
    save_model(folder / "mine", weights(), kind="finder", card={})
    with pytest.raises(ModelFileError, match=r"'nobody' was not found.*mine"):
        load_model("nobody", kind="finder")


def test_weights_that_are_not_finite_are_not_saved(folder: Path) -> None:
    with pytest.raises(ModelFileError, match="not finite"):
        save_model(folder / "mine", {"a": torch.tensor([float("nan")])}, kind="finder", card={})
    assert not list(folder.iterdir())


def test_listing_models_does_not_import_torch(folder: Path) -> None:
    save_model(folder / "mine", weights(), kind="finder", card={})
    code = (
        "import sys; from napari_stem_gan.models import list_models; print(len(list_models()), 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(shown[0]) >= 1
    assert shown[1] == "False"
