import threading

import pytest

from napari_stem_gan.training import Stopped
from napari_stem_gan.workflow import Progress, consume
from napari_stem_gan.workflow.progress import check


def steps(count):
    for index in range(count):
        yield Progress(stage="match", fraction=index / count, message=f"step {index}")
    return "the result"


def test_consume_passes_every_progress_on_and_returns_the_result():
    seen = []
    assert consume(steps(3), seen.append) == "the result"
    assert [p.message for p in seen] == ["step 0", "step 1", "step 2"]
    assert consume(steps(0)) == "the result"


def test_an_error_of_a_step_reaches_the_caller():
    def broken():
        yield Progress(stage="match", fraction=0.0, message="")
        raise ValueError("no lattice")

    with pytest.raises(ValueError, match="no lattice"):
        consume(broken())


def test_a_set_event_raises_stopped_and_an_unset_one_does_not():
    stop = threading.Event()
    check(stop)
    check(None)
    stop.set()
    with pytest.raises(Stopped):
        check(stop)
