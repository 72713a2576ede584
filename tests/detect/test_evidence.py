"""The evidence card's numbers: a column at half its brightness on a drawn lattice."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import fill_field, lattice_vectors_px
from napari_stem_gan.detect.evidence import point_evidence

FWHM_PX, NOISE = 5.0, 0.05


@pytest.fixture(scope="module")
def drawn():
    material = get_material("WSe2")
    vectors = lattice_vectors_px(material, 0.2, 11.0)
    sites = fill_field(material, vectors, (256, 256), origin_px=(3.3, 7.1))
    inside = ((sites.positions_px > 100) & (sites.positions_px < 150)).all(1)
    anions = np.array([c.role == "anion" for c in material.columns])[sites.column]
    vacancy = np.flatnonzero(inside & anions)[0]
    brightness = np.where(anions, 1.0, 1.6)
    brightness[vacancy] = 0.5
    yy, xx = np.mgrid[:256, :256]
    image = np.random.default_rng(0).normal(0, NOISE, (256, 256)) + 0.001 * xx
    for (y, x), b in zip(sites.positions_px, brightness, strict=True):
        image += b * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * (FWHM_PX / 2.3548) ** 2))
    return image.astype(np.float32), sites, vacancy


def test_a_dim_column_stands_out_of_like_places(drawn):
    image, sites, vacancy = drawn
    position = sites.positions_px[vacancy]

    found = point_evidence(image, tuple(position), sites=sites, fwhm_px=FWHM_PX)

    assert found.like_places == 36
    assert found.z_score > 10
    darkest = np.array(np.unravel_index(found.residual.argmin(), found.residual.shape)) + found.corner_px
    assert np.linalg.norm(darkest - position) < 2.5
    assert found.restored is None


def test_its_neighbour_does_not(drawn):
    image, sites, vacancy = drawn
    same = np.flatnonzero(sites.column == sites.column[vacancy])
    distance = np.linalg.norm(sites.positions_px[same] - sites.positions_px[vacancy], axis=1)
    neighbour = same[np.argsort(distance)[1]]

    found = point_evidence(image, tuple(sites.positions_px[neighbour]), sites=sites, fwhm_px=FWHM_PX)

    assert abs(found.z_score) < 5


def test_the_line_goes_through_the_column_and_its_neighbour(drawn):
    image, sites, vacancy = drawn
    position = sites.positions_px[vacancy]

    line = point_evidence(image, tuple(position), sites=sites, fwhm_px=FWHM_PX).profile

    middle = len(line.distance_px) // 2
    assert line.distance_px[middle] == 0
    assert line.usual[middle] - line.values[middle] == pytest.approx(0.5, abs=0.15)
    bond_px = get_material("WSe2").neighbour_distance_A / 0.2
    beside = [line.usual[np.abs(line.distance_px - d).argmin()] for d in (bond_px, -bond_px)]
    assert max(beside) > line.usual[middle] + 0.3  # the metal column
    assert np.linalg.norm(np.diff(line.ends_px, axis=0)) == pytest.approx(np.ptp(line.distance_px))


def test_at_the_rim_the_crop_is_blank_beyond_the_image(drawn):
    image, sites, _ = drawn
    corner = sites.positions_px[np.linalg.norm(sites.positions_px, axis=1).argmin()]

    found = point_evidence(image, tuple(corner), sites=sites, fwhm_px=FWHM_PX, restored=image)

    assert np.isnan(found.raw[0, 0])
    np.testing.assert_array_equal(found.raw, found.restored)
    assert np.isfinite(found.z_score)


def test_without_a_lattice_there_are_crops_and_a_line_only(drawn):
    image, _, _ = drawn

    found = point_evidence(image, (80.0, 90.0))

    assert found.usual is None
    assert found.residual is None
    assert np.isnan(found.z_score)
    assert np.isfinite(found.profile.values).all()
    assert found.raw.shape[0] % 2 == 1


@pytest.mark.parametrize("factor", [1e-12, 2.0**-40, 1e9])
def test_an_image_in_ampere_has_the_same_evidence(drawn, factor):
    image, sites, vacancy = drawn
    position = tuple(sites.positions_px[vacancy])

    counts = point_evidence(image, position, sites=sites, fwhm_px=FWHM_PX)
    ampere = point_evidence(image * np.float32(factor), position, sites=sites, fwhm_px=FWHM_PX)

    assert ampere.z_score == pytest.approx(counts.z_score, rel=1e-4)
    np.testing.assert_allclose(ampere.residual, counts.residual, atol=1e-3)
    np.testing.assert_allclose(ampere.usual / factor, counts.usual, atol=1e-5)
    np.testing.assert_allclose(ampere.profile.spread / factor, counts.profile.spread, atol=1e-5)


def test_without_any_noise_the_evidence_is_a_number(drawn):
    _, sites, vacancy = drawn
    found = point_evidence(np.zeros((256, 256), np.float32), tuple(sites.positions_px[vacancy]), sites=sites)
    assert found.z_score == 0.0
    assert (found.residual == 0).all()
