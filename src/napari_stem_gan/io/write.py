"""Write files whole or not at all: images, JSON, and whatever a callback writes."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_stem_gan.image import STEMImage

FULL_BYTES = 2**20


class OutputError(OSError):
    """Something could not be written; the message says what to do."""

    def __str__(self) -> str:
        """Return the sentence, without the error's number."""
        return self.strerror or super().__str__()


def write_image(path: str | Path, image: STEMImage) -> None:
    """Write `image` as float32 TIFF with its pixel size in nm (ImageJ unit and resolution tags).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    size_nm = image.pixel_size_nm
    calibration: dict[str, Any] = {"metadata": {"axes": "YX"}}
    if size_nm is not None:
        calibration = {"resolution": (1 / size_nm, 1 / size_nm), "metadata": {"axes": "YX", "unit": "nm"}}
    atomic_write(
        path, lambda temporary: tifffile.imwrite(temporary, image.data, imagej=True, byteorder="<", **calibration)
    )


def atomic_write(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; never half a file.

    Parameters
    ----------
    path
        Target; an existing file is replaced only by a complete one.
    write
        Called with the temporary path (same folder, same suffix).

    Raises
    ------
    OutputError
        If the folder is missing or read-only, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        _check_target(path)
        write(temporary)
        temporary.chmod(_ordinary_mode())  # some writers make files that only their owner may read
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OutputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) or _is_full(path.parent):
            raise _output_error(path, error) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def _check_target(path: Path) -> None:
    """Raise the system's error that writing a file would end with."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "is read-only")


def _is_full(folder: Path) -> bool:
    """Whether a write into `folder` failed for want of space; libraries say so in words of their own."""
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def _output_error(path: Path, error: Exception) -> OutputError:
    """Turn the system's error into one sentence."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT) or (code is None and _is_full(path.parent)):
        code = errno.ENOSPC
        text = f"the disk is full, so '{path}' was not written; free some space and save again"
    elif code in (errno.ENOENT, errno.ENOTDIR):
        text = f"folder '{path.parent}' does not exist; create it or choose another"
    elif code == errno.EISDIR:
        text = f"'{path}' is a folder; give the name of a file"
    elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
        text = f"'{path}' cannot be written because the folder or file is read-only; choose another folder"
    else:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        text = f"'{path}' was not written ({reason}); choose another folder"
    return OutputError(code, text)


def _ordinary_mode() -> int:
    """Permissions that a new file gets here."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def prepare_folder(path: str | Path) -> Path:
    """Create the folder `path` where it is missing and check that files can be written in it.

    Raises
    ------
    OutputError
        If it cannot be created or written to.
    """
    folder = Path(path)
    probe = folder / f".write-test-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if folder.exists() and not folder.is_dir():
            raise OutputError(errno.ENOTDIR, f"'{folder}' is a file; choose a folder") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _output_error(probe, error) from error
        raise OutputError(
            error.errno, f"folder '{folder}' cannot be created or written to; choose another folder"
        ) from error
    return folder


def prepare_file(path: str | Path) -> Path:
    """Create the folder of the file `path` where it is missing and check that the file can be written.

    Raises
    ------
    OutputError
        If it is a folder, read-only, or in a folder that cannot be created or written to.
    """
    path = Path(path)
    prepare_folder(path.parent)
    try:
        _check_target(path)
    except OSError as error:
        raise _output_error(path, error) from error
    return path


def write_json(path: str | Path, obj: object) -> None:
    """Write `obj` as indented JSON, whole or not at all; arrays, paths and dataclasses become plain values."""
    text = json.dumps(to_jsonable(obj), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    ValueError
        If the file is missing or no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"file '{path}' cannot be read ({error.strerror}); check its name and folder") from error
    except ValueError as error:
        raise ValueError(f"'{path.name}' is not a JSON file ({error}); save it again") from error


def config_to_dict(config: object) -> dict[str, Any]:
    """Return the fields of a config dataclass (nested ones too) as plain JSON values."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"config must be a dataclass object, got {type(config).__name__}")
    result: dict[str, Any] = to_jsonable(config)
    return result


def to_jsonable(obj: object) -> Any:
    """Return `obj` made of dicts, lists, strings, finite numbers, booleans and None only."""
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: to_jsonable(getattr(obj, f.name)) for f in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {str(key): to_jsonable(value) for key, value in obj.items()}
    if isinstance(obj, np.ndarray | np.generic):
        return to_jsonable(obj.tolist())
    if isinstance(obj, list | tuple | set | frozenset):
        return [to_jsonable(value) for value in obj]
    if isinstance(obj, float):
        return obj if np.isfinite(obj) else None
    return obj if isinstance(obj, str | int | bool) or obj is None else str(obj)
