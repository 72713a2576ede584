"""The training loop: progress, checkpoints, best state, budget, stop, too little memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_stem_gan.io import OutputError
from napari_stem_gan.training import TrainingConfig, TrainingError, TrainStep, train


class Line:
    """A line fitted to random points; draws from torch's and from its own generator."""

    def __init__(self, *, fits: int = 64, scores: dict[int, float] | None = None) -> None:
        torch.manual_seed(0)
        self.net = torch.nn.Linear(2, 1)
        self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-2)
        self.rng = np.random.default_rng(0)
        self.fits, self.scores = fits, scores or {}
        self.sizes: list[int] = []

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        if len(batch) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(batch))
        noise = torch.rand(len(batch), 1) + float(self.rng.random())
        loss = ((self.net(batch) - noise) ** 2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"error": loss.detach()}

    def end_epoch(self, epoch: int) -> dict[str, float]:
        return {"score": self.scores[epoch]} if epoch in self.scores else {}

    def preview(self) -> np.ndarray | None:
        return np.full((4, 4), self.net.bias.item())

    def state_dict(self) -> dict[str, Any]:
        state = {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}
        return state | {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]

    @property
    def weights(self) -> list[float]:
        return torch.cat([p.detach().ravel() for p in self.net.parameters()]).tolist()


class Counted:
    """Batches that remember how many were drawn."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        self.drawn += 1
        return torch.full((4, 2), float(self.drawn))

    def state_dict(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.drawn = state["drawn"]


def run(model: Line, batches: Iterator[Any] | None = None, **settings: Any) -> list[TrainStep]:
    return list(train(model, batches or repeat(torch.ones(8, 2)), config=TrainingConfig(**settings)))


def test_progress_ends_at_one_with_losses_and_eta() -> None:
    reports = run(Line(), steps=30, report_every=10)
    assert [report.step for report in reports] == [1, 10, 20, 30]
    assert reports[-1].fraction == 1.0
    assert reports[-1].eta_s == 0.0
    assert reports[-1].losses["error"] < reports[0].losses["error"]
    assert all(report.steps_per_s > 0 for report in reports)


def test_previews_come_when_asked_for() -> None:
    reports = run(Line(), steps=20, report_every=5, preview_every=10)
    assert [report.step for report in reports if report.preview is not None] == [10, 20]
    assert all(report.preview is None for report in run(Line(), steps=20))


def test_resumed_training_equals_training_in_one_go(tmp_path: Path) -> None:
    whole, broken, path = Line(), Line(), tmp_path / "c.pt"
    torch.manual_seed(1)
    run(whole, Counted(), steps=25)
    torch.manual_seed(1)
    run(broken, Counted(), steps=12, checkpoint=path)
    torch.manual_seed(99)
    fresh = Line()
    run(fresh, Counted(), steps=25, checkpoint=path)
    assert fresh.weights == whole.weights


def test_stop_ends_at_once_and_writes_a_checkpoint(tmp_path: Path) -> None:
    stop, model, path = threading.Event(), Line(), tmp_path / "c.pt"
    config = TrainingConfig(steps=10_000, report_every=5, checkpoint=path)
    last = 0
    for report in train(model, repeat(torch.ones(8, 2)), config=config, stop=stop):
        last = report.step
        if report.step == 10:
            stop.set()
    assert last == 10
    assert torch.load(path, weights_only=True)["step"] == 10


def test_closing_the_generator_writes_a_checkpoint(tmp_path: Path) -> None:
    config = TrainingConfig(steps=10_000, checkpoint=tmp_path / "c.pt")
    with closing(train(Line(), repeat(torch.ones(8, 2)), config=config)) as steps:  # type: ignore[type-var]
        next(steps)
    assert (tmp_path / "c.pt").exists()


def test_time_budget_ends_training() -> None:
    started = time.perf_counter()
    reports = run(Line(), steps=None, minutes=0.3 / 60)
    assert time.perf_counter() - started < 5
    assert reports[-1].fraction == 1.0
    assert reports[0].total is None


def test_batches_that_end_end_training() -> None:
    model = Line()
    run(model, iter([torch.ones(8, 2)] * 7), steps=100)
    assert len(model.sizes) == 7


def test_best_epoch_is_in_the_model_at_the_end(tmp_path: Path) -> None:
    model = Line(scores={1: 0.2, 2: 0.9, 3: 0.1})
    run(model, steps=30, epoch_steps=10, checkpoint=tmp_path / "c.pt")
    best = Line()
    run(best, steps=20)
    assert model.weights == best.weights
    assert torch.load(tmp_path / "c.pt", weights_only=True)["step"] == 30


def test_out_of_memory_halves_the_batch_for_good_and_says_so() -> None:
    model = Line(fits=3)
    reports = run(model, steps=20)
    assert set(model.sizes) == {2}
    assert "the batch is now 2" in reports[0].note
    assert not reports[-1].note


def test_one_item_that_does_not_fit_is_told() -> None:
    with pytest.raises(TrainingError, match="too little memory for one patch"):
        run(Line(fits=0), steps=5)


def test_other_runtime_errors_come_through() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(Line(), repeat(torch.ones(8, 3)), steps=5)


def test_divergence_keeps_the_last_good_checkpoint_and_best_state(tmp_path: Path) -> None:
    model, path = Line(scores={1: 1.0}), tmp_path / "c.pt"
    batches = chain([torch.ones(8, 2)] * 22, repeat(torch.full((8, 2), float("nan"))))
    with pytest.raises(TrainingError, match=r"diverged.*lower the learning rate"):
        run(model, batches, steps=99, epoch_steps=10, checkpoint=path, checkpoint_every=5)
    assert torch.load(path, weights_only=True)["step"] == 20
    assert np.isfinite(model.weights).all()


def test_foreign_checkpoint_is_told_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="move it away"):
        run(Line(), steps=5, checkpoint=path)
    assert path.read_bytes() == b"not a checkpoint"


def test_full_disk_while_training_is_noted_and_told_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "c.pt"
    config = TrainingConfig(steps=10, checkpoint=path, checkpoint_every=5, report_every=5)
    steps = train(Line(), repeat(torch.ones(8, 2)), config=config)
    notes = [next(steps).note for _ in range(3)]
    assert "no checkpoint" in notes[1]
    with pytest.raises(OutputError, match="does not exist"):
        next(steps)


@pytest.mark.parametrize(
    "wrong", [{"steps": None}, {"steps": 0}, {"steps": 1, "minutes": 0}, {"steps": 1, "report_every": 0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TrainingConfig(**wrong)
