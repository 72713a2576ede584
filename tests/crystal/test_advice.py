from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.advice import best_of, undistorted, verdict, with_doubt, with_sizes, with_twins
from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material


def matched(material, *, surprise=100.0, goodness=0.9, nominal=0.2, **options):
    return LatticeMatch(
        accepted=True, reason="found", material=material, pixel_size_A=0.2, nominal_pixel_size_A=nominal,
        lattice_vectors_px=np.eye(2) * 16, surprise=surprise, goodness=goodness, **options,
    )  # fmt: skip


def test_the_verdict_says_how_wrong_the_pixel_size_is():
    material = get_material("WSe2")
    assert "3.0 % too large" in verdict(material, 0.2, 0.206)
    assert "confirmed" in verdict(material, 0.2, 0.2002)
    assert "taken from the lattice" in verdict(material, 0.2, None)


def test_a_lattice_that_leaves_reflections_out_loses():
    best = best_of([matched("graphene", surprise=70.0, goodness=1.0), matched("WSe2", surprise=100.0, goodness=0.8)])
    assert best.material == "WSe2"


@pytest.mark.parametrize(("anion", "material"), [(0.24, "WS2"), (0.55, "MoS2")])
def test_of_equal_lattices_the_one_with_the_right_column_ratios_is_best(anion, material):
    ratios = {"Mo": 1.0, "W": 1.0, "S": anion}
    assert best_of([matched("WS2", column_ratios=ratios), matched("MoS2", column_ratios=ratios)]).material == material


def test_of_crystals_that_fit_alike_the_one_with_the_smaller_correction_is_best():
    near, far = (replace(matched(m), scale_error=e) for m, e in (("WSe2", 0.001), ("MoSe2", -0.004)))
    assert best_of([far, near]).material == "WSe2"


def test_strong_drift_is_taken_only_for_a_material_that_was_named():
    assert undistorted(matched("WSe2", shear=0.03)).accepted
    told = undistorted(matched("WSe2", shear=0.08, stretch=0.05))
    assert not told.accepted
    assert "choose the material" in told.reason


def test_twins_are_named_and_refused_without_a_pixel_size():
    results = [matched("WSe2"), matched("MoSe2"), matched("graphene", surprise=10.0)]
    told = with_twins(results[0], results)
    assert told.accepted
    assert told.best_other == "MoSe2"
    blind = [replace(r, nominal_pixel_size_A=None) for r in results]
    assert not with_twins(blind[0], blind).accepted


def test_a_crystal_that_needs_no_correction_is_named():
    constants = [get_material(m).constant_A for m in ("MoTe2", "WSe2")]
    told = with_doubt(matched("MoTe2", scale_error=constants[1] / constants[0] - 1))
    assert told.best_other in ("WSe2", "MoSe2")


def test_a_lattice_that_leaves_most_of_the_spectrum_loses_to_one_at_another_pixel_size():
    best = matched("WTe2 1T'", surprise=40.0, nominal=0.4)
    told = with_sizes(best, [matched("WSe2", nominal=None), matched("graphene", nominal=None, surprise=60.0)])
    assert not told.accepted
    assert told.pixel_size_A == 0.4
    assert "at another pixel size WSe2 (0.02000 nm) would fit: correct the pixel size" in told.reason


def test_a_lattice_that_explains_nearly_as_much_as_any_stays():
    best = matched("WTe2 1T'", surprise=70.0)
    assert with_sizes(best, [matched("WSe2", nominal=None)]) is best
    assert with_sizes(best, [replace(matched("WSe2", surprise=500.0), accepted=False)]) is best
