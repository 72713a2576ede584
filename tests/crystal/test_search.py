import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.search import refine, reflections, search
from napari_stem_gan.crystal.spectrum import spectrum


def lattice_ratio(found, true):
    """Integer matrix that makes the true lattice from the found one, and its largest misfit."""
    turn = true @ np.linalg.inv(found)
    return np.rint(turn), float(np.abs(turn - np.rint(turn)).max())


def test_the_first_shell_of_a_hexagon_has_three_pairs_and_of_a_square_two():
    for name, pairs in (("WSe2", 3), ("SrTiO3", 2)):
        _, shell = reflections(get_material(name))
        assert (shell == 0).sum() == pairs


@pytest.mark.parametrize("name", ["WSe2", "SrTiO3"])
def test_the_best_lattice_is_the_one_that_was_drawn(draw_crystal, name):
    drawn = draw_crystal(name, rotation_deg=23.0, pixel_size_A=0.2)
    fit = search(spectrum(drawn.image.data), get_material(name), (0.18, 0.22))[0]
    whole, misfit = lattice_ratio(fit.vectors_px, np.array(drawn.parameters["vectors_px"]))
    assert abs(round(np.linalg.det(whole))) == 1
    assert misfit < 0.01
    assert fit.goodness > 0.6


def test_white_noise_has_no_good_lattice():
    noise = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    fits = search(spectrum(noise), get_material("WSe2"), (0.15, 0.25))
    assert all(f.surprise < 20 for f in fits)


def test_the_lattice_with_all_reflections_beats_its_harmonics(draw_crystal):
    """Of SrTiO3, the strong spots alone make a cell turned by 45° and smaller by √2."""
    drawn = draw_crystal("SrTiO3", rotation_deg=8.0, pixel_size_A=0.2)
    fits = search(spectrum(drawn.image.data), get_material("SrTiO3"), (0.05, 0.6))
    whole, misfit = lattice_ratio(fits[0].vectors_px, np.array(drawn.parameters["vectors_px"]))
    assert abs(round(np.linalg.det(whole))) == 1
    assert misfit < 0.02


def test_a_peak_beside_an_absent_reflection_does_not_bend_the_lattice():
    """As of WTe2, whose (1 0) a glide line forbids; a streak of something else runs by."""
    side, reciprocal = 512, np.array([[0.012, 0.068], [-0.038, 0.0067]])  # b1, b2 as (fy, fx)
    there = [(0, 1), (0, 2), (1, 1), (1, -1), (1, 2), (1, -2), (2, 0), (0, 3)]
    y, x = np.mgrid[:side, :side]
    image = np.random.default_rng(0).normal(0, 1.0, (side, side))
    for frequency in [*(np.array(there) @ reciprocal), reciprocal[0] + np.array([-4.2, 4.2]) / side]:
        image += np.cos(2 * np.pi * (frequency[0] * y + frequency[1] * x))
    found = refine(spectrum(image.astype(np.float32)), reciprocal * 1.004)
    np.testing.assert_allclose(found * side, reciprocal * side, atol=0.15)
