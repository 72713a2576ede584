"""Turn config dataclasses into the flat options of a command: `--material`, `--minutes`, `--threshold` ..."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

if TYPE_CHECKING:
    from napari_stem_gan.cli.commands import Command

POSITIONAL = ("image", "images", "points", "truth")
Config = TypeVar("Config")


class OptionsError(ValueError):
    """Wrong usage; the message says what to give."""


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What every command takes."""

    device: str = "auto"
    """Where networks run: auto, cpu, cuda, cuda:1 or mps."""
    seed: int = 0
    """Seed of every random draw."""
    pixel_size_nm: float | None = None
    """Pixel size in nm; empty: from the file, or from the lattice where the file has none."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""


def parse(
    arguments: Sequence[str], commands: Sequence[Command], *, program: str, description: str
) -> tuple[Command, Any]:
    """Turn the words of a command line into a command and its options.

    Parameters
    ----------
    arguments
        Words after the program's name.
    commands
        All commands.
    program
        Name of the program in messages.
    description
        What ``--help`` says first.

    Raises
    ------
    SystemExit
        After ``--help`` (0) and, with a message on stderr, after wrong usage (2).
    OptionsError
        If a command that works on images is given none.
    """
    kinds = {options_class(c.name, (c.own, *c.configs, CommonOptions)): c for c in commands}
    union = reduce(or_, (_subcommand(kind, command) for kind, command in kinds.items()))
    options: Any = tyro.cli(union, prog=program, description=description, args=list(arguments))  # type: ignore[call-overload]
    command = kinds[type(options)]
    if command.needs_images and not options.images:
        raise OptionsError(f"{command.name} needs at least one image; see {program} {command.name} --help")
    return command, options


def _subcommand(kind: type, command: Command) -> Any:
    return Annotated[kind, tyro.conf.subcommand(command.name, description=command.sentence)]


def options_class(name: str, groups: Sequence[type]) -> type:
    """Merge dataclasses into one flat class; a name that several share becomes one option if their defaults agree.

    Where they do not, the later one is called after its config: ``restore_average_flips`` of RestoreConfig. A field
    that is itself a config gives its own fields: ``strain_xx_percent`` of ``SimulateConfig.specimen``.

    Parameters
    ----------
    name
        Name of the new class.
    groups
        Dataclasses; the first that has a field decides its type and help.
    """
    merged: dict[str, tuple[str, Any, Any]] = {}
    places: dict[tuple[Any, ...], str] = {}  # group, names down to the field -> name of its option
    for leaf in (leaf for group in groups for leaf in _leaves(group, (group,))):
        name_here = leaf.place[-1]
        names = (name_here, _own_name(leaf.owner, name_here), _own_name(leaf.place[0], "_".join(leaf.place[1:])))
        option = next(n for n in names if n not in merged or merged[n][2].default == leaf.default.default)
        merged.setdefault(option, (option, _option(name_here, leaf), leaf.default))
        places[leaf.place] = option
    return make_dataclass(name, list(merged.values()), frozen=True, kw_only=True, namespace={"places": places})


@dataclass(frozen=True)
class _Leaf:
    """A field before its option has a name."""

    owner: type
    place: tuple[Any, ...]
    kind: Any
    sentence: str
    default: Any


def _leaves(owner: type, place: tuple[Any, ...], values: Any = None) -> Iterator[_Leaf]:
    """Fields of a config and of the configs in it; `values` is what a nested one is by default."""
    hints, sentences = typing.get_type_hints(owner), field_sentences(owner)
    for item in dataclasses.fields(owner):
        name, kind = item.name, hints[item.name]
        value = _default(item) if values is None else getattr(values, name)
        if dataclasses.is_dataclass(kind):
            yield from _leaves(kind, (*place, name), value)  # type: ignore[arg-type]
            continue
        default = field() if value is dataclasses.MISSING else field(default=value)
        yield _Leaf(owner, (*place, name), kind, sentences.get(name, ""), default)


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def _option(name: str, leaf: _Leaf) -> Any:
    """Annotate a field's type with what tyro needs to know; a config says in ``EMPTY`` what None means."""
    positional = (tyro.conf.Positional,) if name in POSITIONAL else ()
    no_pairs = (tyro.conf.FlagCreatePairsOff,) if name == "json" else ()
    empty = getattr(leaf.owner, "EMPTY", None) if leaf.default.default is None else None
    hint = None if empty is None else f"(default: {empty})"
    argument = tyro.conf.arg(help=leaf.sentence, metavar=_metavar(name, leaf.kind), help_behavior_hint=hint)
    return reduce(lambda annotated, mark: Annotated[annotated, mark], (argument, *positional, *no_pairs), leaf.kind)


def _metavar(name: str, kind: Any) -> str | None:
    """Short words for the help: IMAGES..., FLOAT rather than {None}|FLOAT; the rest is left to tyro."""
    if name in POSITIONAL:
        return "IMAGES..." if name == "images" else name.upper()
    parts = typing.get_args(kind)
    numbers = [part for part in parts if part is not type(None)]
    return numbers[0].__name__.upper() if type(None) in parts and len(numbers) == 1 else None


def _own_name(config: type, name: str) -> str:
    return f"{config.__name__.removesuffix('Config').lower()}_{name}"


def config_from(kind: type[Config], options: Any) -> Config:
    """Build a config, and the configs in it, from the options made of them."""
    return _build(kind, (kind,), options)


def _build(kind: type[Config], place: tuple[Any, ...], options: Any) -> Config:
    hints = typing.get_type_hints(kind)
    values = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        here, nested = (*place, item.name), hints[item.name]
        is_nested = dataclasses.is_dataclass(nested)
        values[item.name] = _build(nested, here, options) if is_nested else getattr(options, options.places[here])  # type: ignore[arg-type]
    return kind(**values)


def field_sentences(config: type) -> dict[str, str]:
    """Return the sentence under each field of a dataclass, read from its source.

    Parameters
    ----------
    config
        A dataclass whose fields carry a string below them.

    Returns
    -------
    dict
        Field name to sentence; fields without a sentence are left out.
    """
    body = getattr(ast.parse(textwrap.dedent(inspect.getsource(config))).body[0], "body", [])
    sentences = {}
    for statement, below in zip(body, body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr):
            text = getattr(below.value, "value", "")
            sentences[ast.unparse(statement.target)] = " ".join(str(text).split())
    return sentences
