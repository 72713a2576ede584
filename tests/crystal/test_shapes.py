import numpy as np

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.search import search
from napari_stem_gan.crystal.shapes import Wanted, search_all
from napari_stem_gan.crystal.spectrum import spectrum

NAMES = ("MoS2", "WSe2", "MoTe2", "graphene", "SrTiO3")
SIZES = (0.176, 0.224)


def test_lattices_that_differ_in_size_only_have_one_shape():
    shapes = [Wanted(get_material(name), SIZES).shape for name in NAMES]
    assert len(set(shapes[:4])) == 1
    assert shapes[4] != shapes[0]


def test_a_shared_search_finds_for_each_crystal_what_its_own_search_finds(draw_crystal):
    found = spectrum(draw_crystal("WSe2").image.data)
    shared = search_all(found, [Wanted(get_material(name), SIZES) for name in NAMES])
    for name, fits in zip(NAMES, shared, strict=True):
        own = search(found, get_material(name), SIZES)
        assert bool(fits) == bool(own)
        if own and own[0].surprise > 20:
            np.testing.assert_allclose(fits[0].surprise, own[0].surprise, rtol=1e-6)
            np.testing.assert_allclose(np.linalg.det(fits[0].vectors_px), np.linalg.det(own[0].vectors_px), rtol=1e-4)


def test_each_crystal_gets_lattices_of_its_own_sizes(draw_crystal):
    found = spectrum(draw_crystal("WSe2").image.data)
    materials = [get_material(name) for name in ("graphene", "WSe2")]
    for material, fits in zip(materials, search_all(found, [Wanted(m, SIZES) for m in materials]), strict=True):
        sizes = [np.sqrt(abs(np.linalg.det(material.cell) / np.linalg.det(f.vectors_px))) for f in fits]
        assert all(0.99 * SIZES[0] < size < 1.01 * SIZES[1] for size in sizes)
