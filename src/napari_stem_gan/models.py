"""Model files: weights as safetensors with a JSON card, shipped ones and the user's own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stem_gan.io import atomic_write, to_jsonable, write_json

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("finder", "cyclegan", "cgrdn", "session")
SUFFIX = ".safetensors"
HEADER_KEY = "napari-stem-gan"
FOLDER_VARIABLE = "NAPARI_STEM_GAN_MODELS"
MAX_HEADER_BYTES = 100_000_000
FP16_SAFE = 6e4  # the largest fp16 number is 65504


class ModelFileError(ValueError):
    """A model file that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class ModelFile:
    """A model on disk.

    Parameters
    ----------
    name
        Stem of the file; shipped and user models are called by it.
    kind
        One of `KINDS`.
    path
        The safetensors file.
    card
        What the model is and needs: configs, normalisation, pixel size, training, score.
    sha256
        Hash of the whole file.
    """

    name: str
    kind: str
    path: Path
    card: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


def weights_folder() -> Path:
    """Folder of the weights that come with the package."""
    return Path(__file__).parent / "weights"


def user_folder() -> Path:
    """Folder of the user's models: the variable NAPARI_STEM_GAN_MODELS, else the system's place for user data."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("napari-stem-gan", appauthor=False) / "models"


def save_model(
    path: str | Path, state: Mapping[str, Tensor], *, kind: str, card: Mapping[str, Any], half: bool = True
) -> ModelFile:
    """Write `state` with its card to `path` (and the card beside it as JSON), whole or not at all.

    Parameters
    ----------
    path
        Target; the suffix becomes ``.safetensors``.
    state
        Tensors by name.
    kind
        One of `KINDS`.
    card
        JSON-able description; also kept in the file's header, so that one file is enough.
    half
        Store floating-point tensors as fp16 (those beyond its range stay fp32).

    Raises
    ------
    ModelFileError
        If the kind is unknown, or weights are missing or not finite.
    OutputError
        If the file cannot be written.
    """
    if kind not in KINDS:
        raise ModelFileError(f"model kind must be one of {', '.join(KINDS)}, got '{kind}'")
    if not state:
        raise ModelFileError("the model has no weights, so nothing was saved; train it first")
    from safetensors.torch import save_file

    path = Path(path)
    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    tensors = {name: _stored(name, tensor, half) for name, tensor in state.items()}
    plain = to_jsonable(dict(card))
    header = {"kind": kind, "card": plain, "tensors_sha256": state_sha256(tensors)}
    metadata = {HEADER_KEY: json.dumps(header)}
    atomic_write(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))
    write_json(path.with_suffix(".json"), {"name": path.stem, "kind": kind, **plain})
    return ModelFile(path.stem, kind, path, plain, _file_hash(path))


def _stored(name: str, tensor: Tensor, half: bool) -> Tensor:
    import torch

    tensor = tensor.detach().to("cpu", copy=True).contiguous()
    if not tensor.is_floating_point():
        return tensor
    if not bool(torch.isfinite(tensor).all()):
        raise ModelFileError(f"weights '{name}' are not finite, so nothing was saved; train again with a lower rate")
    fits = tensor.numel() == 0 or float(tensor.abs().max()) < FP16_SAFE
    return tensor.half() if half and fits else tensor.float()


def load_model(name_or_path: str | Path, *, kind: str) -> tuple[dict[str, Tensor], ModelFile]:
    """Read a model by its name (shipped, then the user's folder) or path.

    Returns
    -------
    tuple
        Tensors by name, floating-point ones as fp32 on the CPU, and the model's description.

    Raises
    ------
    ModelFileError
        If there is no such model, or the file is damaged, foreign or of another kind.
    """
    path = find_model(name_or_path)
    header = _read_header(path)
    if header["kind"] != kind:
        others = ", ".join(model.name for model in list_models(kind)) or "a model of that kind"
        raise ModelFileError(f"'{path.name}' is a {header['kind']} model but a {kind} is needed; choose {others}")
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        is_whole = state_sha256(tensors) == header["tensors_sha256"]
    except Exception as error:
        raise _damaged(path) from error
    if not is_whole:
        raise _damaged(path)
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return state, ModelFile(path.stem, kind, path, header["card"], _file_hash(path))


def model_kind(name_or_path: str | Path) -> str:
    """Return the kind of a model by its name or path, one of `KINDS`; raises ModelFileError as `load_model` does."""
    return str(_read_header(find_model(name_or_path))["kind"])


def find_model(name_or_path: str | Path) -> Path:
    """Return the file of a shipped or user model called by name, or of a path."""
    text = str(name_or_path)
    candidates = [Path(text)]
    if Path(text).name == text and text:
        bare = text.removesuffix(SUFFIX)
        candidates += [folder / f"{bare}{SUFFIX}" for folder in (weights_folder(), user_folder())]
    for path in candidates:
        if text and path.is_file():
            return path
    names = ", ".join(model.name for model in list_models()) or "none yet"
    raise ModelFileError(f"model '{text}' was not found; give the path of a {SUFFIX} file or one of: {names}")


def list_models(kind: str | None = None) -> list[ModelFile]:
    """List the usable models, shipped ones first; files that are damaged or foreign are left out."""
    found: dict[str, ModelFile] = {}
    for folder in (weights_folder(), user_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            try:
                header = _read_header(path)
            except ModelFileError:
                continue
            if path.stem not in found and kind in (None, header["kind"]):
                found[path.stem] = ModelFile(path.stem, header["kind"], path, header["card"], _file_hash(path))
    return list(found.values())


def _read_header(path: Path) -> dict[str, Any]:
    """Kind, card and hash from the file's header, without torch."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size == 0:
                raise ModelFileError(f"'{path.name}' is an empty file; download or save the model again")
            if not 0 < length <= min(size, MAX_HEADER_BYTES):
                raise ModelFileError(f"'{path.name}' is damaged or not a {SUFFIX} file; choose a model saved here")
            table = json.loads(file.read(length))
    except OSError as error:
        raise ModelFileError(f"'{path}' cannot be read ({error.strerror}); check the file") from error
    except ValueError as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"'{path.name}' is damaged or not a {SUFFIX} file; choose a model saved here") from error
    return _own_header(path, table, size - 8 - length)


def _own_header(path: Path, table: Any, data_bytes: int) -> dict[str, Any]:
    try:
        header = json.loads(table["__metadata__"][HEADER_KEY])
        ends = [entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"]
        usable = header["kind"] in KINDS and isinstance(header["card"], dict) and "tensors_sha256" in header
    except (KeyError, TypeError, ValueError, IndexError):
        usable, ends, header = False, [], {}
    if not usable:
        raise ModelFileError(f"'{path.name}' was not saved by napari-stem-gan; choose a model saved here")
    if max(ends, default=0) != data_bytes:
        raise _damaged(path)
    return dict(header)


def _damaged(path: Path) -> ModelFileError:
    return ModelFileError(f"'{path.name}' is damaged (its weights are not those that were saved); get the file again")


def state_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hash of the names, types, shapes and values of tensors, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    info = path.stat()
    return _hash_of(str(path), info.st_mtime_ns, info.st_size)


@lru_cache(maxsize=256)
def _hash_of(path: str, _mtime_ns: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
