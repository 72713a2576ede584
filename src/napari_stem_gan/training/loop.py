"""The training loop: progress, checkpoints, time budget, stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_stem_gan.io import OutputError, atomic_write
from napari_stem_gan.training.device import batch_size, free_memory, halve_batch, is_out_of_memory
from napari_stem_gan.training.protocol import Trainable, TrainingConfig, TrainingError, TrainStep


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
        run.close(save=not failed)


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
                size = batch_size(batch)
            if size < 2:
                raise TrainingError("the device has too little memory for one patch; use smaller patches or the CPU")
            batch = halve_batch(batch)
            self.halvings += 1
            self.notes.append(f"out of memory: the batch is now {batch_size(batch)} instead of {size}")
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
        losses = self._losses()
        self.sums, self.summed = {}, 0
        for name, value in losses.items():
            if not np.isfinite(value):
                text = f"training diverged: the loss '{name}' is {value} at step {self.step}"
                raise TrainingError(f"{text}; lower the learning rate and start again")
        speed, eta_s = self._pace()
        preview = self.model.preview() if self.preview_due else None
        note, self.notes, self.preview_due = "; ".join(self.notes), [], False
        return TrainStep(self.step, self.config.steps, self._fraction(), losses, speed, eta_s, preview, note)

    def _losses(self) -> dict[str, float]:
        """Means since the last report; waits for the device."""
        return {name: float(value) / self.summed for name, value in self.sums.items()}

    def _is_sound(self) -> bool:
        return all(np.isfinite(value) for value in self._losses().values())

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
        if not self._is_sound():
            return  # the next report says so; the last good checkpoint stays
        try:
            self.save()
        except OutputError as error:
            self.notes.append(f"no checkpoint: {error}")

    def close(self, *, save: bool) -> None:
        """Last checkpoint, then the best state into the model."""
        try:
            if save and self.config.checkpoint is not None and self.step > self.saved_step and self._is_sound():
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
