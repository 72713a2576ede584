"""Projections without a mirror: the crystal turned over, whose projection is the mirror image."""

from __future__ import annotations

from napari_stem_gan.crystal.materials import Material, get_material
from napari_stem_gan.crystal.symmetry import has_mirror
from napari_stem_gan.crystal.zone_axis import parse_zone_axis, split_zone_axis, zone_axis_text


def both_hands(material: Material) -> tuple[Material, ...]:
    """The crystal, and the same seen from its other side where that looks different.

    Parameters
    ----------
    material
        A crystal of `get_material`.

    Returns
    -------
    tuple of Material
        One crystal where the projection has a mirror (or glide) line; else a second one with the zone axis reversed,
        whose projection is the mirror image. A projection does not tell a crystal turned over from its enantiomorph.
    """
    return (material,) if has_mirror(material) else (material, turned_over(material))


def turned_over(material: Material) -> Material:
    """The crystal with its other side to the source."""
    u, v, w = parse_zone_axis(material.zone_axis)
    name, _ = split_zone_axis(material.key)
    return get_material(f"{name} {zone_axis_text((-u, -v, -w))}")
