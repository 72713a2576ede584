from __future__ import annotations

import io
import signal
from dataclasses import dataclass, field

import pytest

from napari_stem_gan.cli.progress import Job, ProgressLine, progress_text


@dataclass
class Step:
    stage: str = "adapt"
    fraction: float = 0.42
    message: str = "image 1 of 2"
    losses: dict[str, float] = field(default_factory=dict)
    eta_s: float | None = None


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_stage_share_losses_and_time_left() -> None:
    text = progress_text(Step(losses={"cycle": 0.11349}, eta_s=40.2))
    assert text == "adapt     42 %  image 1 of 2  cycle 0.113  about 40 s left"


def test_a_terminal_gets_one_line_rewritten() -> None:
    terminal = Terminal()
    line = ProgressLine(terminal)
    line.show(Step(message="a long message"))
    line.show(Step(message="short"))
    line.end()
    first, second = terminal.getvalue().strip("\r\n").split("\r")
    assert len(second) == len(first)


def test_a_log_file_gets_one_line_per_stage() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for stage in ("match", "match", "detect"):
        line.show(Step(stage=stage))
    assert [text.split()[0] for text in stream.getvalue().splitlines()] == ["match", "detect"]


def test_a_job_returns_what_the_step_returns(capsys: pytest.CaptureFixture[str]) -> None:
    def step():
        yield Step()
        return 7

    with Job() as job:
        assert job.finish(step()) == 7


def test_the_first_interrupt_sets_stop_and_the_second_ends_at_once() -> None:
    with Job() as job:
        signal.raise_signal(signal.SIGINT)
        assert job.stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_interrupt_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Job():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
