"""What the panels ask for, completed from what the session knows and the layers tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from napari_stem_gan.app.layers import Source, guess_material
from napari_stem_gan.app.match_panel import AUTO, known_materials
from napari_stem_gan.app.session import Session
from napari_stem_gan.app.shell import Shell


def asked_material(shell: Shell, session: Session) -> str:
    """The material that is matched or chosen, as `get_material` takes it; empty where nobody knows yet."""
    match = shell.panels.get("match")
    chosen = match.material() if match is not None else ""
    matched = (one.material for _, matches in session.matched() for one in matches if one.accepted)
    return chosen or next(matched, "")


def asked_configs(shell: Shell, session: Session, sources: Sequence[Source]) -> dict[str, Any]:
    """Config of every step; a panel without Match takes the session's, or guesses the material from the layers."""
    configs = shell.configs()
    if "match" not in shell.panels:
        guess = guess_material(sources, known_materials()) or AUTO
        configs["match"] = session.match_config or replace(configs["match"], material=guess)
    return configs


def asked_errors(shell: Shell) -> dict[str, str]:
    """What is wrong with each step and with the statistics; empty strings where nothing is."""
    errors = {name: panel.error() for name, panel in shell.panels.items()}
    if "detect" in shell.panels:
        errors["statistics"] = shell.panels["detect"].statistics.error()
    return errors
