"""Settings kept between sessions, in the user's own Qt settings; nothing else is written."""

from __future__ import annotations

import json
from dataclasses import fields
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
        A config of the wanted class.

    Returns
    -------
    Any
        A config of the same class.
    """
    values = kept(key, {})
    names = {field.name for field in fields(default) if field.init}
    known = {name: value for name, value in values.items() if name in names} if isinstance(values, dict) else {}
    try:
        return type(default)(**{name: getattr(default, name) for name in names} | known)
    except (ValueError, TypeError):  # written by another version
        return default
