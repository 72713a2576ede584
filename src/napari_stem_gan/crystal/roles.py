"""Which elements of a compound play the anion, and how columns are named after their elements.

The order of classes is that of the element sequence of IUPAC's Red Book (2005, table VI): the most electronegative
class that is present makes the anions, ``N`` in BN, ``As`` in GaAs, ``O`` in SrTiO3, ``Te`` in WTe2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from ase.data import atomic_numbers

Role = Literal["metal", "anion"]
CHALCOGENS = frozenset({"S", "Se", "Te"})
ANION_CLASSES = (
    frozenset({"F", "Cl", "Br", "I", "O", *CHALCOGENS}),
    frozenset({"N", "P", "As", "Sb"}),
    frozenset({"C"}),
    frozenset({"Si", "Ge"}),
    frozenset({"B"}),
    frozenset({"H"}),
)


def anions(elements: Iterable[str]) -> frozenset[str]:
    """Elements of a compound that are its anions.

    Parameters
    ----------
    elements
        All its elements. An alloy has no anion, nor has an element, save carbon: the finder and the defects treat the
        atoms of graphene as anions.
    """
    present = frozenset(elements)
    if present == {"C"}:
        return present
    most = next((present & kind for kind in ANION_CLASSES if present & kind), frozenset[str]())
    return frozenset() if most == present else most


def usual_role(element: str) -> Role:
    """Role that an element has in most compounds, for names whose crystal is not known: ``V_Te``, ``V_Ga``."""
    return "anion" if any(element in kind for kind in ANION_CLASSES[:3]) else "metal"


def leading_element(atoms: Sequence[str], compound_anions: frozenset[str]) -> str:
    """Element after which a column is named: its heaviest metal, or its heaviest atom where it has no metal."""
    metals = [a for a in atoms if a not in compound_anions]
    return max(metals or atoms, key=lambda a: atomic_numbers[a])


def column_names(columns: Sequence[tuple[str, ...]], compound_anions: frozenset[str]) -> list[str]:
    """Sublattice of each column: its leading element, numbered where columns of one element hold different atoms.

    Parameters
    ----------
    columns
        Atoms of each column.
    compound_anions
        See `anions`.

    Returns
    -------
    list of str
        ``Te`` for all tellurium columns of WTe2; ``W1`` and ``W2`` where one holds more atoms than the other.
    """
    leaders = [leading_element(c, compound_anions) for c in columns]
    contents = [tuple(sorted(c)) for c in columns]
    names = []
    for leader, content in zip(leaders, contents, strict=True):
        same = {c for c, name in zip(contents, leaders, strict=True) if name == leader}
        ordered = sorted(same, key=lambda c: (-sum(atomic_numbers[a] for a in c), c))
        names.append(leader if len(same) == 1 else f"{leader}{1 + ordered.index(content)}")
    return names
