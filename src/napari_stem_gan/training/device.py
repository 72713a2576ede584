"""Where the work runs: device, precision, seed, and what to do when memory runs out."""

from __future__ import annotations

import gc
import random
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEVICES = ("auto", "cpu", "cuda", "mps")
SMALL_PX = 2**19  # two threads take 1.5 s where one takes 1.2 s for a fit on a quarter of a million pixels


def best_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    kind = str(name).split(":", 1)[0].lower()
    if kind not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got '{name}'; use auto")
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if has[device]))
    if not has[kind]:
        raise ValueError(f"device '{name}' is not available with this machine and torch; use auto or cpu")
    try:
        device = torch.device(str(name).lower())
    except RuntimeError:
        raise ValueError(f"device must look like cpu or cuda:0, got '{name}'; use auto") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device '{name}' does not exist, this machine has {torch.cuda.device_count()}; use cuda:0")
    return device


@contextmanager
def threads_for(pixels: int) -> Iterator[None]:
    """Many small steps on an image of so many pixels: on one thread where waking others costs more than they save."""
    before = torch.get_num_threads()
    if pixels < SMALL_PX:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_note(device: torch.device | str) -> str:
    """Say in words where the work runs, and whether a graphics card is left unused."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"CUDA: {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "MPS: Apple graphics"
    precision = "bf16" if _cpu_has_bf16() else "fp32"
    threads = torch.get_num_threads()
    note = f"CPU ({threads} thread{'s' if threads > 1 else ''}, {precision})"
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        note += " — this torch has no CUDA although an NVIDIA card is present; install a CUDA build of torch"
    return note


@cache
def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        flags = ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(device: torch.device | str) -> AbstractContextManager[Any]:
    """Return a bfloat16 context where that is faster (CUDA, CPUs with bf16), else a context that does nothing."""
    kind = torch.device(device).type
    pays = (kind == "cuda" and torch.cuda.is_bf16_supported()) or (kind == "cpu" and _cpu_has_bf16())
    return torch.autocast(kind, dtype=torch.bfloat16) if pays else nullcontext()


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch; return a CPU generator with the same seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (for libraries that still draw from it)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def free_memory(device: torch.device | str) -> None:
    """Give cached memory back to the device."""
    gc.collect()
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device has no memory left (CUDA, MPS or CPU)."""
    text = str(error).lower()
    told = "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and told)


def halve_batch(batch: Any) -> Any:
    """Return the first half (at least one item) of tensors, or of tuples, lists and dicts of tensors, along axis 0."""
    if isinstance(batch, Tensor | np.ndarray) and batch.ndim:
        return batch[: max(1, len(batch) // 2)]
    if isinstance(batch, dict):
        return {key: halve_batch(value) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        halves = [halve_batch(value) for value in batch]
        return type(batch)(*halves) if hasattr(batch, "_fields") else type(batch)(halves)
    return batch


def batch_size(batch: Any) -> int:
    """Length along axis 0 of the first tensor in `batch`; 1 where there is none."""
    if isinstance(batch, Tensor | np.ndarray) and batch.ndim:
        return len(batch)
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else ()
    return max((batch_size(part) for part in parts), default=1)
