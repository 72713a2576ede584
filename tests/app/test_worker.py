"""The bridge: reports progress, results, errors and stops; closes the step."""

from __future__ import annotations

import threading

import pytest

from napari_stem_gan.app.worker import Bridge, Ending, JobError, Stopped, guarded


class Endings:
    """What a bridge reported."""

    def __init__(self, bridge):
        self.results, self.errors, self.endings, self.steps = [], [], [], []
        bridge.returned.connect(self.results.append)
        bridge.failed.connect(self.errors.append)
        bridge.ended.connect(self.endings.append)
        bridge.progressed.connect(self.steps.append)


@pytest.fixture
def bridge(qtbot):
    return Bridge()


def run(bridge, qtbot, job):
    seen = Endings(bridge)
    with qtbot.waitSignal(bridge.ended, timeout=20000):
        bridge.start(job)
    return seen


def test_a_result_is_reported_once(bridge, qtbot):
    def job(stop):
        yield 1
        yield 2
        return "answer"

    seen = run(bridge, qtbot, job)

    assert (seen.steps, seen.results, seen.errors, seen.endings) == ([1, 2], ["answer"], [], [Ending.DONE])
    assert not bridge.is_running()


def test_a_bare_runtime_error_is_reported(bridge, qtbot):
    def job(stop):
        yield 1
        raise RuntimeError("CUDA out of memory")

    seen = run(bridge, qtbot, job)

    assert seen.errors == ["CUDA out of memory"]
    assert seen.endings == [Ending.FAILED]
    assert not bridge.is_running()


def test_stop_closes_the_step_in_its_own_thread(bridge, qtbot):
    closed_in = []

    def job(stop):
        try:
            while not stop.wait(0.005):
                yield 0
        finally:
            closed_in.append(threading.current_thread())
        return "what there is"

    seen = Endings(bridge)
    bridge.progressed.connect(bridge.stop)
    with qtbot.waitSignal(bridge.ended, timeout=20000):
        bridge.start(job)

    assert seen.results == ["what there is"]
    assert seen.endings == [Ending.STOPPED]
    assert closed_in[0] is not threading.main_thread()


def test_two_jobs_do_not_run_at_once(bridge, qtbot):
    def job(stop):
        while not stop.wait(0.005):
            yield 0

    with qtbot.waitSignal(bridge.progressed, timeout=20000):
        bridge.start(job)
    with pytest.raises(ValueError, match="only one job"):
        bridge.start(job)
    with qtbot.waitSignal(bridge.ended, timeout=20000):
        bridge.stop()


def test_an_exception_called_stopped_counts_as_stopped_only_after_stop():
    Halt = type("Stopped", (Exception,), {})

    def job(stop):
        yield 0
        raise Halt

    stop = threading.Event()
    with pytest.raises(Halt):
        list(guarded(job, stop))
    stop.set()
    steps = guarded(job, stop)
    next(steps)
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert isinstance(ended.value.value, Stopped)


def test_long_messages_are_cut():
    from napari_stem_gan.app.worker import one_sentence

    assert len(one_sentence(RuntimeError("missing key " * 500))) < 320
    assert one_sentence(KeyError()) == "KeyError"


def test_runtime_errors_get_another_name():
    def job(stop):
        raise RuntimeError("shape")
        yield

    with pytest.raises(JobError, match="shape"):
        list(guarded(job, threading.Event()))
