"""The bridge: runs a workflow step in a thread and reports every ending. Says what Stop does.

Stop sets a `threading.Event` that the step checks within one tile or training step; the step is
closed in its own thread, so that clean-up and the last checkpoint happen at once. Nothing is
killed, and `worker.quit` is not used because napari would leave the step half open.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, Signal

logger = logging.getLogger(__name__)
LONGEST_MESSAGE = 300
EXPECTED = (ValueError, OSError)  # told in one clear sentence by whoever raised them

Job = Callable[[threading.Event], Generator[Any, None, Any]]


class Ending(Enum):
    """How a job can end."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class JobError(Exception):
    """A RuntimeError of a step under another name: napari's workers swallow RuntimeErrors."""


@dataclass(frozen=True)
class Stopped:
    """What a job returns when Stop ended it before it had a result."""


class Bridge(QObject):
    """Runs one job at a time in a napari thread worker.

    Signals
    -------
    progressed
        Every `Progress` that the job yields.
    returned
        The job's result, if it has one.
    failed
        One sentence, if it failed.
    ended
        The `Ending`; always emitted, exactly once, after the others.
    """

    progressed = Signal(object)
    returned = Signal(object)
    failed = Signal(str)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: GeneratorWorker | None = None
        self._stop = threading.Event()
        self._ending = Ending.STOPPED

    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self._worker is not None

    def start(self, job: Job) -> None:
        """Run ``job(stop)`` in a thread.

        Parameters
        ----------
        job
            Takes the stop event, returns a generator that yields progress and returns a result.

        Raises
        ------
        ValueError
            If a job is under way.
        """
        if self._worker is not None:
            raise ValueError("only one job can run at a time; stop the running one first")
        self._stop = threading.Event()
        self._ending = Ending.STOPPED
        slots = {
            "yielded": self._on_yielded,
            "returned": self._on_returned,
            "errored": self._on_errored,
            "aborted": self._stop.set,
            "finished": self._on_finished,
        }
        worker = create_worker(guarded, job, self._stop, _start_thread=False, _connect=slots, _ignore_errors=True)
        self._worker = worker
        worker.start()

    def stop(self) -> None:
        """Ask the job to end within one tile or step."""
        self._stop.set()

    def _on_yielded(self, progress: Any) -> None:
        self.progressed.emit(progress)

    def _on_returned(self, result: Any) -> None:
        if not isinstance(result, Stopped):
            self._ending = Ending.STOPPED if self._stop.is_set() else Ending.DONE
            self.returned.emit(result)

    def _on_errored(self, error: Exception) -> None:
        self._ending = Ending.FAILED
        if not isinstance(error, EXPECTED):
            logger.error("a job failed", exc_info=error)
        self.failed.emit(one_sentence(error))

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._ending)


def guarded(job: Job, stop: threading.Event) -> Generator[Any, None, Any]:
    """Run a job so that every ending is reported, the step is closed and memory is freed.

    Parameters
    ----------
    job
        See `Bridge.start`.
    stop
        Set it to end the job.

    Yields
    ------
    Progress
        What the job yields.

    Returns
    -------
    Any
        The job's result, or `Stopped`.

    Raises
    ------
    JobError
        In place of a RuntimeError, which napari's generator workers would swallow.
    """
    try:
        with closing(job(stop)) as steps:
            return (yield from steps)
    except Exception as error:
        if stop.is_set() and type(error).__name__ == "Stopped":
            return Stopped()
        if isinstance(error, RuntimeError):
            raise JobError(one_sentence(error)) from error
        raise
    finally:
        free_device_memory()


def free_device_memory() -> None:
    """Give unused GPU memory back; does nothing where torch was never needed."""
    if "torch" in sys.modules:
        from napari_stem_gan.training import best_device, free_memory

        free_memory(best_device())


def one_sentence(error: BaseException) -> str:
    """The error's own words, or its kind where it has none; torch's long lists are cut."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} …"
