import numpy as np
import pytest

from napari_stem_gan.degrade.contamination import ContaminationConfig, contamination
from napari_stem_gan.degrade.noise import Noise as Streams
from napari_stem_gan.simulate.background import Background
from napari_stem_gan.simulate.fit import fit_session


def example(**grain):
    frequency = np.linspace(0, 0.3, 40)
    return Background(frequency, np.exp(-((frequency / 0.02) ** 2)), np.linspace(0, 2, 201) ** 2, **grain)


def test_a_drawn_background_has_the_measured_quantiles():
    field = example().draw((128, 128), 0.2, np.random.default_rng(0))
    expected = np.quantile(example().quantiles, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(field, [0.1, 0.5, 0.9]), expected, rtol=0.05)
    assert np.abs(np.diff(field, axis=0)).mean() < 0.1 * field.std()  # slow, as its spectrum says


def test_a_drawn_grain_has_its_strength_on_dark_and_bright_patches():
    grain = {"grain": np.exp(-((np.linspace(0, 0.3, 40) / 0.2) ** 2)), "grain_sd": np.linspace(0.05, 0.5, 10)}
    smooth, rough = (example(**g).lifted(3.0).draw((512, 512), 0.2, np.random.default_rng(0)) for g in ({}, grain))
    difference, order = rough - smooth, np.quantile(smooth, [0.1, 0.9])
    assert difference[smooth < order[0]].std() == pytest.approx(0.05, rel=0.25)
    assert difference[smooth > order[1]].std() == pytest.approx(0.5, rel=0.15)


def test_the_seed_decides_the_field():
    first, second, other = (example().draw((64, 64), 0.2, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0


@pytest.mark.parametrize("amount", [0.1, 0.4])
def test_the_drawn_contamination_is_found(degraded, amount):
    image, found = degraded(3, amount=amount, dose_e_per_A2=1e5)
    background = fit_session(image, found).background
    streams = Streams.of([np.random.default_rng(0)])
    drawn = contamination((2048, 2048), 0.2, ContaminationConfig(amount=amount), streams).numpy()
    assert background.amount == pytest.approx(float(drawn.std()), rel=0.4)  # a small image holds few patches
    assert background.patch_length_nm == pytest.approx(1.3, rel=0.5)
    assert background.skew > 0.3


def test_a_clean_image_has_hardly_any_contamination(degraded):
    image, found = degraded(dose_e_per_A2=1e5)
    fit = fit_session(image, found)
    assert fit.background.amount < 0.02
    assert fit.background.grain_amount < 3 * fit.errors["contamination_grain_amount"] + 0.02
