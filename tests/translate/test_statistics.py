"""Today's statistics in closed form, and the similarity that judges them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_stem_gan.image import LabelledImage
from napari_stem_gan.translate.patches import Normaliser
from napari_stem_gan.translate.similarity import Today
from napari_stem_gan.translate.statistics import SessionStatistics, Target, fit_statistics, measure_spectrum

MakeCrystal = Callable[..., LabelledImage]


def normalised(images: list[np.ndarray]) -> list[np.ndarray]:
    """Return images normalised as one session."""
    return [Normaliser.fit(images).apply(image) for image in images]


def test_white_noise_has_a_flat_diffuse_spectrum() -> None:
    image = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    spectrum = measure_spectrum([image])
    assert spectrum.diffuse[8:].mean() == pytest.approx(1.0, abs=0.1)
    assert not spectrum.bragg[4:].any()


def test_identity_changes_nothing() -> None:
    image = np.random.default_rng(0).standard_normal((40, 41)).astype(np.float32)
    out = SessionStatistics.identity().apply(image, np.random.default_rng(1))
    assert np.allclose(out, image, atol=1e-6)


def test_tone_curve_gives_the_histogram_of_the_target() -> None:
    rng = np.random.default_rng(0)
    source = [rng.standard_normal((128, 128)).astype(np.float32)]
    target = [rng.gamma(3.0, 1.0, (128, 128)).astype(np.float32)]
    fitted = fit_statistics(source, Target.measure(target))
    out = fitted.apply(source[0], np.random.default_rng(3))
    wanted = Normaliser.fit(target).apply(target[0])
    assert np.allclose(np.quantile(out, (0.1, 0.5, 0.9)), np.quantile(wanted, (0.1, 0.5, 0.9)), atol=0.03)


def test_tone_curve_never_turns_back(make_crystal: MakeCrystal) -> None:
    images = normalised([make_crystal(0).image.data])
    fitted = fit_statistics(images, Target.measure(normalised([make_crystal(1, noise=0.2).image.data])))
    assert (np.diff(fitted.map_tones(np.linspace(-3, 3, 1001).astype(np.float32))) >= 0).all()


def test_fit_halves_both_distances_to_a_noisier_cloudier_session(make_crystal: MakeCrystal) -> None:
    sims = normalised([make_crystal(i, side=256).image.data for i in range(2)])
    real = normalised([make_crystal(10 + i, side=256, noise=0.12, clouds=0.15).image.data for i in range(2)])
    today = Today(real)
    fitted = fit_statistics(sims, Target.measure(real))
    after = today.similarity([fitted.apply(image, np.random.default_rng(i)) for i, image in enumerate(sims)])
    before = today.similarity(sims)
    assert after.kl < 0.5 * before.kl
    assert after.radial < 0.5 * before.radial


def test_similarity_of_today_with_itself_is_zero(make_crystal: MakeCrystal) -> None:
    images = [make_crystal().image.data]
    same = Today(images).similarity(images)
    assert same.kl == pytest.approx(0.0, abs=1e-9)
    assert same.radial == pytest.approx(0.0, abs=1e-6)
