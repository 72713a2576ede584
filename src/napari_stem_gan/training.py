"""One training loop for every network: progress, checkpoints, time budget, stop, out-of-memory recovery."""

from __future__ import annotations

import gc
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_stem_gan.io import OutputError, atomic_write

DEVICES = ("auto", "cpu", "cuda", "mps")


class Stopped(Exception):
    """A step ended early because its stop event was set."""


class TrainingError(Exception):
    """Training cannot go on; the message says what to do."""


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


def _batch_size(batch: Any) -> int:
    """Length along axis 0 of the first tensor in `batch`; 1 where there is none."""
    if isinstance(batch, Tensor | np.ndarray) and batch.ndim:
        return len(batch)
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else ()
    return max((_batch_size(part) for part in parts), default=1)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """When training ends, reports and saves."""

    steps: int | None
    """Optimiser steps in all, earlier runs of the same checkpoint included; empty: until the time is used up."""
    minutes: float | None = None
    """Time budget of this run in minutes; empty: none."""
    report_every: int = 10
    """Steps between two readings of the losses."""
    preview_every: int = 0
    """Steps between two preview images; 0: no previews."""
    checkpoint: Path | None = None
    """File that training resumes from and saves to; empty: nothing is saved."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""
    epoch_steps: int = 100
    """Steps between two calls of the model's `end_epoch`, where it is scored."""

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise ValueError("steps or minutes must be given, got neither; set one of them")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}; raise it")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}; try 5")
        if min(self.report_every, self.checkpoint_every, self.epoch_steps) < 1 or self.preview_every < 0:
            raise ValueError("report_every, checkpoint_every and epoch_steps must be at least 1; raise them")


@dataclass(frozen=True)
class TrainStep:
    """What training has to say after some steps; losses are means since the last report."""

    step: int
    total: int | None
    fraction: float
    losses: dict[str, float]
    steps_per_s: float
    eta_s: float | None
    preview: NDArray[Any] | None
    note: str = ""


class Trainable(Protocol):
    """What `train` needs from a model."""

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """Update the weights once; return losses as tensors that stay on the device."""
        ...

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Do what an epoch's end needs; may return a ``score`` (higher is better) by which the best state is kept."""
        ...

    def preview(self) -> NDArray[Any] | None:
        """Return an image of the model at work, or None."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly: networks, optimisers, averages, random state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        ...


def train(
    model: Trainable, batches: Iterator[Any], *, config: TrainingConfig, stop: threading.Event | None = None
) -> Iterator[TrainStep]:
    """Train `model` on `batches` and yield progress; the loop of every network here.

    It ends after `config.steps` or `config.minutes`, when `batches` ends, when `stop` is set or when the
    generator is closed; then a last checkpoint is written and, if epochs were scored, the best state is
    loaded into the model. A run whose checkpoint exists goes on from there; where `batches` has
    `state_dict` and `load_state_dict`, its position is kept too. Out of memory halves the batch for good.

    Parameters
    ----------
    model
        The networks and their update step.
    batches
        Endless iterator of what `model.train_step` takes.
    config
        When to end, report and save.
    stop
        Set by another thread to end within one step.

    Raises
    ------
    TrainingError
        If a loss is not finite, one item does not fit in memory, or the checkpoint cannot be read.
    OutputError
        If the last checkpoint cannot be written.
    """
    run = _Run(model, batches, config)
    run.resume()
    failed = False
    try:
        while not run.is_over() and not (stop is not None and stop.is_set()):
            try:
                batch = next(batches)
            except StopIteration:
                break
            run.update(batch)
            if run.report_is_due():
                yield run.report()
    except Exception:
        failed = True
        raise
    finally:
        if not failed:
            run.close()


class _Run:
    """The bookkeeping of one call of `train`."""

    def __init__(self, model: Trainable, batches: Iterator[Any], config: TrainingConfig) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.step = self.first_step = self.halvings = self.saved_step = 0
        self.best: dict[str, Any] | None = None
        self.best_score = -float("inf")
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self.notes: list[str] = []
        self.preview_due = False
        self.started = self.timed_from = time.perf_counter()

    def is_over(self) -> bool:
        """Whether the steps or the time are used up."""
        return self._fraction() >= 1.0

    def _fraction(self) -> float:
        parts = [0.0]
        if self.config.steps is not None:
            parts.append(self.step / self.config.steps)
        if self.config.minutes is not None:
            parts.append((time.perf_counter() - self.started) / (60 * self.config.minutes))
        return min(1.0, max(parts))

    def update(self, batch: Any) -> None:
        """One step on `batch`, halved until it fits; then what is due at this step."""
        for _ in range(self.halvings):
            batch = halve_batch(batch)
        losses = self._try_step(batch)
        for name, value in losses.items():
            value = torch.as_tensor(value).detach().float().mean()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.summed += 1
        self.step += 1
        if self.step == self.first_step + 1:
            self.timed_from = time.perf_counter()  # the first step also warms up
        every = self.config.preview_every
        self.preview_due |= bool(every) and self.step % every == 0
        if self.step % self.config.epoch_steps == 0:
            self._end_epoch()
        if self.config.checkpoint is not None and self.step % self.config.checkpoint_every == 0:
            self._save_or_note()

    def _try_step(self, batch: Any) -> dict[str, Tensor]:
        while True:
            try:
                return self.model.train_step(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                size = _batch_size(batch)
            if size < 2:
                raise TrainingError("the device has too little memory for one patch; use smaller patches or the CPU")
            batch = halve_batch(batch)
            self.halvings += 1
            self.notes.append(f"out of memory: the batch is now {_batch_size(batch)} instead of {size}")
            for kind in ("cuda", "mps"):
                if getattr(torch, kind).is_available():
                    free_memory(kind)

    def _end_epoch(self) -> None:
        score = self.model.end_epoch(self.step // self.config.epoch_steps).get("score")
        if score is not None and score > self.best_score:
            self.best_score, self.best = float(score), _copy(self.model.state_dict())

    def report_is_due(self) -> bool:
        """Whether somebody should hear of this step."""
        regular = self.step % self.config.report_every == 0 or self.step == self.first_step + 1
        return regular or bool(self.notes) or self.is_over()

    def report(self) -> TrainStep:
        """Read the losses from the device and say how far training is."""
        values = torch.stack([value.cpu() for value in self.sums.values()]).tolist() if self.sums else []
        losses = {name: value / self.summed for name, value in zip(self.sums, values, strict=True)}
        self.sums, self.summed = {}, 0
        for name, value in losses.items():
            if not np.isfinite(value):
                raise TrainingError(
                    f"training diverged: the loss '{name}' is {value} at step {self.step}; lower the learning rate"
                )
        speed, eta_s = self._pace()
        preview = self.model.preview() if self.preview_due else None
        note, self.notes, self.preview_due = "; ".join(self.notes), [], False
        return TrainStep(self.step, self.config.steps, self._fraction(), losses, speed, eta_s, preview, note)

    def _pace(self) -> tuple[float, float | None]:
        """Measured steps per second and the seconds left."""
        now = time.perf_counter()
        done = self.step - self.first_step
        seconds = now - self.timed_from if done > 1 else now - self.started
        speed = max(1, done - 1) / max(seconds, 1e-9)
        left = []
        if self.config.steps is not None:
            left.append((self.config.steps - self.step) / speed)
        if self.config.minutes is not None:
            left.append(60 * self.config.minutes - (now - self.started))
        return speed, max(0.0, min(left))

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        path = self.config.checkpoint
        if path is None or not path.exists():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.step = self.first_step = self.saved_step = int(state["step"])
            self.halvings, self.best, self.best_score = state["halvings"], state["best"], state["best_score"]
            if state["batches"] is not None:
                self.batches.load_state_dict(state["batches"])  # type: ignore[attr-defined]
            _set_random_state(state["random"])
        except Exception as error:
            text = f"checkpoint '{path}' does not fit this training; move it away and start anew"
            raise TrainingError(text) from error

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        assert self.config.checkpoint is not None
        keeps_place = hasattr(self.batches, "state_dict") and hasattr(self.batches, "load_state_dict")
        state = {
            "step": self.step,
            "halvings": self.halvings,
            "model": self.model.state_dict(),
            "best": self.best,
            "best_score": self.best_score,
            "batches": self.batches.state_dict() if keeps_place else None,  # type: ignore[attr-defined]
            "random": _random_state(),
        }
        atomic_write(self.config.checkpoint, lambda path: torch.save(state, path))
        self.saved_step = self.step

    def _save_or_note(self) -> None:
        try:
            self.save()
        except OutputError as error:
            self.notes.append(f"no checkpoint: {error}")

    def close(self) -> None:
        """Last checkpoint, then the best state into the model."""
        try:
            if self.config.checkpoint is not None and self.step > self.saved_step:
                self.save()
        finally:
            if self.best is not None:
                self.model.load_state_dict(self.best)


def _copy(state: Any) -> Any:
    """Copy of a nested state with its tensors on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copy(value) for key, value in state.items()}
    if isinstance(state, tuple | list):
        return type(state)(_copy(value) for value in state)
    return state


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
