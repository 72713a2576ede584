from dataclasses import replace

import numpy as np
import pytest

from napari_stem_gan.crystal.lattice import LatticeMatch
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.detect.positions import ColumnFit
from napari_stem_gan.detect.strain import displacements, ideal_places, strain_at

GRADIENT = np.array([[0.006, -0.004], [0.010, 0.003]])  # [∂/∂y, ∂/∂x] of (u_y, u_x)


def lattice(rotation_deg=9.0, origin=(101.0, 99.0)):
    vectors = lattice_vectors_px(get_material("WSe2"), 0.2, rotation_deg)
    return LatticeMatch(
        accepted=True, reason="", material="WSe2", pixel_size_A=0.2, nominal_pixel_size_A=0.2,
        lattice_vectors_px=vectors, origin_px=np.array(origin),
    )  # fmt: skip


def fit_of(sites, positions, error=0.05):
    n = len(sites)
    bright, one = np.where(sites.column == 0, 2.0, 1.0), np.ones(n)
    return ColumnFit(positions, np.full((n, 2), error), bright, one, np.zeros(n), one)


def inner(sites):
    return np.flatnonzero(((sites.positions_px > 50) & (sites.positions_px < 150)).all(1))


def test_a_uniform_deformation_comes_back_whatever_each_kind_is_shifted_by():
    match = lattice()
    sites = match.sites((200, 200))
    shift = np.array([[0.2, 0.1], [-0.3, 0.4]])[sites.column]
    fit = fit_of(sites, sites.positions_px + (sites.positions_px - 100) @ GRADIENT + shift)
    index = inner(sites)
    strain = strain_at(displacements(match, sites, fit), sites.positions_px[index], index)
    np.testing.assert_allclose(strain.xx, GRADIENT[1, 1], atol=1e-6)
    np.testing.assert_allclose(strain.yy, GRADIENT[0, 0], atol=1e-6)
    np.testing.assert_allclose(strain.xy, (GRADIENT[0, 1] + GRADIENT[1, 0]) / 2, atol=1e-6)
    np.testing.assert_allclose(strain.rotation_rad, (GRADIENT[1, 0] - GRADIENT[0, 1]) / 2, atol=1e-6)


def test_errors_of_strain_and_site_are_as_large_as_they_say():
    match, rng = lattice(), np.random.default_rng(0)
    sites = match.sites((400, 400))
    fit = fit_of(sites, sites.positions_px + rng.normal(0, 0.1, (len(sites), 2)), error=0.01)
    index = np.flatnonzero(((sites.positions_px > 50) & (sites.positions_px < 350)).all(1))
    strain = strain_at(displacements(match, sites, fit), sites.positions_px[index], index)
    assert (strain.xx / strain.error).std() == pytest.approx(1, abs=0.15)
    assert (strain.yy / strain.error).std() == pytest.approx(1, abs=0.15)
    miss = strain.site_px - fit.positions_px[index]  # columns scatter around where their neighbours see their sites
    assert (miss / strain.site_error_px[:, None]).std() == pytest.approx(1, abs=0.15)


def test_the_column_of_the_point_itself_does_not_count():
    match = lattice()
    sites = match.sites((200, 200))
    index = inner(sites)[:1]
    positions = sites.positions_px.copy()
    positions[index] += 1.0
    strain = strain_at(displacements(match, sites, fit_of(sites, positions)), sites.positions_px[index], index)
    np.testing.assert_allclose(strain.site_px, sites.positions_px[index], atol=1e-9)
    assert abs(strain.xx[0]) < 1e-9


def test_dark_columns_do_not_count():
    match = lattice()
    sites = match.sites((200, 200))
    dark = np.arange(len(sites)) % 7 == 0
    fit = fit_of(sites, sites.positions_px + np.where(dark[:, None], 2.0, 0.0))
    fit = replace(fit, amplitude=np.where(dark, 0.4, 1.0) * fit.amplitude)
    index = inner(sites)
    strain = strain_at(displacements(match, sites, fit), sites.positions_px[index], index)
    np.testing.assert_allclose(strain.site_px, sites.positions_px[index], atol=1e-9)


def test_each_grain_has_its_own_lattice():
    first, second = lattice(0.0), lattice(17.0, (30.0, 40.0))
    both = replace(first, other_grains=(second,))
    left, right = first.sites((200, 100)), second.sites((200, 200))
    right = right.where(right.positions_px[:, 1] > 100)
    joined = replace(
        left, positions_px=np.concatenate([left.positions_px, right.positions_px]),
        column=np.concatenate([left.column, right.column]),
    )  # fmt: skip
    ideal, grain = ideal_places(both, joined)
    np.testing.assert_allclose(ideal, joined.positions_px, atol=1e-9)
    assert (grain[: len(left)] == 0).mean() > 0.99
    assert (grain[len(left) :] == 1).mean() > 0.99


def test_a_point_far_from_all_columns_has_no_strain():
    match = lattice()
    sites = match.sites((200, 200))
    strain = strain_at(displacements(match, sites, fit_of(sites, sites.positions_px)), np.array([[900.0, 900.0]]),
                       np.array([-1]))  # fmt: skip
    assert np.isnan([strain.xx[0], strain.error[0], strain.site_error_px[0]]).all()
