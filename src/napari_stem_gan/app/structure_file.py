"""Ask for a structure file and a zone axis."""

from __future__ import annotations

from qtpy.QtWidgets import QFileDialog, QInputDialog, QWidget

FILE = "Structure file…"
DEFAULT_AXIS = "[001]"
FILTER = "Structures (*.cif *.xyz *.extxyz *.vasp POSCAR* CONTCAR* *.xsf *.pdb *.json *.res);;All files (*)"
AXIS = "Zone axis: the crystal direction along the beam, as whole numbers, e.g. [110] or [1 -1 0]"


def ask_structure(parent: QWidget | None = None) -> str:
    """Material spec of a structure file that the user chose, e.g. ``/data/CdTe.cif [110]``; empty if they gave up."""
    path, _ = QFileDialog.getOpenFileName(parent, "Choose a structure", "", FILTER)
    if not path:
        return ""
    axis, given = QInputDialog.getText(parent, "Zone axis", AXIS, text=DEFAULT_AXIS)
    return f"{path} {bracketed(axis)}" if given else ""


def bracketed(axis: str) -> str:
    """A zone axis in square brackets; nothing else is judged here, the form says what is wrong with it."""
    inner = axis.strip().strip("[]()<>").strip()
    return f"[{inner}]" if inner else DEFAULT_AXIS
