"""What a simulated annular dark-field image of a crystal can be trusted with, in words for users.

The model adds up the scattering of single atoms. Figures are measured against multislice: pairs of atoms in
``simulate/stack.py``, ratios of single atoms in SCIENCE section 2.4, thick columns in ``simulate/thickness.py``
(``benchmarks/multislice.py``, ``benchmarks/thickness.py``).
"""

from __future__ import annotations

from ase.data import atomic_numbers

from napari_stem_gan.crystal.materials import Column, Material

Z_EXPONENT = 1.5  # of brightness, good enough to tell faint columns from bright ones
FAINT = 0.12
HEAVIEST_LIGHT = 9
THIN_NM = 2.0
SURE = "can be taken from the simulation"


def model_claims(material: Material, layers: int | None = None) -> str:
    """Say what the incoherent model can and cannot claim for a crystal.

    Parameters
    ----------
    material
        The crystal and its view.
    layers
        Layers, or repeats along the beam; None: the material's own.

    Returns
    -------
    str
        Two to four short sentences.

    Raises
    ------
    ValueError
        If `layers` is less than 1.
    """
    view = material if layers is None else material.with_layers(layers)
    return " ".join([*(_bulk(view) if view.period_A else _layer(view)), *_faint(view)])


def _layer(material: Material) -> list[str]:
    """Limits of one layer or a few."""
    most = max(len(c.atoms) for c in material.columns) * material.layers
    count = "One layer" if material.layers == 1 else f"{material.layers} layers"
    least = min(len(c.atoms) for c in material.columns)
    held = f"{count} of {material.label}, {_atoms(least, most)} in a column"
    sure = f"{held}: positions, periods and numbers of atoms {SURE}."
    if max(atomic_numbers[a] for c in material.columns for a in c.atoms) <= HEAVIEST_LIGHT:
        coherent = "light atoms need low detector angles, where scattering is partly coherent"
        return [sure, f"Brightness is indicative: {coherent}."]
    if most == 1:
        return [sure, "So can the brightness of one column against another; multislice gives ratios within about 3 %."]
    return [
        sure,
        "Brightness adds up single atoms; two on top of each other scatter 10 to 20 % more than their sum (15 % for "
        "Se2 at 80 kV by multislice), which the stack factor stands for. Channelling and diffraction contrast are not "
        "in the model.",
    ]


def _bulk(material: Material) -> list[str]:
    """Limits of a crystal with thick columns."""
    thickness_nm = material.layers * material.period_A / 10
    counts = [material.layers * len(c.atoms) for c in material.columns]
    held = f"{material.label}, {thickness_nm:.1f} nm thick, {_atoms(min(counts), max(counts))} in a column"
    size = f"{held}: positions and periods {SURE}."
    if thickness_nm <= THIN_NM:
        channelling = "channelling is computed for each column by itself (a quarter off multislice at worst)"
        return [size, f"Brightness of columns is indicative: {channelling}."]
    return [
        size,
        "Brightness of columns is indicative only: channelling is computed for each column by itself (a tenth off "
        "multislice on average up to 16 nm, a third at worst), and tilt, the glow between columns and diffraction "
        "contrast are not in the model. Thickness from brightness needs multislice.",
    ]


def _atoms(least: int, most: int) -> str:
    """``1 atom``, ``25 atoms`` or ``25 to 50 atoms``."""
    return f"{most} atom{'s' if most > 1 else ''}" if least == most else f"{least} to {most} atoms"


def _faint(material: Material) -> list[str]:
    """Columns that annular dark field does not show beside the others."""
    brightest = max(_brightness(c) for c in material.columns)
    faint = {c.sublattice: _brightness(c) / brightest for c in material.columns if _brightness(c) < FAINT * brightest}
    if not faint:
        return []
    strongest = max(material.columns, key=_brightness).sublattice
    parts = " and ".join(f"{name} (about {100 * share:.0f} % of {strongest})" for name, share in faint.items())
    return [f"Columns of {parts} are too faint to judge."]


def _brightness(column: Column) -> float:
    return float(sum(atomic_numbers[a] ** Z_EXPONENT for a in column.atoms))
