"""Device, precision, seed, and batches that are too large."""

from contextlib import nullcontext

import pytest
import torch

from napari_stem_gan.training import (
    autocast,
    best_device,
    device_note,
    free_memory,
    halve_batch,
    is_out_of_memory,
    seed_everything,
    threads_for,
)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["gpu", "", "cuda:9", "cpu:x", "tpu:0"])
def test_unknown_or_absent_device_is_told_in_one_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"device .*use"):
        best_device(name)


def test_note_names_the_cpu() -> None:
    assert device_note("cpu").startswith("CPU (")


def test_note_says_when_a_card_lies_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert "no CUDA although an NVIDIA card is present" in device_note(torch.device("cpu"))


def test_autocast_is_bfloat16_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_stem_gan.training.device._cpu_has_bf16", lambda: True)
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    monkeypatch.setattr("napari_stem_gan.training.device._cpu_has_bf16", lambda: False)
    assert isinstance(autocast("cpu"), nullcontext)


def test_same_seed_gives_the_same_numbers() -> None:
    first = torch.rand(3, generator=seed_everything(5)), torch.rand(3)
    second = torch.rand(3, generator=seed_everything(5)), torch.rand(3)
    assert torch.equal(torch.cat(first), torch.cat(second))


def test_batches_of_any_kind_are_halved() -> None:
    tensor = torch.arange(10)
    halved = halve_batch({"a": (tensor, [tensor.reshape(5, 2), 3])})
    assert halved["a"][0].tolist() == [0, 1, 2, 3, 4]
    assert halved["a"][1][0].shape == (2, 2)
    assert halved["a"][1][1] == 3
    assert len(halve_batch(tensor[:1])) == 1


def test_out_of_memory_is_recognised_on_every_device() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))


def test_freeing_memory_works_without_a_card() -> None:
    free_memory("cpu")


def test_small_images_take_one_thread_and_the_others_come_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(512 * 512):
            small = torch.get_num_threads()
        with threads_for(2048 * 2048):
            large = torch.get_num_threads()
        with pytest.raises(KeyError), threads_for(1):
            raise KeyError
        assert (small, large, torch.get_num_threads()) == (1, 2, 2)
    finally:
        torch.set_num_threads(before)
