"""Settings kept between sessions, in the user's own Qt settings; nothing else is written."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSettings

from napari_stem_gan.io import to_jsonable

ORGANISATION = APPLICATION = "napari-stem-gan"


def store() -> QSettings:
    """The file that Qt keeps for this program and this user."""
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, ORGANISATION, APPLICATION)


def keep(key: str, value: Any) -> None:
    """Keep a JSON-able value or a config for the next session."""
    store().setValue(key, json.dumps(to_jsonable(value)))


def kept(key: str, default: Any) -> Any:
    """The value kept under `key`, or `default` where there is none that can be read."""
    text = store().value(key)
    try:
        return default if text is None else json.loads(str(text))
    except ValueError:
        return default


def kept_config(key: str, default: Any) -> Any:
    """The config kept under `key`; fields that are new or no longer valid fall back to `default`.

    Parameters
    ----------
    key
        Name of the step.
    default
        A config of the wanted class; it may hold other configs.

    Returns
    -------
    Any
        A config of the same class.
    """
    return rebuilt(kept(key, {}), default)


def rebuilt(values: Any, default: Any) -> Any:
    """A config from what JSON kept of it, group by group; a group that cannot be used is the default's."""
    if not isinstance(values, dict):
        return default
    names = [f.name for f in fields(default) if f.init and f.name in values]
    try:
        return replace(default, **{name: _value(values[name], getattr(default, name)) for name in names})
    except (ValueError, TypeError):  # written by another version
        return default


def _value(value: Any, default: Any) -> Any:
    """JSON knows neither nested configs nor tuples nor paths."""
    if is_dataclass(default):
        return rebuilt(value, default)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    return Path(value) if isinstance(default, Path) and isinstance(value, str) else value
