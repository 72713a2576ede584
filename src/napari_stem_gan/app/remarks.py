"""What the headers of the sections say, as long as it is about something that is in the viewer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from napari.layers import Layer

from napari_stem_gan.app.shell import Shell

ABOUT_LAYERS = ("match", "restore")  # what the others say holds without the layers: a model, files to save, points


class Remarks:
    """Shows the remarks of the steps and takes back those whose layers have all left the viewer.

    Parameters
    ----------
    shell
        The visible part of the workbench.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._about: dict[str, Sequence[Layer]] = {}

    def show(self, remarks: Mapping[str, str], layers: Sequence[Layer]) -> None:
        """Show short results of a job on some layers; an empty one leaves what is there."""
        self._shell.show_remarks(remarks)
        self._about |= {name: layers for name in ABOUT_LAYERS if remarks.get(name)}

    def forget(self, name: str) -> None:
        """Take back what was said of a step, if it is shown here."""
        if name in self._shell.panels:
            self._about.pop(name, None)
            self._shell.forget(name)

    def refresh(self, layers: Collection[Layer]) -> None:
        """Take back what was said of layers of which none is there any more."""
        gone = [name for name, about in self._about.items() if not any(layer in layers for layer in about)]
        for name in gone:
            self.forget(name)
