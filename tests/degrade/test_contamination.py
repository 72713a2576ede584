import numpy as np
import pytest

from napari_stem_gan.degrade.contamination import (
    ContaminationConfig,
    contamination_field,
    draw_contamination,
    gaussian_field,
)


@pytest.mark.parametrize("amount", [0.1, 0.6])
@pytest.mark.parametrize("skew", [0.0, 0.7])
def test_the_spread_of_a_wide_field_is_the_amount(amount, skew):
    config = ContaminationConfig(amount=amount, skew=skew, coarse_nm=0.2, fine_nm=0.1)
    field = contamination_field((384, 384), 0.2, config, np.random.default_rng(0))
    assert field.std() == pytest.approx(amount, rel=0.1)
    assert field.min() >= 0


def test_no_contamination_is_black():
    field = contamination_field((64, 80), 0.2, ContaminationConfig(amount=0.0), np.random.default_rng(0))
    assert field.shape == (64, 80)
    assert not field.any()


def test_skew_makes_bright_patches_on_a_clean_ground():
    def skewness(skew):
        config = ContaminationConfig(amount=0.3, skew=skew, coarse_nm=0.2)
        field = contamination_field((400, 400), 0.2, config, np.random.default_rng(1))
        return float((((field - field.mean()) / field.std()) ** 3).mean())

    assert abs(skewness(0.0)) < 0.4
    assert skewness(1.5) > 2.0


def test_the_correlation_length_is_the_given_one():
    length = 12.0
    field = gaussian_field((512, 512), length, np.random.default_rng(0))
    assert field.std() == pytest.approx(1.0, abs=0.12)
    shift = int(length)
    correlation = (field[shift:] * field[:-shift]).mean() / (field**2).mean()
    assert correlation == pytest.approx(np.exp(-0.5), abs=0.08)  # exp(−r² / 2ℓ²) at r = ℓ


def test_clusters_add_small_bright_blobs():
    config = ContaminationConfig(amount=0.0, clusters_per_100nm2=50.0)
    field = contamination_field((300, 300), 0.2, config, np.random.default_rng(0))
    assert field.max() > 0.2
    assert np.median(field) < 0.05


def test_draws_run_from_clean_to_heavy():
    rng = np.random.default_rng(0)
    amounts = [draw_contamination(rng).amount for _ in range(300)]
    assert 0.05 < np.mean(np.array(amounts) == 0) < 0.3
    assert 0.5 < max(amounts) <= 0.7


@pytest.mark.parametrize("values", [{"amount": -0.1}, {"fine_fraction": 1.5}, {"coarse_nm": 0.0}])
def test_impossible_contamination_is_refused(values):
    with pytest.raises(ValueError, match="must"):
        ContaminationConfig(**values)
