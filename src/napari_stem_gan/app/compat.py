"""The one place that knows what differs between napari versions."""

from __future__ import annotations

from typing import Any

PLUGIN = "napari-stem-gan"


def current_viewer() -> Any | None:
    """The viewer in use, or None where there is none (a script, a test)."""
    import napari

    return napari.current_viewer()


def plugin_setting(group: str, name: str, default: Any) -> Any:
    """A value from napari's plugin preferences; napari before 0.9 has none, and gets `default`.

    Parameters
    ----------
    group
        Key under ``configurations`` in the manifest.
    name
        Property of that group.
    default
        Returned where the preference cannot be read.

    Returns
    -------
    Any
        The preference.
    """
    try:
        from napari.settings import get_plugin_settings

        return getattr(getattr(get_plugin_settings(PLUGIN), group), name)
    except (ImportError, AttributeError, KeyError, ValueError):
        return default
