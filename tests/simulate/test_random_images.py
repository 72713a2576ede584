import numpy as np

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.draws import draw_field
from napari_stem_gan.simulate.pairs import ideal_image
from napari_stem_gan.simulate.random_images import PERFECT, random_labelled, with_island, without_order


def test_the_same_seed_draws_the_same_image_and_another_seed_another():
    first, second, other = (random_labelled(np.random.default_rng(s), shape=(96, 96)) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.image.data, second.image.data)
    assert first.defects == second.defects
    assert np.abs(first.image.data - other.image.data).max() > 0


def test_drawn_labels_name_defects_of_the_material_inside_the_image():
    rng = np.random.default_rng(0)
    for _ in range(6):
        drawn = random_labelled(rng, shape=(112, 96))
        elements = {c.sublattice for c in get_material(drawn.parameters["material"]).columns}
        assert drawn.image.shape == (112, 96)
        assert 0.11 <= drawn.image.pixel_size_A <= 0.26
        for defect, sublattice in zip(drawn.defects, drawn.sublattices, strict=True):
            if defect.startswith("ad_"):
                assert sublattice in ("top", "bridge", "hollow")
            else:
                assert sublattice in elements
                assert defect.split("_")[1].removeprefix("2") == sublattice
        assert len(drawn.parameters["kinds"]) == len(drawn.positions_px)


def crystal(rng):
    field = draw_field(rng, get_material("WSe2"), (160, 160))
    defects = PERFECT.__class__(single_vacancy=0.3)
    return field, ideal_image(field, OpticsConfig(), defects, rng)


def test_an_island_adds_brightness_and_takes_the_labels_beneath_it():
    rng = np.random.default_rng(3)
    field, plain = crystal(rng)
    covered = with_island(plain, field, OpticsConfig(), rng)
    added = covered.image.data - plain.image.data
    assert added.min() > -1e-6
    assert 0 < len(covered.positions_px) < len(plain.positions_px)
    assert len(covered.parameters["kinds"]) == len(covered.defects) == len(covered.positions_px)
    at = np.rint(covered.positions_px).astype(int)
    assert np.median(added[at[:, 0], at[:, 1]]) < 0.05 * added.max()


def test_without_order_nothing_is_labelled_and_no_lattice_is_left():
    rng = np.random.default_rng(4)
    _, plain = crystal(rng)
    film = without_order(plain, rng)
    assert len(film.positions_px) == 0
    assert film.parameters["crystal"] is False
    powers = [np.abs(np.fft.rfft2(i.image.data - i.image.data.mean())) ** 2 for i in (plain, film)]
    assert powers[1].max() < 0.3 * powers[0].max()
    np.testing.assert_allclose(film.image.data.mean(), plain.image.data.mean(), rtol=0.2)
