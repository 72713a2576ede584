"""The command line: parse, run one command, answer, and turn every ending into an exit code."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from napari_stem_gan import __version__
from napari_stem_gan.cli.commands import COMMANDS, Command
from napari_stem_gan.cli.options import OptionsError, parse
from napari_stem_gan.cli.progress import Job
from napari_stem_gan.io import to_jsonable

PROGRAM = "napari-stem-gan"
DESCRIPTION = """Find every vacancy in atomic-resolution STEM images: match, simulate, adapt, detect, restore.

Exit code: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 stopped with Ctrl-C."""

WRONG_USAGE = "wrong usage, which stderr describes; see --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Words after the program's name; the process's own if None.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 2 wrong usage, 130 stopped with Ctrl-C.
    """
    try:
        code = _answer(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads has read enough, as head has
        with open(os.devnull, "w") as nowhere:  # or Python complains when it flushes at its end
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 1


def _answer(arguments: Sequence[str]) -> int:
    words = list(arguments)
    if words == ["--version"]:
        sys.stdout.write(f"{__version__}\n")
        return 0
    try:
        command, options = parse(words, COMMANDS, program=PROGRAM, description=DESCRIPTION)
    except SystemExit as ending:  # tyro has printed help or what is wrong
        return _misused(words, WRONG_USAGE) if ending.code else 0
    except OptionsError as error:
        sys.stderr.write(f"error: {error}\n")
        return _misused(words, str(error))
    _quiet()
    return _run(command, options)


def _misused(words: Sequence[str], sentence: str) -> int:
    """Answer wrong usage, which stderr has told of, where JSON was asked for; its exit code."""
    if "--json" in words:
        sys.stdout.write(_json({"error": sentence}) + "\n")
    return 2


def _run(command: Command, options: Any) -> int:
    """Run `command` and print its result or its failure."""
    with Job() as job:
        try:
            with redirect_stdout(sys.stderr):  # whatever a library prints must not spoil the JSON
                text, result = command.run(options, job)
        except KeyboardInterrupt:
            return _failed(job, "stopped", options.json, 130)
        except Exception as error:
            if job.stop.is_set():
                return _failed(job, "stopped", options.json, 130)
            return _failed(job, _sentence(error), options.json, 1)
        job.line.end()
    sys.stdout.write((_json(result) if options.json else text) + "\n")
    sys.stdout.flush()
    return 0


def _failed(job: Job, sentence: str, as_json: bool, code: int) -> int:
    """Say what went wrong in one line on stderr."""
    job.line.end()
    if os.environ.get("STEM_GAN_TRACEBACK"):
        traceback.print_exc()
    sys.stderr.write(f"error: {sentence}\n")
    if as_json:
        sys.stdout.write(_json({"error": sentence}) + "\n")
    return code


def _json(result: Mapping[str, Any]) -> str:
    return json.dumps(to_jsonable(result), ensure_ascii=False, allow_nan=False)


def _sentence(error: Exception) -> str:
    """One line for an exception; the foreseen ones are sentences already."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError) and text:
        return text
    return f"{type(error).__name__}: {text or 'no message'} (set STEM_GAN_TRACEBACK=1 to see where)"


def _quiet() -> None:
    """Keep libraries' warnings off stderr, unless Python was asked for them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name in ("tifffile", "rsciio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
