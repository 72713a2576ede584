"""The steps as commands; every option comes from the config dataclasses. No Qt, and no torch before a step runs."""

from napari_stem_gan.cli.main import main

__all__ = ["main"]
